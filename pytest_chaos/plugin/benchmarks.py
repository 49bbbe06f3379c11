"""Benchmarks under chaos: when each measured round ran, and what the figures say of the chaos they were taken under.

pytest-benchmark is never imported here, and what is not its own fixture is left alone.
"""

from __future__ import annotations

import contextlib
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

import pytest

from pytest_chaos import clocks
from pytest_chaos.context import Span
from pytest_chaos.outcome import ChaosOutcome, Verdict

_FIXTURE = pytest.StashKey[Any]()
_STEADY_CLOCKS = (time.perf_counter, time.monotonic)  # noqa: TID251 - somebody may have chosen it for a benchmark
_FIGURES = ("asked_qps", "delivered_qps", "errors", "p99_s")


class Rounds(Sequence[Span]):
    """When measured rounds ran, in their order. It grows while they run.

    A round takes 16 bytes, half of what pytest-benchmark itself keeps of it: there is no need for a limit.
    """

    def __init__(self) -> None:
        self._begins = array("d")
        self._ends = array("d")
        self._first = 0

    def noting(self, update: Callable[[float], None], *, wall: bool) -> Callable[[float], None]:
        """Return what takes the duration of a round that has ended right now, notes it, and hands it on to ``update``.

        ``wall`` tells whether durations are steady seconds of wall clock. If not, as with a timer of CPU seconds, a
        round is only certain to have begun after the one before it.
        """
        # What runs between two rounds takes caches from the next one, and so shows in figures of less than a microsecond: be brief.
        begun, ended, clock = self._begins.append, self._ends.append, clocks.monotonic
        before = clock()

        def note(duration: float) -> None:
            nonlocal before
            now = clock()
            begun(now - duration if wall else before)
            ended(now)
            before = now
            update(duration)

        return note

    def from_now(self) -> Rounds:
        """Return those that end from now on."""
        later = Rounds()
        later._begins, later._ends, later._first = self._begins, self._ends, len(self._ends)
        return later

    def __len__(self) -> int:
        return len(self._ends) - self._first

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> list[Span]: ...
    def __getitem__(self, index: int | slice) -> Span | list[Span]:
        if isinstance(index, slice):
            return list(self)[index]
        place = range(self._first, len(self._ends))[index]
        return self._begins[place], self._ends[place]

    def __iter__(self) -> Iterator[Span]:
        # A test that is interrupted may leave a begin without an end.
        return islice(zip(self._begins, self._ends, strict=False), self._first, None)


class Benchmark:
    """The ``benchmark`` fixture of one test that is disrupted, if the test has one.

    Its statistics are handed every measured duration right after the round, outside of what is timed. That is
    where the moments are noted; calibration, warm-up and the last call, for the result, do not come by there. In a
    pytest-benchmark that does it another way no rounds are known, and nothing breaks.

    Attributes:
        rounds: when the measured rounds ran.
    """

    def __init__(self) -> None:
        self.rounds = Rounds()
        self._fixture: Any = None
        self._undo = contextlib.ExitStack()

    def watch(self, fixture: Any) -> None:
        """Note the rounds of ``fixture`` until ``conclude``. ``None`` is no fixture."""
        if fixture is self._fixture:
            return
        self._fixture = fixture
        add = getattr(fixture, "_add_stats", None)  # private, and the only name of its kind here
        if callable(add):
            fixture._add_stats = self._adding(add)
            self._undo.callback(setattr, fixture, "_add_stats", add)

    def conclude(self, outcomes: Sequence[ChaosOutcome], origin: float) -> None:
        """Let go of the fixture, and put ``outcomes`` into its ``extra_info``, which stands beside the figures in every file.

        ``origin`` is the zero of their timelines.
        """
        self._undo.close()
        extra = getattr(self._fixture, "extra_info", None)
        if not outcomes or not isinstance(extra, dict):
            return
        told = [self._in_short(one, origin) for one in outcomes]
        chaos = max(told, key=lambda one: Verdict(one["verdict"]).rank)
        extra["chaos"] = {**chaos, "disruptions": told} if len(told) > 1 else chaos

    def _adding(self, add: Callable[[Any], None]) -> Callable[[Any], None]:
        def adding(stats: Any) -> None:
            add(stats)
            with contextlib.suppress(AttributeError):
                wall = stats.options.get("timer") in _STEADY_CLOCKS
                stats.update = self.rounds.noting(stats.update, wall=wall)
                self._undo.callback(vars(stats).pop, "update", None)

        return adding

    def _in_short(self, outcome: ChaosOutcome, origin: float) -> dict[str, Any]:
        if outcome.verdict is Verdict.disabled:
            return {"verdict": Verdict.disabled.value}
        verdict, reason = outcome.verdict, outcome.reason
        if verdict is Verdict.held and (outside := self._outside(outcome, origin)):
            verdict = Verdict.inconclusive
            reason = f"{outside} of the {len(self.rounds)} rounds of the benchmark ran before or after it"
        details = outcome.result.details
        return {
            "name": outcome.name,
            "verdict": verdict.value,
            "reason": reason,
            **{key: details.get(key) for key in _FIGURES},
            "overlap": round(outcome.overlap, 6),
        }

    def _outside(self, outcome: ChaosOutcome, origin: float) -> int:
        """Count the rounds that ran before or after a disruption that held: one that was started and stopped by hand."""
        begin, end = (origin + outcome.timeline[moment] for moment in ("active", "last_effect"))
        return sum(start < begin or stop > end for start, stop in self.rounds)


def note_fixture(node: pytest.Item, value: object) -> bool:
    """Tell whether ``value``, a fixture of ``node``, is that of pytest-benchmark; keep it for ``fixture_of`` if so."""
    kind = getattr(sys.modules.get("pytest_benchmark.fixture"), "BenchmarkFixture", None)
    if kind is None or not isinstance(value, kind):
        return False
    node.stash[_FIXTURE] = value
    return True


def fixture_of(item: pytest.Item) -> Any:
    """Return the fixture of pytest-benchmark that ``item`` has so far, or None."""
    note_fixture(item, getattr(item, "funcargs", {}).get("benchmark"))  # if chaos came later than it did
    return item.stash.get(_FIXTURE, None)
