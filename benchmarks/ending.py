"""How soon a load is gone after the body, and whether anything stays behind."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, percentile
from benchmarks.sessions import MeasuringFailed, session
from benchmarks.targets import counting_server, echo_server

STOPS: Final = 100
STOP_TARGET_S: Final = 0.050
TESTS: Final = 200
WARM: Final = 20
"""How many tests may fill caches before and how many are averaged at each end."""
GROWTH_TARGET_BYTES: Final = 64 * 1024


def measure(scratch: Path) -> list[Row]:
    """Measure stopping, and what is left after many chaos tests."""
    return [stopping(scratch), *residue(scratch)]


def stopping(scratch: Path) -> Row:
    """Let the target note every arrival, and look for the last one of each load."""
    with counting_server() as (url, arrivals):
        recorded = session(
            scratch,
            "load",
            CHAOS_BENCH_URL=url,
            CHAOS_BENCH_QPS="300",
            CHAOS_BENCH_SECONDS="0.05",
            CHAOS_BENCH_TESTS=str(STOPS),
        )
    recorded.outcomes()
    ends = [test["properties"]["body_ended"] for test in recorded.tests]
    following = [*(test["began"] for test in recorded.tests[1:]), float("inf")]
    late = []
    for end, until in zip(ends, following, strict=True):
        last = bisect_left(arrivals, until) - 1
        late.append(max(0.0, arrivals[last] - end))
    worst = percentile(late, 0.99)
    return Row(
        what=f"body's end → last request on the wire, p99 of {STOPS} (300 a second)",
        target="≤ 50 ms + one request",
        measured=f"{worst * 1e3:.1f} ms (p50 {percentile(late, 0.5) * 1e3:.1f} ms)",
        met=worst <= STOP_TARGET_S,
    )


def residue(scratch: Path) -> list[Row]:
    """Compare threads, open files and memory early and late in a session of chaos tests with real load."""
    with echo_server() as url:
        recorded = session(
            scratch,
            "load",
            CHAOS_BENCH_URL=url,
            CHAOS_BENCH_QPS="300",
            CHAOS_BENCH_SECONDS="0.02",
            CHAOS_BENCH_TESTS=str(TESTS),
        )
    recorded.outcomes()
    if len(recorded.tests) < 3 * WARM:
        raise MeasuringFailed("too few tests to compare the first with the last")

    def grown(what: str) -> float:
        values: list[float] = [test[what] for test in recorded.tests]
        return statistics.median(values[-WARM:]) - statistics.median(values[WARM : 2 * WARM])

    threads, descriptors = grown("threads"), grown("descriptors")
    per_test = grown("resident_bytes") / (TESTS - 2 * WARM)
    return [
        Row(
            what=f"threads and open files more after {TESTS} chaos tests",
            target="0 and 0",
            measured=f"{threads:g} and {descriptors:g}",
            met=threads <= 0 and descriptors <= 0,
        ),
        Row(
            what="memory kept for each chaos test (its report with the outcome)",
            target="≤ 64 KiB",
            measured=f"{per_test / 1024:.1f} KiB",
            met=per_test <= GROWTH_TARGET_BYTES,
        ),
    ]
