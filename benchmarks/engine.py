"""What our own machinery costs, and how exactly it fires."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, percentile
from benchmarks.sessions import Recorded, session

COST_TARGET_S: Final = 0.002
TESTS: Final = 300
PLANNING_TARGET_S: Final = 0.5
PLANNING_PAIRS: Final = 5
FIRING_TARGET_S: Final = 0.005


def measure(scratch: Path) -> list[Row]:
    """Measure the cost of a chaos test, of planning, and the precision of the time trigger."""
    return [*cost(scratch), planning(scratch), firing(scratch)]


def cost(scratch: Path) -> list[Row]:
    """Compare empty tests with and without chaos that alternate in one session."""
    session(scratch, "cost", CHAOS_BENCH_TESTS="1")  # writes the byte code
    recorded = session(scratch, "cost", CHAOS_BENCH_TESTS=str(TESTS))
    recorded.outcomes()
    return [
        Row(
            what=f"our {noun} for a chaos test, beyond fault and trigger ({TESTS} tests)",
            target="≤ 2 ms",
            measured=f"{more * 1e3:.2f} ms (an empty test: {empty * 1e3:.2f} ms)",
            met=more <= COST_TARGET_S,
        )
        for noun, (empty, more) in {
            "wall time": beyond_empty(recorded, "wall_s"),
            "CPU": beyond_empty(recorded, "cpu_s"),
        }.items()
    ]


def beyond_empty(recorded: Recorded, what: str) -> tuple[float, float]:
    """Return the median of ``what`` for tests without chaos, and how much more those with chaos take."""
    empty = statistics.median(test[what] for test in recorded.of(chaos=False))
    return empty, statistics.median(test[what] for test in recorded.of(chaos=True)) - empty


def planning(scratch: Path) -> Row:
    """Collect 1,000 tests with specs, and the same tests with the same specs under a mark of somebody else."""

    def collect(mark: str, *more: str) -> float:
        words = ("--collect-only", "-o", "markers=peace", *more)
        return session(scratch, "specs", *words, CHAOS_BENCH_MARK=mark).collection_s

    collect("chaos", "--chaos-dry-run")  # writes the byte code
    more = statistics.median(
        collect("chaos", "--chaos-dry-run") - collect("peace") for _ in range(PLANNING_PAIRS)
    )
    return Row(
        what="1,000 specs loaded, validated and planned, beyond collection",
        target="< 0.5 s",
        measured=f"{more:.2f} s",
        met=more < PLANNING_TARGET_S,
    )


def firing(scratch: Path) -> Row:
    """Compare when triggers fired with when they were due."""
    recorded = session(scratch, "delays")
    late = []
    for outcome in recorded.outcomes():
        timeline = outcome["timeline"]
        delay = float(outcome["name"].split()[-1])
        late.append(timeline["fired"] - timeline["planned"] - delay)
    worst = percentile(late, 0.99)
    bare = percentile([test["properties"]["bare_late_s"] for test in recorded.tests], 0.99)
    return Row(
        what=f"fired - planned, p99 of {len(late)}",
        target="≤ 5 ms",
        measured=f"{worst * 1e3:.2f} ms (p50 {percentile(late, 0.5) * 1e3:.2f} ms; "
        f"p99 of a bare thread: {bare * 1e3:.2f} ms)",
        met=worst <= FIRING_TARGET_S and min(late) >= 0,
    )
