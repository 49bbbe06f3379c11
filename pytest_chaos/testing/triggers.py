"""The contract of a trigger."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final
from unittest import SkipTest

from pytest_chaos import clocks
from pytest_chaos.base import TRIGGERS, Trigger
from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, TriggerTimeout
from pytest_chaos.faults.generate_load import GenerateLoadFault, LoadTarget
from pytest_chaos.spec import ChaosSpec
from pytest_chaos.testing.contract import Contract, broken, check_line, in_words
from pytest_chaos.testing.traces import Traces
from pytest_chaos.testing.trial import context

__tracebackhide__ = True  # pytest shows the sentence alone, not where it stands here
_QUIET_S: Final = 0.1
_AGAIN_S: Final = 0.1


class TriggerContract(Contract):
    """What every trigger must keep to. Subclass it in a test module, and define ``make_trigger``.

    Each test runs ``wait`` in a thread, as a test under chaos does. There is a new instance for each, so a fixture can put
    on ``self`` what both methods need.

    Attributes:
        fires_within_s: seconds in which it must fire once it has reason to.
        stops_within_s: seconds in which it must have returned once it is asked to stop, and have left nothing behind.
    """

    __test__ = False

    fires_within_s: float = 5.0
    stops_within_s: float = 5.0

    _registry = TRIGGERS
    _key = "trigger"

    def make_trigger(self) -> Trigger:
        """Return the trigger. One that fires after a while shows more than one that fires at once."""
        raise NotImplementedError("define make_trigger(), which returns the trigger to test")

    def make_it_happen(self, ctx: RunContext) -> None:
        """Bring about what the trigger waits for. Leave it out for a trigger that fires by itself.

        It is called once if the trigger ``listens``, as soon as it does; else again and again until it fires.
        """

    def test_it_fires_when_it_should_and_not_before(self) -> None:
        """It returns once what it waits for has come about, and leaves nothing behind."""
        needs_reason = type(self).make_it_happen is not TriggerContract.make_it_happen
        run = self._wait(quiet_s=_QUIET_S if needs_reason else 0, happen=True)
        if not run.listening:
            raise broken(run.trigger, "says that it listens, and did not set ctx.listening")
        if not run.in_time:
            raise broken(run.trigger, f"did not fire within {self.fires_within_s:g} s")
        if run.raised is not None:
            raise broken(run.trigger, f"raised {in_words(run.raised)} when it was to fire") from run.raised
        if run.early:
            raise broken(run.trigger, "fired before make_it_happen() was called")
        self._check_left(run)

    def test_it_stops_when_asked_before_it_waits(self) -> None:
        """It raises ``Cancelled`` soon, and leaves nothing behind."""
        self._check_cancelled(self._wait(stop_first=True))

    def test_it_stops_when_asked_while_it_waits(self) -> None:
        """The same, a moment after it has begun to wait."""
        run = self._wait(quiet_s=_QUIET_S)
        if run.early and run.raised is None:
            raise SkipTest(
                f"it fires within {_QUIET_S:g} s, which leaves nothing to stop: let it wait for longer"
            )
        self._check_cancelled(run)

    def _made(self) -> tuple[Trigger, ChaosSpec]:
        target = LoadTarget(service_url="http://127.0.0.1/")
        spec = ChaosSpec(trigger=self.make_trigger(), action=GenerateLoadFault(target=target))
        return spec.trigger, spec

    def _check_words(self, subject: Trigger) -> None:
        check_line("in_words()", subject.in_words())

    def _wait(self, *, stop_first: bool = False, quiet_s: float = 0, happen: bool = False) -> _Waited:
        """Let it wait: with ``ctx.stop`` set first, or for a while without reason, and then perhaps with one; then stop it."""
        trigger, _ = self._made()
        over = threading.Event()
        came: list[BaseException | None] = []

        def wait() -> None:
            try:
                trigger.wait(ctx)
                came.append(None)
            except BaseException as error:  # noqa: BLE001 - whatever a trigger raises is judged, not lost in a thread
                came.append(error)
            over.set()

        traces, thread = Traces(), threading.Thread(target=wait, name="pytest-chaos-contract", daemon=True)
        with context(settings=self.settings) as ctx:
            for url in trigger.targets():
                ctx.allow(url)  # as before any run: what is outside is not touched here either
            if stop_first:
                ctx.stop.set()
            thread.start()
            listening = not (happen and trigger.listens) or ctx.listening.wait(self.fires_within_s)
            early = quiet_s > 0 and over.wait(quiet_s)
            deadline = clocks.monotonic() + self.fires_within_s
            while happen and not over.is_set() and clocks.monotonic() < deadline:
                self.make_it_happen(ctx)
                over.wait(self.fires_within_s if trigger.listens else _AGAIN_S)
            in_time = over.is_set()
            ctx.stop.set()
            asked = clocks.monotonic()
            thread.join(self.stops_within_s)
            left = ["wait() itself"] if thread.is_alive() else traces.left(asked + self.stops_within_s)
        return _Waited(
            trigger=trigger,
            listening=listening,
            early=early,
            in_time=in_time,
            raised=came[0] if came else None,
            left=left,
        )

    def _check_left(self, run: _Waited) -> None:
        if run.left:
            raise broken(
                run.trigger,
                f"left this behind {self.stops_within_s:g} s after ctx.stop was set: {', '.join(run.left)}",
            )

    def _check_cancelled(self, run: _Waited) -> None:
        self._check_left(run)
        if run.raised is None:
            raise broken(
                run.trigger,
                "returned from wait() as if it had fired, although ctx.stop was set: raise Cancelled",
            )
        skipped = isinstance(run.raised, TriggerTimeout) and run.raised.skip
        if not (isinstance(run.raised, Cancelled) or skipped):
            raise broken(run.trigger, f"raised {in_words(run.raised)}, not Cancelled") from run.raised


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waited:
    """What came of one run.

    Attributes:
        listening: nothing escaped it when it was to fire.
        early: it was over before it was given a reason.
        in_time: it was over before it was asked to stop.
        raised: what ``wait`` raised; None if it returned, or did not end at all.
        left: what it left behind in the end.
    """

    trigger: Trigger
    listening: bool
    early: bool
    in_time: bool
    raised: BaseException | None
    left: list[str]
