"""Disruption: one spec being run. Its own thread waits for the trigger, injects the fault and keeps the result."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from pytest_chaos.context import ActiveEvent, Measured, RunContext, Span, intersect, total_seconds
from pytest_chaos.engine.checks import Check, Question
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.sampler import Sampler
from pytest_chaos.engine.series import series_of
from pytest_chaos.engine.verdict import Aborted, Body, Facts, judge, needs_check
from pytest_chaos.engine.watch import Watch
from pytest_chaos.errors import Cancelled, SpecError, SteadyStateBad, TriggerTimeout
from pytest_chaos.milestones import Milestones
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict, Window
from pytest_chaos.scrub import clean
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

_MAX_MOMENTS = 100
_POLL_S = 0.02

log = logging.getLogger("pytest_chaos")


class State(StrEnum):
    """Where a disruption stands."""

    waiting = "waiting"
    injecting = "injecting"
    active = "active"
    finished = "finished"


class Disruption:
    """Run one spec for one test.

    Attributes:
        spec: what is run, placeholders filled.
        active: set while the harm is really under way.
        finished: set when the fault's thread has ended.
        result: what the fault said of itself, once finished.
        gave_up: why nobody waited for it any longer, if that is so.
        watch: asks the check that the spec names, if it names one.
    """

    def __init__(
        self,
        spec: ChaosSpec,
        *,
        authored: ChaosSpec,
        ordinal: int,
        task_id: str,
        settings: Settings,
        guard: Guard,
        milestones: Milestones,
        origin: float,
    ) -> None:
        self.spec = spec
        self.result: ChaosResult | None = None
        self.finished = threading.Event()
        self._changed = threading.Condition()
        self.active = _Announced(lambda: self._reached(State.active))
        self._task_id = task_id
        self._settings = settings
        self._guard = guard
        self._origin = origin
        self._moments: dict[str, float] = {}
        self._cancelled: str = ""
        self._skipped: str | None = None
        self.gave_up: str = ""
        self.watch: Watch | None = None
        self._brake: Sampler | None = None
        self._broken_brake: str | None = None
        self._aborted: Aborted | None = None
        self._redactor = Redactor(settings.secrets, spec.action.secrets())
        self._processes = Processes()
        self._thread: threading.Thread | None = None
        self.ctx = RunContext(
            task_id,
            settings=settings,
            authored=authored.model_dump(mode="json"),
            ordinal=ordinal,
            spawn=self._processes.spawn,
            allow=guard.allow,
            note=self._note,
            milestones=milestones,
        )

    @property
    def state(self) -> State:
        """Where it stands right now."""
        if self.finished.is_set():
            return State.finished
        if self.active.is_set():
            return State.active
        return State.injecting if self.was_fired else State.waiting

    @property
    def was_active(self) -> bool:
        """Tell whether the harm is or was under way."""
        return bool(self.active.spans())

    @property
    def was_started(self) -> bool:
        """Tell whether its trigger's clock ever ran."""
        return self._thread is not None

    @property
    def was_fired(self) -> bool:
        """Tell whether the trigger fired."""
        return "fired" in self._moments

    @property
    def why_not_active(self) -> str:
        """Why it is not active, in words, as far as that is known."""
        if self.result is not None and self.result.error:
            return self.result.error
        return self._cancelled or "it is still starting"

    def prepare(self, check: Check | None, abort_check: Check | None) -> None:
        """Check everything that can be checked before something starts.

        ``check`` is what the spec names in ``verify``, ``abort_check`` what it names in ``abort_when``.

        Raises:
            TargetRefused: the settings do not allow the target or the size.
        """
        self.spec.action.plan(self._settings)
        for url in (*self.spec.trigger.targets(), *self.spec.action.targets()):
            self._guard.allow(url)
        timeout_s = self._settings.check_timeout_s
        if check is not None:
            self.watch = Watch(self, check, timeout_s=timeout_s)
        if abort_check is not None:
            brake = Question(self.spec.abort_when or "", abort_check, self, timeout_s=timeout_s)
            self._brake = Sampler(self, lambda: self._ask_brake(brake), every_s=self.spec.verify_every)

    def _ask_brake(self, question: Question) -> None:
        try:
            failure = question.ask()
        except SpecError as error:
            failure = self._broken_brake = str(error)
        if failure is not None:
            self.abort(failure, broke=True)

    def abort(self, reason: str, *, broke: bool) -> None:
        """Stop it before its time. ``broke`` tells that it is the system's fault, which a check has found."""
        if self._aborted is None and not self.ctx.stop.is_set():
            self._aborted = Aborted(reason, broke)
            self.stop()

    def check_steady_state(self) -> None:
        """Ask the named check before anything is started, if that is wanted.

        Raises:
            SteadyStateBad: it does not hold.
        """
        failure = self.watch.before() if self.watch else None
        if failure is not None:
            raise SteadyStateBad(f"the steady state was bad before anything was started: {failure}")

    def start(self) -> None:
        """Start the thread; the trigger's clock starts now."""
        self._thread = threading.Thread(
            target=self._run, name=f"pytest-chaos-{self.spec.name[:40]}", daemon=True
        )
        self._note("planned")
        self._thread.start()
        if self.spec.trigger.listens:  # what the first line of the body does must be heard
            while not (self.ctx.listening.wait(_POLL_S) or self.finished.is_set()):
                pass
        if self.watch is not None:
            self.watch.start()
        if self._brake is not None:
            self._brake.start()

    def wait_active(self, timeout_s: float) -> bool:
        """Wait until it is active or over, at most ``timeout_s`` after the trigger fired; tell whether it was active."""
        return self._wait(lambda: self.was_active or self.finished.is_set(), timeout_s) and self.was_active

    def wait_finished(self, timeout_s: float) -> bool:
        """Wait until it is over, at most ``timeout_s`` after the trigger fired; tell whether it is."""
        return self._wait(self.finished.is_set, timeout_s)

    def stop(self) -> None:
        """Ask it to stop. May be called often, from anywhere; does not wait."""
        if not self.ctx.stop.is_set():
            self._note("stopped")
            self.ctx.stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; then end every process that is left, whether it came or not."""
        if self._thread is not None:
            self.finished.wait(timeout_s)
        self._processes.end_all()
        if self._thread is not None:
            self._thread.join(0.5)
        if self._brake is not None:
            self._brake.end()
        if self.watch is not None:
            self.watch.join()

    def wait_active_again(self, unless: threading.Event) -> bool:
        """Wait until it is active; return False once it is over, or after ``let_go`` of ``unless``."""
        with self._changed:
            self._changed.wait_for(lambda: self.active.is_set() or self.finished.is_set() or unless.is_set())
        return self.active.is_set() and not unless.is_set()

    def let_go(self, waiting: threading.Event) -> None:
        """Set ``waiting`` and wake whoever waits with it."""
        waiting.set()
        self._announce()

    def seconds(self, moment: float) -> float:
        """Return a moment of ``time.monotonic()`` in seconds since the start of setup."""
        return round(moment - self._origin, 6)

    def give_up_checking(self) -> None:
        """Ask the named check no more."""
        if self.watch is not None:
            self.watch.give_up()

    def recover(self) -> None:
        """Ask the named check until the system has recovered, if that is wanted, counted from the fault's end."""
        if self.watch is not None and (spans := self.active.spans()):
            self.watch.recover(spans[-1][1])
            self._note("verified")

    def worth_checking(self, body: Body, window: Span | None) -> bool:
        """Tell whether it matters for the verdict how the system is afterwards."""
        return self.watch is not None and needs_check(self._facts(body, window))

    def conclude(
        self,
        body: Body,
        window: Span | None,
        *,
        min_overlap: float | None = None,
        cover: Sequence[Span] = (),
        instead: str = "",
    ) -> ChaosOutcome:
        """Judge it. ``cover`` must lie inside the overlap; ``instead`` is a reason not to judge it at all."""
        facts = self._facts(body, window, min_overlap, cover)
        judgement = judge(facts)
        verdict, reason = (Verdict.not_judged, instead) if instead else (judgement.verdict, judgement.reason)
        if body is Body.not_run and self.gave_up:
            said = self.result.error if self.result else self._cancelled
            reason = f"{self.gave_up}; {said}" if said else self.gave_up
        measured = facts.window
        meter = self.ctx.meter
        return self._outcome(
            verdict=verdict,
            reason=reason,
            result=self.result or never_ran(self.spec, facts.never),
            overlap=facts.overlap,
            overlap_s=facts.overlap_s,
            window=Window(
                seconds=window[1] - window[0] if window else 0.0,
                requests=measured.requests if measured else None,
                delivered_qps=measured.delivered / measured.seconds
                if measured and measured.seconds
                else None,
                errors=measured.errors if measured else None,
            ),
            series=series_of(meter, self._origin) if meter else None,
        )

    def _facts(
        self, body: Body, window: Span | None, min_overlap: float | None = None, cover: Sequence[Span] = ()
    ) -> Facts:
        window = window or (self._origin, self._origin)
        active = self.active.spans()
        inside = intersect([window], active)
        overlap_s, length = total_seconds(inside), window[1] - window[0]
        meter, watch = self.ctx.meter, self.watch
        measured: Measured | None = meter.measure(inside) if meter else None
        return Facts(
            body=body,
            result=self.result,
            never=self._why_never(window),
            overlap_s=overlap_s,
            overlap=min(1.0, overlap_s / length) if length > 0 else 0.0,
            min_overlap=min_overlap,
            uncovered=_uncovered(cover, active),
            window=measured,
            min_delivered=meter.min_delivered if meter else 0.0,
            remedy=meter.remedy if meter else "",
            unsampled=watch is not None and watch.unsampled,
            broke_during=watch.broke_during if watch else None,
            broke_after=watch.broke_after if watch else None,
            skipped=self._skipped,
            aborted=self._aborted,
            machinery=self._machinery(),
        )

    def refused(self, verdict: Verdict, reason: str) -> ChaosOutcome:
        """Return the outcome for when it was never started, or cannot be judged."""
        return self._outcome(verdict=verdict, reason=reason, result=never_ran(self.spec, reason))

    def _outcome(self, **said: Any) -> ChaosOutcome:
        """Return an outcome in which no secret stands, whoever has put it there."""
        outcome = ChaosOutcome(
            name=self.spec.name,
            timeline=self.timeline(),
            verify=self.watch.report() if self.watch else None,
            test=self._task_id,
            **said,
        )
        return ChaosOutcome.model_validate(self._redactor.json(outcome.to_json()))

    def timeline(self) -> dict[str, float]:
        """Return the named moments in seconds since the start of setup."""
        moments = dict(self._moments)
        if spans := self.active.spans():
            moments["active"] = spans[0][0]
            moments["last_effect"] = spans[-1][1]
            recovered_s = self.watch.report().time_to_recover_s if self.watch else None
            if recovered_s is not None:
                moments["recovered"] = spans[-1][1] + recovered_s
        return {name: self.seconds(at) for name, at in sorted(moments.items(), key=lambda item: item[1])}

    def mark(self, moment: str, at: float) -> None:
        """Put a moment of the test itself on the timeline."""
        self._moments[moment] = at

    def _run(self) -> None:
        action = self.spec.action
        try:
            self.spec.trigger.wait(self.ctx)
            if self.ctx.stop.is_set():
                raise Cancelled("asked to stop when the trigger fired")
            self._note("fired")
            self._reached(State.injecting)
            result = action.inject(self.ctx, self.active)
            if not isinstance(result, ChaosResult):
                raise TypeError(
                    f"inject() of {action.type!r} returned {type(result).__name__}, not a ChaosResult"
                )
            # Built anew: it may have been changed since it was checked, or never have been.
            self.result = ChaosResult.model_validate(
                {name: getattr(result, name) for name in ChaosResult.model_fields}
            )
        except Cancelled as cancelled:
            self._cancelled = str(cancelled)
        except TriggerTimeout as timeout:
            self._cancelled = str(timeout)
            self._skipped = str(timeout) if timeout.skip else None
        except BaseException as error:  # noqa: BLE001 - whatever a fault raises counts as a failed fault
            told = self._redactor.text("".join(traceback.format_exception(error)))
            log.debug("fault %r raised: %s", action.type, told)
            self.result = ChaosResult(
                success=False, injected_fault=action.type, error=f"{type(error).__name__}: {error}"
            )
        finally:
            self.active.clear()
            self._processes.end_all()
            self._note("finished")
            self.finished.set()
            self._reached(State.finished)

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.finished.is_set() or "fired" in self._moments)
            fired = self._moments.get("fired", time.monotonic())
            self._changed.wait_for(
                lambda: done() or self.finished.is_set(), fired + timeout_s - time.monotonic()
            )
        return done()

    def _reached(self, state: State) -> None:
        self.ctx.milestones.reach(state.value, self.spec.name)
        self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _note(self, moment: str) -> None:
        moment = clean(str(moment), 100)
        if len(self._moments) >= _MAX_MOMENTS and moment not in self._moments:
            return
        self._moments[moment] = time.monotonic()
        log.info("%s: %r %s", self._task_id, self.spec.name, moment)
        self._announce()

    def _machinery(self) -> str | None:
        if self.watch is not None and self.watch.broken is not None:
            return self.watch.broken
        if self._broken_brake is not None:
            return self._broken_brake
        if self._thread is None or self.finished.is_set():
            return None
        if self.was_fired:
            who, what = f"fault {self.spec.action.type!r}", "inject()"
        else:
            who, what = f"trigger {self.spec.trigger.type!r}", "wait()"
        return (
            f"the {who} did not stop within {self._settings.stop_timeout_s:g} s of being asked; "
            f"its processes were killed, its thread was left behind: let {what} return once ctx.stop is set"
        )

    def _why_never(self, window: Span) -> str:
        if self._thread is None:
            return "it was never started"
        seen = f" ({self.ctx.seen})" if self.ctx.seen else ""
        if "trigger_timed_out" in self._moments and not self.was_fired:
            return f"the trigger never fired: {self._cancelled}{seen}"
        if not self.was_fired:
            return (
                f"the trigger never fired: it fires {self.spec.trigger.in_words()}, and what it was meant to hit was over "
                f"after {window[1] - window[0]:.3f} s{seen}; fire it earlier, or let the body last longer"
            )
        if not self.was_active:
            if self.result is not None:
                return (
                    "the fault never was active: inject() returned without having set chaos_active_event; "
                    "set it once the harm is under way"
                )
            return (
                f"it was never active: the fault was fired only {max(0.0, window[1] - self._moments['fired']):.3f} s before the "
                f"end ({self._cancelled or 'it was still starting'}); let the body last longer, or fire earlier"
            )
        spans = self.active.spans()
        return (
            f"it was active for {total_seconds(spans):.3g} s, but not while the body ran "
            f"(active {spans[0][0] - window[0]:+.3g} s to {spans[-1][1] - window[0]:+.3g} s from the body's start)"
        )


class _Announced(ActiveEvent):
    """Wakes those who wait for a change of state when it is set."""

    def __init__(self, announce: Callable[[], None]) -> None:
        super().__init__()
        self._tell = announce

    def set(self) -> None:
        super().set()
        self._tell()


def never_ran(spec: ChaosSpec, why: str) -> ChaosResult:
    """Return the result of a fault that was never injected."""
    return ChaosResult(success=False, injected_fault=spec.action.type, error=why)


def _uncovered(spans: Sequence[Span], active: Sequence[Span]) -> str | None:
    """Return in words which of ``spans`` lie outside ``active``, if there are such."""
    outside = sum(not any(a <= start and end <= b for a, b in active) for start, end in spans)
    if not outside:
        return None
    return (
        f"{outside} of the {len(spans)} rounds of the benchmark ran while it was not active: "
        "let the disruption last for the whole body, or fire it before the body"
    )
