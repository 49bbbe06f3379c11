"""SIGTERM and SIGHUP while a test is disrupted: everything is torn down first, and then they do what they always do."""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Callable
from signal import getsignal
from signal import signal as handle
from threading import current_thread, get_ident, main_thread
from types import FrameType
from typing import Final

import pytest

from pytest_chaos import clocks

_HEEDED: Final = (signal.SIGTERM, signal.SIGHUP)
_ONE_AND_THE_SAME_S: Final = 1.0
"""Whoever ends a job may signal its group, too, or send one signal after the other: within this time it counts as one."""


class Signals:
    """Turn a signal into a ``KeyboardInterrupt``, which pytest knows how to end with, and deliver it at the end.

    Only what would end the process is dealt with: a handler of somebody else stays, and so does a signal
    that is ignored, as under nohup.
    """

    def __init__(self) -> None:
        self._tests = 0
        self._taken: list[signal.Signals] = []
        self._session: pytest.Session | None = None
        self._received: signal.Signals | None = None
        self._deaf_until = 0.0
        self._masks: dict[int, set[int]] = {}
        self._let_forks_be()

    def heed(self, item: pytest.Item) -> None:
        """Heed signals until ``item`` is torn down."""
        self._tests += 1
        self._session = item.session
        item.addfinalizer(self._one_less)
        if current_thread() is main_thread():  # no other one may
            for number in _HEEDED:
                if getsignal(number) is signal.SIG_DFL:
                    handle(number, self._receive)
                    self._taken.append(number)

    def deliver(self) -> None:
        """Give back what was taken; then end the process by the signal that was received, if one was."""
        self._give_back()
        if self._received is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os.kill(os.getpid(), self._received)

    def _one_less(self) -> None:
        self._tests -= 1
        if not self._tests and self._received is None:
            self._give_back()

    def _give_back(self) -> None:
        while self._taken:
            number = self._taken.pop()
            if getsignal(number) == self._receive:  # or else a test has set one, which is its affair
                handle(number, signal.SIG_DFL)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        """Interrupt the session; again, if asked again later: what was raised in a finalizer, Python has dropped."""
        if self._session is None or not (self._tests or self._received):
            handle(number, signal.SIG_DFL)  # a test has put us back after our time
            os.kill(os.getpid(), number)
            return
        self._received = self._received or signal.Signals(number)
        self._session.shouldstop = f"ended by {self._received.name}"  # even if a test swallows what follows
        if clocks.monotonic() >= self._deaf_until:
            self._deaf_until = clocks.monotonic() + _ONE_AND_THE_SAME_S
            raise KeyboardInterrupt(self._received.name)

    def _let_forks_be(self) -> None:
        """Give each fork of a test the default again, with no moment between in which Python would drop a signal."""
        this = weakref.ref(self)

        def step(how: Callable[[Signals], None]) -> Callable[[], None]:
            def run() -> None:
                if (found := this()) is not None and found._taken:
                    how(found)

            return run

        os.register_at_fork(
            before=step(Signals._block),
            after_in_parent=step(Signals._unblock),
            after_in_child=step(Signals._leave),
        )

    def _block(self) -> None:
        self._masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, self._taken)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(get_ident(), set()))

    def _leave(self) -> None:
        self._give_back()
        self._unblock()
