"""Sampler: ask something again and again while a disruption is active."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_chaos.engine.disruption import Disruption


class Sampler:
    """Call ``ask`` at once when ``disruption`` becomes active, and every ``every_s`` seconds as long as it is.

    All of it happens in one thread. A call that has begun while it was active may end later.
    """

    def __init__(self, disruption: Disruption, ask: Callable[[], None], *, every_s: float) -> None:
        self._disruption = disruption
        self._ask = ask
        self._every_s = every_s
        self._enough = Event()
        self._thread = Thread(target=self._run, name="pytest-chaos-sampler", daemon=True)

    def start(self) -> None:
        """Begin to wait for the disruption."""
        self._thread.start()

    def end(self, timeout_s: float = 0.0) -> None:
        """Ask no more, and wait at most ``timeout_s`` for the last answer."""
        self._disruption.let_go(self._enough)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._disruption.wait_active_again(self._enough):
            self._ask()
            self._enough.wait(self._every_s)
