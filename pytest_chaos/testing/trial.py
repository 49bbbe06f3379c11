"""A context to try a fault or trigger in, outside of any disruption, and a clock that spares the waiting."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter

from pytest_chaos.context import RunContext
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.processes import Processes
from pytest_chaos.errors import ChaosError
from pytest_chaos.settings import Settings


class FakeClock:
    """Time that passes only while somebody waits for it, and then at once.

    It drives ``ctx.sleep`` and ``ctx.stop.wait`` of one thread. That is honest only for code that waits with these two:
    ``time.sleep``, ``clocks.monotonic``, sockets, processes and the ``timeout`` of a trigger go by real time.

    Attributes:
        now: seconds that have passed. The clock itself is a function of it, as ``ActiveEvent(clock)`` takes one.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._thread: int | None = None

    def __call__(self) -> float:
        """Return ``now``."""
        return self.now

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Call ``do`` once ``moment`` seconds have passed: ``clock.at(3, ctx.stop.set)``."""
        self._due.append((moment, do))
        self._due.sort(key=itemgetter(0))

    def stop_event(self) -> threading.Event:
        """Return an event whose ``wait`` lets the time of this clock pass."""
        return _Timed(self)

    def pass_by(self, seconds: float, unless: Callable[[], bool]) -> None:
        """Let ``seconds`` pass, with what is due by then; only as far as ``unless`` stays false.

        Raises:
            ChaosError: another thread waits with this clock too; their waits would add up.
        """
        self._thread = self._thread or threading.get_ident()
        if self._thread != threading.get_ident():
            raise ChaosError("a FakeClock is for one thread: the waits of two would add up; use real time")
        end = self.now + max(0.0, seconds)
        while not unless() and self._due and self._due[0][0] <= end:
            moment, do = self._due.pop(0)
            self.now = max(self.now, moment)
            do()
        if not unless() and end < math.inf:
            self.now = end


class _Timed(threading.Event):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass; a wait without end goes on in real time once nothing is due any more."""
        self._clock.pass_by(math.inf if timeout is None else timeout, self.is_set)
        return super().wait(None if timeout is None else 0)


@contextmanager
def context(
    task_id: str = "trial",
    *,
    env: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    clock: FakeClock | None = None,
) -> Iterator[RunContext]:
    """Yield a context as a test hands it to its faults and triggers.

    ``spawn`` starts real processes; ``allow`` is the real guard: loopback, and what ``settings`` allow besides. In the
    end ``stop`` is set and every process that was started is killed.
    """
    settings, processes = settings or Settings(), Processes()
    ctx = RunContext(
        task_id,
        env=env or {},
        settings=settings,
        stop=clock.stop_event() if clock else threading.Event(),
        spawn=processes.spawn,
        allow=Guard(settings.allowed_targets).allow,
    )
    try:
        yield ctx
    finally:
        ctx.stop.set()
        processes.end_all()
