"""The locks of one test: taken before its setup where every target is known by then, else after its fixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_chaos.engine.broker import Broker, Lock
from pytest_chaos.engine.guard import one_name
from pytest_chaos.errors import ChaosError
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

    def __init__(self, broker: Broker, test: str, marked: Marked) -> None:
        self._broker = broker
        self._test = test
        self._marked = marked
        self._taken: dict[str, Lock] = {}
        self.problem: ChaosError | None = None

    def take_known(self, settings: Settings) -> None:
        """Take all locks of the test before its setup, if no fixture is needed to know them; what goes wrong is kept."""
        urls = [url for spec in self._marked.specs for url in fill_known(spec, settings).action.targets()]
        if any(map(names, urls)) and not self._marked.lock:
            return
        known = [one_name(url) for url in urls if not names(url)]
        try:
            self._take([*known, *(f"lock {name!r}" for name in self._marked.lock)])
        except ChaosError as problem:
            self.problem = problem

    def take(
        self,
        filled: Sequence[ChaosSpec],
        authored: Sequence[ChaosSpec],
        *,
        settings: Settings,
        cancelled: Callable[[], bool],
    ) -> None:
        """Take what has not been taken yet for specs whose placeholders are filled, in one go.

        Raises:
            LockTimeout: something was not free in time.
            Cancelled: nobody wants it any more.
        """
        if not self._marked.lock:
            self._take(_keys(filled, authored, settings), cancelled)

    def _take(self, keys: Sequence[str], cancelled: Callable[[], bool] = lambda: False) -> None:
        missing = [key for key in keys if key not in self._taken]
        taken = self._broker.take(missing, who=self._test, shared=self._marked.shared, cancelled=cancelled)
        self._taken.update({lock.key: lock for lock in taken})

    def release(self) -> None:
        """Let all of them go."""
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
