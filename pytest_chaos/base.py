"""The two things a user can extend, Fault and Trigger, with the registries that know them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pytest_chaos import clocks
from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, TriggerTimeout
from pytest_chaos.milestones import Milestone
from pytest_chaos.notation import Duration, seconds
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.registry import Registry
from pytest_chaos.secrecy import MASK, Redactor, bare, secrets_of_url
from pytest_chaos.settings import Settings

SPEC_CONFIG = ConfigDict(
    extra="forbid",
    frozen=True,
    strict=True,
    allow_inf_nan=False,
    validate_default=True,
    hide_input_in_errors=True,  # pydantic's own message would show what a header holds
)


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integral = BeforeValidator(_integral)
"""Let 100.0 stand for 100, as JSON Schema does; "100" and true stay wrong."""


class Discreet(BaseModel):
    """A model whose ``repr`` shows nothing secret, no header values and no query of a URL: tracebacks show local variables."""

    def secrets(self, _settings: Settings) -> list[str]:
        """Return values that must stand in no output."""
        return []

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what ``repr`` shows."""
        try:
            redactor = Redactor((), self.secrets(Settings()))
        except Exception:  # noqa: BLE001 - somebody else's; and a repr must not raise
            return
        for name, value in super().__repr_args__():
            if name == "headers" and isinstance(value, dict):
                yield name, dict.fromkeys(value, MASK)
            elif isinstance(value, str):
                yield name, redactor.text(bare(value) if "?" in value else value)
            else:
                yield name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a fault is going to do, known before anything is touched.

    Attributes:
        summary: one line for people.
        argv: the command line exactly as it will run, secrets masked; empty if no process is started.
        max_requests: requests at most, None if the fault sends none.
        max_seconds: seconds at most that the harm can last.
        warnings: what a reviewer should look at.
    """

    summary: str
    argv: tuple[str, ...] = ()
    max_requests: int | None = None
    max_seconds: float | None = None
    warnings: tuple[str, ...] = ()


class Fault(Discreet, ABC):
    """Do one kind of harm, and report it.

    Subclass it, give it ``type: Literal["my_fault"] = "my_fault"``, fields with bounds and an
    ``inject``, and decorate it with ``@FAULTS.register("my_fault")``. Fields are validated strictly.
    """

    model_config = SPEC_CONFIG

    type: str

    @abstractmethod
    def inject(self, ctx: RunContext, chaos_active_event: Event | None = None) -> ChaosResult:
        """Do the harm; block until it is over.

        Set ``chaos_active_event`` once the harm is really under way, not when it was asked for.
        Return soon after ``ctx.stop`` is set. Whatever is raised counts as a failed fault.
        """

    def targets(self) -> list[str]:
        """Return the URLs that will be touched. Each one is guarded before ``inject`` is called."""
        return []

    def plan(self, settings: Settings) -> Plan:
        """Return what ``inject`` would do. Pure: no file, no name, no process is touched.

        Raises:
            TargetRefused: the settings do not allow it.
        """
        del settings
        return Plan(summary=self.type)

    def secrets(self, settings: Settings) -> list[str]:
        """Return values that must stand in no output: by default those of secret parameters in the targets' queries."""
        return [value for url in self.targets() for value in secrets_of_url(url, settings.secrets)]

    def ends_by_itself(self) -> bool:
        """Tell whether ``inject`` returns without being asked to stop."""
        return True


class Trigger(Discreet, ABC):
    """Decide when a fault fires. Subclass it like ``Fault`` and register it in ``TRIGGERS``.

    Attributes:
        needs_body: it waits for something that the test's body brings about, so setup cannot wait for it.
        listens: the body must not begin before it has set ``ctx.listening``.
    """

    model_config = SPEC_CONFIG

    needs_body: ClassVar[bool] = False
    listens: ClassVar[bool] = False

    type: str

    @abstractmethod
    def wait(self, ctx: RunContext) -> None:
        """Return when the fault should fire.

        Raises:
            Cancelled: ``ctx.stop`` was set first; ``ctx.sleep`` does this for you.
        """

    def in_words(self) -> str:
        """Return when it fires, as part of a sentence."""
        return f"when trigger {self.type!r} fires"

    def targets(self) -> list[str]:
        """Return the URLs that will be asked. Each one is guarded before ``wait`` is called."""
        return []

    def secrets(self, settings: Settings) -> list[str]:
        """Return values that must stand in no output: by default those of secret parameters in the targets' queries."""
        return [value for url in self.targets() for value in secrets_of_url(url, settings.secrets)]

    def milestone(self) -> Milestone | None:
        """Return the milestone of the test at which it fires, if it is one."""
        return None


class TimedTrigger(Trigger):
    """Wait for something that may never come. Subclass it and write ``watch``."""

    needs_body: ClassVar[bool] = True

    timeout: Annotated[
        Annotated[float, Field(gt=0, le=3600)] | Duration,
        Field(description="How long to wait: seconds, or a duration.", examples=[5, "500ms"]),
    ] = 30.0
    on_timeout: Annotated[
        Literal["fail", "skip", "fire"],
        Field(
            description="What happens if it does not come: the test fails, the test is skipped (also if the body was "
            "over first), or the fault fires all the same.",
            examples=["skip"],
        ),
    ] = "fail"

    @property
    def timeout_s(self) -> float:
        """How long to wait, in seconds."""
        return seconds(self.timeout) if isinstance(self.timeout, str) else self.timeout

    @abstractmethod
    def watch(self, ctx: RunContext, until: float) -> bool:
        """Return True as soon as it came about, False at the moment ``until`` of ``clocks.monotonic()``.

        Put what was seen so far into ``ctx.seen``.

        Raises:
            Cancelled: ``ctx.stop`` was set first.
        """

    def wait(self, ctx: RunContext) -> None:
        """Wait for it, and do as ``on_timeout`` says if it does not come.

        Raises:
            Cancelled: ``ctx.stop`` was set first.
            TriggerTimeout: it did not come in time, or is no longer wanted and may be skipped.
        """
        skip = self.on_timeout == "skip"
        try:
            came = self.watch(ctx, clocks.monotonic() + self.timeout_s)
        except Cancelled:
            if skip:
                raise TriggerTimeout(f"it did not fire {self.in_words()} before the end", skip=True) from None
            raise
        if came:
            return
        ctx.note("trigger_timed_out")
        if self.on_timeout != "fire":
            raise TriggerTimeout(
                f"it did not fire {self.in_words()} within its timeout of {self.timeout_s:g} s", skip=skip
            )


FAULTS: Registry[Fault] = Registry("fault", Fault, group="pytest_chaos.faults")  # type: ignore[type-abstract]  # compared with only
TRIGGERS: Registry[Trigger] = Registry("trigger", Trigger, group="pytest_chaos.triggers")  # type: ignore[type-abstract]
