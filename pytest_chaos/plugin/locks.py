"""The locks of one test: taken before its setup where every target is known by then, else after its fixtures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pytest_chaos.engine.broker import Broker, Lock
from pytest_chaos.engine.guard import one_name
from pytest_chaos.engine.permit import check_permit
from pytest_chaos.errors import Cancelled, ChaosError
from pytest_chaos.placeholders import names
from pytest_chaos.plugin.marks import Marked
from pytest_chaos.plugin.variables import fill_known
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec


class TestLocks:
    """What one test has locked, until it is over.

    Attributes:
        problem: why its targets could not be had before its setup, if that is so.
    """

    __test__ = False  # pytest collects classes by name

    def __init__(self, broker: Broker, settings: Settings, test: str) -> None:
        self._broker = broker
        self._settings = settings
        self._test = test
        self._taken: dict[str, Lock] = {}
        self._turn = threading.Lock()
        self._over = False
        self.problem: ChaosError | None = None

    def take_known(self, marked: Marked) -> None:
        """Take all locks of the test before its setup, if no fixture is needed to know them; what goes wrong is kept."""
        try:
            urls = [url for spec in marked.specs for url in fill_known(spec, self._settings).action.targets()]
            if marked.lock or not any(map(names, urls)):
                self._take([one_name(url) for url in urls if not names(url)], marked)
        except ChaosError as problem:
            self.problem = problem

    def take(
        self,
        filled: Sequence[ChaosSpec],
        authored: Sequence[ChaosSpec],
        marked: Marked,
        *,
        cancelled: Callable[[], bool],
    ) -> None:
        """Take what has not been taken yet for specs whose placeholders are filled, in one go.

        Raises:
            LockTimeout: something was not free in time.
            Cancelled: nobody wants it any more.
        """
        keys = [] if marked.lock else _keys(filled, authored, self._settings)
        while not self._turn.acquire(timeout=0.1):  # another block of the same test is at it
            if cancelled():
                return
        try:
            self._take(keys, marked, cancelled)
        finally:
            self._turn.release()

    def _take(
        self, keys: Sequence[str], marked: Marked, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        missing = {*keys, *(f"lock {name!r}" for name in marked.lock)} - self._taken.keys()
        if not missing:
            return

        def enough() -> bool:
            check_permit(self._settings)
            return cancelled() or self._over

        enough()
        taken = self._broker.take(
            missing, who=self._test, shared=marked.shared, holding=self._taken, cancelled=enough
        )
        self._taken.update({lock.key: lock for lock in taken})
        if self._over:  # by now
            self.release()
            raise Cancelled(f"{self._test} is over")

    def release(self) -> None:
        """Let all of them go, and take no more."""
        self._over = True
        while self._taken:
            self._taken.popitem()[1].release()


def _keys(filled: Sequence[ChaosSpec], authored: Sequence[ChaosSpec], settings: Settings) -> list[str]:
    """Return what has to be locked. A loopback port that only a fixture knows is this test's own."""
    found = []
    for spec, written in zip(filled, authored, strict=True):
        known = [not names(url) for url in fill_known(written, settings).action.targets()]
        for url, is_known in zip(spec.action.targets(), known, strict=True):
            key = one_name(url)
            if is_known or not key.startswith("localhost:"):
                found.append(key)
    return found
