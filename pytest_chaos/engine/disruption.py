"""Disruption: one spec being run. Its own thread waits for the trigger, injects the fault and keeps the result."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from threading import Condition, Event, Thread

from pytest_chaos import clocks
from pytest_chaos.context import ActiveEvent, RunContext
from pytest_chaos.engine.brake import Brake
from pytest_chaos.engine.checks import Check
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.verdict import Aborted
from pytest_chaos.engine.watch import Watch
from pytest_chaos.errors import Cancelled, SteadyStateBad, TriggerTimeout
from pytest_chaos.milestones import Milestones
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.scrub import clean
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec, masked

_MAX_MOMENTS = 100
_POLL_S = 0.02
_HEEDS_WITHIN_S = 0.4

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
        written: the spec as it was authored, as plain JSON.
        finished: set when the fault's thread has ended.
        result: what the fault said of itself, once finished.
        moments: named moments of ``clocks.monotonic()``; ``origin`` is the start of setup.
        cancelled: why the trigger or the fault ended early, if that is so.
        skipped: why the trigger wants the test to be skipped, if it does.
        aborted: why it was stopped before its time, if it was.
        deaf: whether the trigger said that it listens, and never did.
        recovering_since: the fault's end, while the check is asked whether the system has recovered.
        gave_up: why nobody waited for it any longer, if that is so.
        watch: asks the check that the spec names in ``verify``, if it names one.
        brake: asks the one that it names in ``abort_when``.
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
        self.written = masked(authored)
        self.result: ChaosResult | None = None
        self.finished = Event()
        self._changed = Condition()
        self.active = _Announced(lambda: self._reached(State.active))
        self._task_id = task_id
        self.settings = settings
        self._guard = guard
        self.origin = origin
        self.moments: dict[str, float] = {}
        self.cancelled: str = ""
        self.skipped: str | None = None
        self.gave_up: str = ""
        self.deaf = False
        self.recovering_since: float | None = None
        self.watch: Watch | None = None
        self.brake: Brake | None = None
        self.aborted: Aborted | None = None
        self._processes = Processes()
        self._thread: Thread | None = None
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

    @cached_property
    def redactor(self) -> Redactor:
        """Keeps the secrets of this spec out of what is said of it."""
        return self.spec.redactor(self.settings)

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
        return "fired" in self.moments

    @property
    def why_not_active(self) -> str:
        """Why it is not active, in words, as far as that is known."""
        said = self.result.error if self.result is not None else self.cancelled
        return self.redactor.text(said or "it is still starting")

    def prepare(self, check: Check | None, abort_check: Check | None) -> None:
        """Check everything that can be checked before something starts.

        ``check`` is what the spec names in ``verify``, ``abort_check`` what it names in ``abort_when``.

        Raises:
            TargetRefused: the settings do not allow the target or the size.
        """
        self.spec.action.plan(self.settings)
        for url in (*self.spec.trigger.targets(), *self.spec.action.targets()):
            self._guard.allow(url)
        timeout_s = self.settings.check_timeout_s
        if check is not None:
            self.watch = Watch(self, check, timeout_s=timeout_s)
        if abort_check is not None:
            self.brake = Brake(self, abort_check, timeout_s=timeout_s)

    def abort(self, reason: str, *, broke: bool) -> None:
        """Stop it before its time. ``broke`` tells that it is the system's fault, which a check has found."""
        if self.aborted is None and not self.ctx.stop.is_set():
            self.aborted = Aborted(reason, broke)
            self.stop()

    def cut_off(self) -> None:
        """End its processes, whether it has heeded ``stop`` by now or not."""
        if self.aborted is not None and self._thread is not None:
            self.finished.wait(max(0.0, self.moments["stopped"] + _HEEDS_WITHIN_S - clocks.monotonic()))
            self._processes.end_all()

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
        thread = Thread(target=self._run, name=f"pytest-chaos-{self.spec.name[:40]}", daemon=True)
        self._note("planned")
        thread.start()
        self._thread = thread
        if self.spec.trigger.listens:  # what the first line of the body does must be heard
            self._wait_listening()
        if self.watch is not None:
            self.watch.start()
        if self.brake is not None:
            self.brake.start()

    def _wait_listening(self) -> None:
        deadline = clocks.monotonic() + self.settings.start_timeout_s
        while not (self.ctx.listening.wait(_POLL_S) or self.finished.is_set() or self.ctx.stop.is_set()):
            if clocks.monotonic() > deadline:
                self.deaf = True
                return

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
        if self.brake is not None:
            self.brake.end()
        if self.watch is not None:
            self.watch.join()

    @property
    def not_ended(self) -> str:
        """What went wrong with ending its processes, if anything did."""
        return self._processes.failure

    def wait_active_again(self, unless: Event) -> bool:
        """Wait until it is active; return False once it is over, or after ``let_go`` of ``unless``."""
        with self._changed:
            self._changed.wait_for(lambda: self.active.is_set() or self.finished.is_set() or unless.is_set())
        return self.active.is_set() and not unless.is_set()

    def let_go(self, waiting: Event) -> None:
        """Set ``waiting`` and wake whoever waits with it."""
        waiting.set()
        self._announce()

    def seconds(self, moment: float) -> float:
        """Return a moment of ``clocks.monotonic()`` in seconds since the start of setup."""
        return round(moment - self.origin, 6)

    def give_up_checking(self) -> None:
        """Ask the named check no more."""
        if self.watch is not None:
            self.watch.give_up()

    def recover(self) -> None:
        """Ask the named check until the system has recovered, if that is wanted, counted from the fault's end."""
        if self.watch is None or not (spans := self.active.spans()):
            return
        self.recovering_since = spans[-1][1]
        if self.watch.recover(self.recovering_since):
            self._note("verified")
        self.recovering_since = None

    def timeline(self) -> dict[str, float]:
        """Return the named moments in seconds since the start of setup."""
        moments = dict(self.moments)
        if spans := self.active.spans():
            moments["active"] = spans[0][0]
            moments["last_effect"] = spans[-1][1]
            if self.watch is not None and self.watch.recovered_s is not None:
                moments["recovered"] = spans[-1][1] + self.watch.recovered_s
        return {name: self.seconds(at) for name, at in sorted(moments.items(), key=lambda item: item[1])}

    def mark(self, moment: str, at: float) -> None:
        """Put a moment of the test itself on the timeline."""
        self.moments[moment] = at

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
            self.cancelled = str(cancelled)
        except TriggerTimeout as timeout:
            self.cancelled = str(timeout)
            self.skipped = str(timeout) if timeout.skip else None
        except BaseException as error:  # noqa: BLE001 - whatever a fault raises counts as a failed fault
            told = self.redactor.text("".join(traceback.format_exception(error)))
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
            self._changed.wait_for(lambda: done() or self.finished.is_set() or "fired" in self.moments)
            fired = self.moments.get("fired", clocks.monotonic())
            self._changed.wait_for(
                lambda: done() or self.finished.is_set(), fired + timeout_s - clocks.monotonic()
            )
        return done()

    def _reached(self, state: State) -> None:
        self.ctx.milestones.reach(state.value, self.spec.name)
        self._announce()

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _note(self, moment: str) -> None:
        moment = clean(self.redactor.text(str(moment)), 100)
        if len(self.moments) >= _MAX_MOMENTS and moment not in self.moments:
            return
        self.moments[moment] = clocks.monotonic()
        self._announce()
        with suppress(Exception):  # of somebody's log filter, say: it must not keep us from stopping anything
            log.info("%s: %r %s", self._task_id, self.redactor.text(self.spec.name), moment)


class _Announced(ActiveEvent):
    """Wakes those who wait for a change of state when it is set."""

    def __init__(self, announce: Callable[[], None]) -> None:
        super().__init__()
        self._tell = announce

    def set(self) -> None:
        super().set()
        self._tell()
