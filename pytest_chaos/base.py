"""The two things a user can extend, Fault and Trigger, with the registries that know them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from pytest_chaos.context import RunContext
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.registry import Registry
from pytest_chaos.settings import Settings

SPEC_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integral = BeforeValidator(_integral)
"""Let 100.0 stand for 100, as JSON Schema does; "100" and true stay wrong."""


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


class Fault(BaseModel, ABC):
    """Do one kind of harm, and report it.

    Subclass it, give it ``type: Literal["my_fault"] = "my_fault"``, fields with bounds and an
    ``inject``, and decorate it with ``@FAULTS.register("my_fault")``. Fields are validated strictly.
    """

    model_config = SPEC_CONFIG

    type: str

    @abstractmethod
    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
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

    def ends_by_itself(self) -> bool:
        """Tell whether ``inject`` returns without being asked to stop."""
        return True


class Trigger(BaseModel, ABC):
    """Decide when a fault fires. Subclass it like ``Fault`` and register it in ``TRIGGERS``."""

    model_config = SPEC_CONFIG

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


FAULTS: Registry[Fault] = Registry("fault", Fault, group="pytest_chaos.faults")  # type: ignore[type-abstract]  # compared with only
TRIGGERS: Registry[Trigger] = Registry("trigger", Trigger, group="pytest_chaos.triggers")  # type: ignore[type-abstract]
