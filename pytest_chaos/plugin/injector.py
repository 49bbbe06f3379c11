"""The ``chaos_injector`` fixture: disruptions started from inside a test body."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

from pytest_chaos.engine.run import NotStarted, Run, Wait, unrun
from pytest_chaos.engine.verdict import Body
from pytest_chaos.errors import ChaosError, NotHeld, SpecError
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict, worst
from pytest_chaos.plugin import text
from pytest_chaos.plugin.marks import check_spec, read_entry
from pytest_chaos.plugin.offloop import off_loop
from pytest_chaos.plugin.outcomes import body_of
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

NewRun = Callable[[Sequence[ChaosSpec], Wait], Run]


class Injection:
    """Disruptions started by hand, as a block: ``with`` or, in an async test, ``async with``.

    Attributes:
        outcomes: one for each spec, once the block has ended.
        active: set while the first of them is really under way.
    """

    def __init__(
        self, specs: Sequence[ChaosSpec], new_run: Callable[[], Run], *, check: bool, disabled: bool
    ) -> None:
        self.outcomes: list[ChaosOutcome] = []
        self.active = threading.Event()
        self.check = check
        self._specs = specs
        self._new_run = new_run
        self._disabled = disabled
        self._run: Run | None = None

    @property
    def outcome(self) -> ChaosOutcome:
        """The worst outcome. Raises ``ChaosError`` while the block is still running."""
        if not self.outcomes:
            raise ChaosError("there is no outcome yet: the disruption has not ended")
        return max(self.outcomes, key=lambda outcome: outcome.verdict.rank)

    @property
    def ended(self) -> bool:
        """Tell whether the outcomes are there."""
        return bool(self.outcomes)

    def begin(self) -> None:
        """Start the disruptions and wait until the block may run.

        Raises:
            NotHeld: one failed before it was active; with ``check=False`` the block runs all the same.
        """
        if self._disabled:
            return
        try:
            self._run = self._new_run()
            self.active = self._run.disruptions[0].active
            self._run.prepare()
            self._run.begin()
        except NotStarted:
            if self.check:
                self._give_up()
        except ChaosError as error:
            self.outcomes = [unrun(spec, Verdict.inconclusive, str(error)) for spec in self._specs]
            raise NotHeld(text.failure(self.outcomes, "chaos_injector:"), self.outcomes) from None
        except BaseException:
            self.stop()
            raise
        if self._run is not None:
            self._run.body_starts()

    def _give_up(self) -> NoReturn:
        assert self._run is not None  # noqa: S101 - it was made before it could fail to start
        self.outcomes = self._run.end(Body.not_run)
        raise NotHeld(text.failure(self.outcomes, "chaos_injector:"), self.outcomes) from None

    def stop(self) -> None:
        """Ask the disruptions to stop, without waiting."""
        if self._run is not None:
            self._run.stop()

    def end(self, body: Body) -> list[ChaosOutcome]:
        """Stop, wait, judge. The second call returns what the first one said."""
        if not self.outcomes:
            if self._run is None:
                self.outcomes = [unrun(spec, Verdict.disabled, "chaos is disabled") for spec in self._specs]
            else:
                self._run.body_ends()
                self.outcomes = self._run.end(body)
        return self.outcomes

    def _leave(self, error: BaseException | None) -> None:
        outcomes = self.end(Body.passed if error is None else body_of(error))
        if error is not None:
            if note := text.note(outcomes):
                error.add_note(note)
        elif self.check and worst([one.verdict for one in outcomes]).fails:
            raise NotHeld(text.failure(outcomes, "chaos_injector:"), outcomes)

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        __tracebackhide__ = True
        self._leave(error)
        return False

    async def __aenter__(self) -> Self:
        try:
            await off_loop(self.begin)
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        __tracebackhide__ = True
        self.stop()
        await off_loop(lambda: self._leave(error))
        return False


class ChaosInjector:
    """Start and stop disruptions from inside a body; each is judged like one from a mark.

    ``spec`` is what a mark takes: a mapping, a ``ChaosSpec``, or a list of them.
    """

    def __init__(self, new_run: NewRun, settings: Settings) -> None:
        self._new_run = new_run
        self._settings = settings
        self._injections: list[Injection] = []
        self._refused: list[ChaosOutcome] = []
        self._left: list[Injection] = []

    @property
    def active(self) -> threading.Event:
        """The event of the disruption that was started last: set while it is really under way."""
        return self._injections[-1].active if self._injections else threading.Event()

    @property
    def outcomes(self) -> list[ChaosOutcome]:
        """The outcomes so far, in the order in which the disruptions were started."""
        return [*self._refused, *(outcome for one in self._injections for outcome in one.outcomes)]

    @property
    def left_running(self) -> list[ChaosOutcome]:
        """The outcomes of what the body started and did not stop; they decide about the test."""
        return [outcome for one in self._left if one.check for outcome in one.outcomes]

    @property
    def checked(self) -> list[ChaosOutcome]:
        """The outcomes that were not left to the test by ``check=False``."""
        return [
            *self._refused,
            *(outcome for one in self._injections if one.check for outcome in one.outcomes),
        ]

    def inject(self, *specs: Any, wait: str = "active", check: bool = True) -> Injection:
        """Return a block, for ``with`` or ``async with``, that is disrupted.

        The block starts as ``wait`` says, like the body of a marked test. Leaving it raises unless every
        disruption held; ``check=False`` leaves the outcomes to the test.

        Raises:
            SpecError: a spec is wrong; nothing is started.
        """
        try:
            given = [spec for entry in specs for spec in read_entry(entry)]
            if not given:
                raise SpecError("chaos_injector: give at least one spec")
            how = Wait(wait)
            for spec in given:
                check_spec(spec, how, self._settings)
        except (SpecError, ValueError) as error:
            self._refused.append(refused(str(error)))
            raise error if isinstance(error, SpecError) else SpecError(f"chaos_injector: {error}") from None
        injection = Injection(
            given, lambda: self._new_run(given, how), check=check, disabled=self._settings.disable
        )
        self._injections.append(injection)
        return injection

    def start(self, *specs: Any, wait: str = "active", check: bool = True) -> Injection:
        """Start disruptions now. What is not stopped when the body ends is stopped and judged then."""
        injection = self.inject(*specs, wait=wait, check=check)
        injection.begin()
        return injection

    def stop(self, injection: Injection | None = None) -> list[ChaosOutcome]:
        """Stop one injection, or all that run, and return the outcomes.

        Raises:
            NotHeld: one did not hold, and was not started with ``check=False``.
        """
        __tracebackhide__ = True
        chosen = [injection] if injection else [one for one in self._injections if not one.ended]
        outcomes = [outcome for one in chosen for outcome in one.end(Body.passed)]
        bad = [outcome for one in chosen if one.check for outcome in one.outcomes if outcome.verdict.fails]
        if bad:
            raise NotHeld(text.failure(bad, "chaos_injector:"), bad)
        return outcomes

    def run(self, *specs: Any, check: bool = True) -> list[ChaosOutcome]:
        """Run disruptions to their end, which needs faults that end by themselves, and return the outcomes."""
        __tracebackhide__ = True
        with self.inject(*specs, wait="done", check=check) as injection:
            pass
        return injection.outcomes

    def close(self, body: Body) -> list[ChaosOutcome]:
        """End what still runs because the body is over; return all outcomes."""
        for one in self._injections:
            if not one.ended:
                self._left.append(one)
                one.stop()
        for one in self._left:
            one.end(body)
        return self.outcomes


def refused(reason: str) -> ChaosOutcome:
    """Return the outcome of something that could not even be read as a spec."""
    result = ChaosResult(success=False, injected_fault="unknown", error=reason)
    return ChaosOutcome(name="unreadable spec", verdict=Verdict.inconclusive, reason=reason, result=result)
