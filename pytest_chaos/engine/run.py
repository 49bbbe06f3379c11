"""Run: the disruptions that belong together, those of one test or of one block, from preparation to outcomes."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from enum import StrEnum
from threading import Thread
from typing import Final

from pytest_chaos import clocks
from pytest_chaos.context import Span
from pytest_chaos.engine.checks import Check, find_check
from pytest_chaos.engine.conclusion import conclude, refused, worth_checking
from pytest_chaos.engine.disruption import Disruption
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.permit import AbortFile, check_permit
from pytest_chaos.engine.verdict import Body
from pytest_chaos.errors import ChaosError
from pytest_chaos.milestones import Milestone, Milestones
from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

log = logging.getLogger("pytest_chaos")

_OTHER_FAILED: Final = "another disruption of this test failed before the body ran"


class Wait(StrEnum):
    """What the body waits for: every disruption active, every one over, or nothing."""

    active = "active"
    done = "done"
    none = "none"


class NotStarted(ChaosError):
    """A disruption failed before the body could run."""


class Run:
    """Drive some disruptions together.

    The order of calls: ``prepare``, ``begin``, ``body_starts``, ``body_ends``, ``end``. ``end`` may be
    called at any point, often and from finalizers: it stops everything and gives the outcomes.
    """

    def __init__(  # noqa: PLR0913 - keyword-only: everything that a test hands over
        self,
        specs: Sequence[ChaosSpec],
        *,
        authored: Sequence[ChaosSpec],
        first_ordinal: int = 1,
        wait: Wait,
        min_overlap: float | None = None,
        task_id: str,
        settings: Settings,
        guard: Guard,
        checks: Mapping[str, Check],
        milestones: Milestones,
        origin: float,
    ) -> None:
        self.wait = wait
        self.disruptions = [
            Disruption(
                spec,
                authored=written,
                ordinal=ordinal,
                task_id=task_id,
                settings=settings,
                guard=guard,
                milestones=milestones,
                origin=origin,
            )
            for ordinal, (spec, written) in enumerate(zip(specs, authored, strict=True), first_ordinal)
        ]
        self.outcomes: list[ChaosOutcome] = []
        self._settings = settings
        self._checks = checks
        self._min_overlap = min_overlap
        self._cover: Sequence[Span] = ()
        self._began: float | None = None
        self._over: float | None = None
        self._body_started: float | None = None
        self._body_ended: float | None = None
        self._culprit: Disruption | None = None
        self._abort_file = AbortFile(settings, self._abort)

    def prepare(self) -> None:
        """Check targets, sizes, the names of checks and the steady state, before anything is started.

        Raises:
            ChaosError: something does not fit.
        """
        check_permit(self._settings)
        for disruption in self.disruptions:
            self._culprit = disruption
            spec = disruption.spec
            disruption.prepare(self._named("verify", spec.verify), self._named("abort_when", spec.abort_when))
        for disruption in self.disruptions:
            self._culprit = disruption
            disruption.check_steady_state()
        self._culprit = None

    def _named(self, key: str, name: str | None) -> Check | None:
        return None if name is None else find_check(name, self._checks, key=key)

    def begin(self) -> None:
        """Start the disruptions and wait as ``wait`` says.

        Raises:
            NotStarted: one failed or ended before it was active, or took too long.
        """
        check_permit(self._settings)
        if self.wait is Wait.none:
            return
        self._start()
        for disruption in self.disruptions:
            if not disruption.wait_active(self._settings.start_timeout_s):
                self._culprit = disruption
                if not disruption.finished.is_set():
                    disruption.gave_up = (
                        f"it was not active within {self._settings.start_timeout_s:g} s of its trigger's firing "
                        "(chaos_start_timeout)"
                    )
                raise NotStarted(f"{disruption.spec.name!r} was not active")
        if self.wait is Wait.done:
            for disruption in self.disruptions:
                longest = (
                    disruption.spec.action.plan(self._settings).max_seconds
                    or self._settings.caps.max_duration_s
                )
                if not disruption.wait_finished(
                    longest + self._settings.start_timeout_s + self._settings.stop_timeout_s
                ):
                    self._culprit = disruption
                    disruption.gave_up = "it was not over in time (wait='done')"
                    raise NotStarted(f"{disruption.spec.name!r} was not over")
            self._over = clocks.monotonic()
            _recover(self.to_recover(Body.passed))

    def body_starts(self) -> None:
        """Note that the body begins now; under ``wait="none"`` the triggers' clocks start."""
        self._body_started = clocks.monotonic()
        if self.wait is Wait.none:
            self._start()

    def checkpoint(self, milestone: Milestone) -> None:
        """Wait until whatever fires at ``milestone`` is active.

        Raises:
            NotStarted: one failed before it was, or took too long.
        """
        for disruption in self.disruptions:
            if disruption.spec.trigger.milestone() != milestone or not disruption.was_started:
                continue
            if disruption.ctx.stop.is_set():
                continue
            if not disruption.wait_active(self._settings.start_timeout_s) and disruption.was_fired:
                raise NotStarted(
                    f"{disruption.spec.name!r} did not become active: {disruption.why_not_active}"
                )

    def cover(self, spans: Sequence[Span]) -> None:
        """Ask that ``spans``, such as the rounds of a benchmark, lie inside the overlap. Call it before ``end``."""
        self._cover = spans

    def body_ends(self) -> None:
        """Note that the body has ended, and ask everything to stop."""
        if self._body_ended is None:
            self._body_ended = clocks.monotonic()
        self.stop()

    def stop(self) -> None:
        """Ask every disruption to stop, without waiting."""
        for disruption in self.disruptions:
            disruption.stop()

    def end(self, body: Body) -> list[ChaosOutcome]:
        """Stop everything, wait for it, judge it. The second call returns what the first one said."""
        end_all([self], body)
        return self.outcomes

    def settle(self) -> None:
        """Wait for everything to stop."""
        deadline = clocks.monotonic() + self._settings.stop_timeout_s
        for disruption in self.disruptions:
            disruption.join(max(0.1, deadline - clocks.monotonic()))

    def to_recover(self, body: Body) -> list[Disruption]:
        """Return the disruptions for which it matters how the system is afterwards."""
        return [one for one in self.disruptions if worth_checking(one, body, self._window())]

    def conclude(self, body: Body) -> None:
        """Judge everything."""
        self._abort_file.end()
        self.outcomes = [self._conclude(disruption, body) for disruption in self.disruptions]

    def give_up_checking(self) -> None:
        """Ask no check any more."""
        for disruption in self.disruptions:
            disruption.give_up_checking()

    def refuse(self, reason: str) -> list[ChaosOutcome]:
        """Give outcomes for disruptions that were never started, because of ``reason``."""
        self.outcomes = [
            refused(one, Verdict.inconclusive, reason)
            if self._culprit in (None, one)
            else refused(one, Verdict.not_judged, _OTHER_FAILED)
            for one in self.disruptions
        ]
        return self.outcomes

    def _start(self) -> None:
        self._began = clocks.monotonic()
        self._abort_file.start()
        for disruption in self.disruptions:
            disruption.start()

    def _abort(self, reason: str) -> None:
        for disruption in self.disruptions:
            if not disruption.finished.is_set():
                disruption.abort(reason, broke=False)
            disruption.give_up_checking()
        for disruption in self.disruptions:
            disruption.cut_off()

    def _window(self) -> Span | None:
        if self.wait is Wait.done:
            return None if self._began is None else (self._began, self._over or clocks.monotonic())
        if self._body_started is None:
            return None
        return self._body_started, self._body_ended or clocks.monotonic()

    def _conclude(self, disruption: Disruption, body: Body) -> ChaosOutcome:
        ended = "body_failed" if body is Body.failed else "body_ended"
        moments = {
            "body_started": self._body_started,
            ended: self._body_ended,
            "judged": clocks.monotonic(),
        }
        for moment, at in moments.items():
            if at is not None:
                disruption.mark(moment, at)
        instead = ""
        if body is Body.not_run and self._culprit not in (None, disruption):
            instead = _OTHER_FAILED
        try:
            return conclude(
                disruption,
                body,
                self._window(),
                min_overlap=self._min_overlap,
                cover=self._cover,
                instead=instead,
            )
        except Exception as error:  # noqa: BLE001 - whatever breaks here is ours, and must never leave a test green
            told = disruption.redactor.text("".join(traceback.format_exception(error)))
            log.error("judging %r failed: %s", disruption.redactor.text(disruption.spec.name), told)
            return refused(
                disruption, Verdict.error, f"it could not be judged: {type(error).__name__}: {error}"
            )


def end_all(runs: Sequence[Run], body: Body) -> None:
    """End what runs together for one test: nothing is asked or judged while another still disrupts."""
    runs = [run for run in runs if not run.outcomes]
    for run in runs:
        run.stop()
    for run in runs:
        run.settle()
    _recover([one for run in runs for one in run.to_recover(body)])
    for run in runs:
        run.conclude(body)


def _recover(disruptions: Sequence[Disruption]) -> None:
    """Ask the checks of all of them at once, since each one's clock runs from its own end."""
    watched = [one for one in disruptions if one.watch is not None]
    threads = [Thread(target=one.recover, name="pytest-chaos-recovery", daemon=True) for one in watched]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C and the like
        for one in watched:
            one.give_up_checking()
        raise
