"""Milestones: what one test has reached so far, for triggers that wait for it."""

from __future__ import annotations

from threading import Condition, Event

from pytest_chaos import clocks
from pytest_chaos.errors import Cancelled

Milestone = tuple[str, str]
"""A kind and a name: ``("checkpoint", NAME)``, or a state and the name of the disruption that reached it."""

_POLL_S = 0.05


class Milestones:
    """Checkpoints of a body and states of its disruptions, in the order in which they were reached.

    One test has one of these; any thread may note, ask and wait.
    """

    def __init__(self) -> None:
        self._reached: dict[Milestone, float] = {}
        self._changed = Condition()

    def reach(self, kind: str, name: str) -> None:
        """Note that a milestone was reached, and wake those who wait for it. The first time counts."""
        with self._changed:
            self._reached.setdefault((kind, name), clocks.monotonic())
            self._changed.notify_all()

    def names(self, kind: str) -> list[str]:
        """Return the names of all milestones of one kind so far, in their order."""
        with self._changed:
            return [name for one, name in self._reached if one == kind]

    def wait(self, milestone: Milestone, *, until: float, stop: Event) -> bool:
        """Wait for ``milestone`` until that moment of ``clocks.monotonic()``; tell whether it was reached.

        Raises:
            Cancelled: ``stop`` was set first.
        """
        with self._changed:
            while milestone not in self._reached:
                if stop.is_set():
                    raise Cancelled("asked to stop while waiting")
                left = until - clocks.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, _POLL_S))
        return True
