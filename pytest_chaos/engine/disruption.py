"""Disruption: one spec being run. Its own thread waits for the trigger, injects the fault and keeps the result."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from pytest_chaos.context import ActiveEvent, RunContext, Span, intersect, total_seconds
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.verdict import Body, Facts, judge, needs_check
from pytest_chaos.errors import Cancelled
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict, VerifyReport, Window
from pytest_chaos.scrub import clean
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

_MAX_MOMENTS = 100

log = logging.getLogger("pytest_chaos")

Asked = Callable[["Disruption"], "str | None"]
"""Asks the named check: returns None if it held, else why not."""


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
        origin: float,
    ) -> None:
        self.spec = spec
        self.result: ChaosResult | None = None
        self.finished = threading.Event()
        self._changed = threading.Condition()
        self.active = _Announced(self._announce)
        self._task_id = task_id
        self._settings = settings
        self._guard = guard
        self._origin = origin
        self._moments: dict[str, float] = {}
        self._cancelled: str = ""
        self.gave_up: str = ""
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
        )

    @property
    def state(self) -> State:
        """Where it stands right now."""
        if self.finished.is_set():
            return State.finished
        if self.active.is_set():
            return State.active
        return State.injecting if "fired" in self._moments else State.waiting

    @property
    def was_active(self) -> bool:
        """Tell whether the harm is or was under way."""
        return bool(self.active.spans())

    def prepare(self) -> None:
        """Check everything that can be checked before something starts.

        Raises:
            TargetRefused: the settings do not allow the target or the size.
        """
        self.spec.action.plan(self._settings)
        for url in self.spec.action.targets():
            self._guard.allow(url)

    def start(self) -> None:
        """Start the thread; the trigger's clock starts now."""
        self._thread = threading.Thread(
            target=self._run, name=f"pytest-chaos-{self.spec.name[:40]}", daemon=True
        )
        self._note("planned")
        self._thread.start()

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

    def conclude(
        self, body: Body, window: Span | None, *, ask: Asked | None = None, instead: str = ""
    ) -> ChaosOutcome:
        """Judge it. ``ask`` asks the named check; ``instead`` is a reason not to judge it at all."""
        window = window or (self._origin, self._origin)
        inside = intersect([window], self.active.spans())
        overlap_s = total_seconds(inside)
        length = window[1] - window[0]
        meter = self.ctx.meter
        measured = meter.measure(inside) if meter else None
        facts = Facts(
            body=body,
            result=self.result,
            never=self._why_never(window),
            overlap_s=overlap_s,
            window=measured,
            min_delivered=meter.min_delivered if meter else 0.0,
            remedy=meter.remedy if meter else "",
            machinery=self._machinery(),
        )
        verify = None
        if ask is not None and self.spec.verify is not None and needs_check(facts):
            facts, verify = self._checked(facts, ask)
        judgement = judge(facts)
        verdict, reason = (Verdict.not_judged, instead) if instead else (judgement.verdict, judgement.reason)
        if body is Body.not_run and self.gave_up:
            said = self.result.error if self.result else self._cancelled
            reason = f"{self.gave_up}; {said}" if said else self.gave_up
        return ChaosOutcome(
            name=self.spec.name,
            verdict=verdict,
            reason=reason,
            result=self.result or never_ran(self.spec, facts.never),
            overlap=min(1.0, overlap_s / length) if length > 0 else 0.0,
            overlap_s=overlap_s,
            window=Window(
                seconds=length,
                requests=measured.requests if measured else None,
                delivered_qps=measured.delivered / measured.seconds
                if measured and measured.seconds
                else None,
                errors=measured.errors if measured else None,
            ),
            timeline=self.timeline(),
            verify=verify,
        )

    def timeline(self) -> dict[str, float]:
        """Return the named moments in seconds since the start of setup."""
        moments = dict(self._moments)
        if spans := self.active.spans():
            moments["active"] = spans[0][0]
            moments["last_effect"] = spans[-1][1]
        return {
            name: round(at - self._origin, 6)
            for name, at in sorted(moments.items(), key=lambda item: item[1])
        }

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
        except BaseException as error:
            log.debug("fault %r raised", action.type, exc_info=True)
            self.result = ChaosResult(
                success=False, injected_fault=action.type, error=f"{type(error).__name__}: {error}"
            )
        finally:
            self.active.clear()
            self._processes.end_all()
            self._note("finished")
            self.finished.set()
            self._announce()

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: done() or self.finished.is_set() or "fired" in self._moments)
            fired = self._moments.get("fired", time.monotonic())
            self._changed.wait_for(
                lambda: done() or self.finished.is_set(), fired + timeout_s - time.monotonic()
            )
        return done()

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
        if self._thread is None or self.finished.is_set():
            return None
        if "fired" in self._moments:
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
        if "fired" not in self._moments:
            return (
                f"the trigger never fired: it fires {self.spec.trigger.in_words()}, and what it was meant to hit was over "
                f"after {window[1] - window[0]:.3f} s; fire it earlier, or let the body last longer"
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

    def _checked(self, facts: Facts, ask: Asked) -> tuple[Facts, VerifyReport]:
        name = self.spec.verify or ""
        try:
            failure = ask(self)
        except Exception as error:  # noqa: BLE001 - a check that cannot be used is our error to report
            return replace(facts, machinery=str(error)), VerifyReport(name=name, tries=1)
        self._note("verified")
        held = failure is None
        report = VerifyReport(
            name=name, phases={"after": held}, tries=1, failures=[] if held else [failure or ""]
        )
        return replace(facts, check_failure=failure), report


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
