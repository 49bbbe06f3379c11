"""How soon a load is gone after the body, and whether anything stays behind."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, percentile
from benchmarks.sessions import MeasuringFailed, session, temporary
from benchmarks.targets import counting_server, echo_server

STOPS: Final = 100
STOP_TARGET_S: Final = 0.050
TESTS: Final = 500
WARM: Final = 20
"""How many tests may fill caches before and how many are averaged at each end."""
GROWTH_TARGET_BYTES: Final = 64 * 1024
AT_ONCE: Final = 50


def measure(scratch: Path) -> list[Row]:
    """Measure stopping, what is left after many chaos tests, and many disruptions at once."""
    return [stopping(scratch), *residue(scratch), at_once(scratch)]


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
    """Compare threads, open files, temporary files and memory early and late in a session with real load."""
    with echo_server() as url:
        recorded = session(
            scratch,
            "load",
            CHAOS_BENCH_URL=url,
            CHAOS_BENCH_QPS="300",
            CHAOS_BENCH_SECONDS="0.05",
            CHAOS_BENCH_TESTS=str(TESTS),
        )
    recorded.outcomes()
    if len(recorded.tests) < 3 * WARM:
        raise MeasuringFailed("too few tests to compare the first with the last")

    def grown(what: str) -> float:
        values: list[float] = [test[what] for test in recorded.tests]
        return statistics.median(values[-WARM:]) - statistics.median(values[WARM : 2 * WARM])

    threads, descriptors, files = grown("threads"), grown("descriptors"), grown("temporary_files")
    left = sum(path.is_file() for path in temporary(scratch).rglob("*"))
    per_test = grown("resident_bytes") / (TESTS - 2 * WARM)
    return [
        Row(
            what=f"threads, open files and temporary files more after {TESTS} chaos tests; files left by the session",
            target="0, 0 and 0; 0",
            measured=f"{threads:g}, {descriptors:g} and {files:g}; {left}",
            met=max(threads, descriptors, files, left) <= 0,
        ),
        Row(
            what="memory kept for each chaos test (its report with the outcome)",
            target="≤ 64 KiB",
            measured=f"{per_test / 1024:.1f} KiB",
            met=per_test <= GROWTH_TARGET_BYTES,
        ),
    ]


def at_once(scratch: Path) -> Row:
    """Put one test under many loads, each with its own fortio, between two tests under one."""
    with echo_server() as url:
        recorded = session(
            scratch, "many", CHAOS_BENCH_URL=url, CHAOS_BENCH_LOADS=str(AT_ONCE), CHAOS_BENCH_SECONDS="2"
        )
    recorded.outcomes()
    before, many, _ = recorded.tests
    moments = [outcome["timeline"] for outcome in many["outcomes"]]
    active_s = max(one["active"] for one in moments) - min(one["fired"] for one in moments)
    over_s = max(one["finished"] - one["body_ended"] for one in moments)
    left = many["threads"] - before["threads"], many["descriptors"] - before["descriptors"]
    return Row(
        what=f"{AT_ONCE} loads at once in one test: threads and open files more after it",
        target="all held; 0 and 0",
        measured=f"all held; {left[0]} and {left[1]} (all active after {active_s:.2f} s, all over after {over_s:.2f} s)",
        met=max(left) <= 0,
    )
