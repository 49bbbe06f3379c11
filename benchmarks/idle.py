"""What the plugin costs a suite without chaos."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, midmean
from benchmarks.forked import PEACE
from benchmarks.sessions import LIMIT_S, ROOT, MeasuringFailed, arguments, environment

TARGET_S: Final = 0.002
SUITES: Final = ((1, 150), (1000, 31))
"""How many tests a suite has, and how many pairs of processes run it."""


def measure(scratch: Path) -> list[Row]:
    """Compare the CPU of suites with and without the plugin."""
    return [row(scratch, tests, pairs) for tests, pairs in SUITES]


def row(scratch: Path, tests: int, pairs: int) -> Row:
    """Measure one suite of trivial tests."""
    folder = scratch / f"idle-{tests}"
    folder.mkdir()
    suite = folder / "test_nothing.py"
    suite.write_text("".join(f"def test_{number}():\n    pass\n\n\n" for number in range(tests)))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.forked", str(suite), str(pairs)],
        cwd=ROOT,
        env=environment(scratch),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise MeasuringFailed(done.stderr)
    measured: list[tuple[float, float]] = json.loads(done.stdout)
    added = midmean([with_plugin - without for without, with_plugin in measured])
    whole = statistics.median(cpu_of_fresh(scratch, suite) for _ in range(7))
    noun = "one trivial test" if tests == 1 else f"{tests:,} trivial tests"
    return Row(
        what=f"CPU that the idle plugin adds to a suite of {noun}",
        target="≤ 2 ms",
        measured=f"{added * 1e3:.1f} ms: {added / whole:.1%} of {whole * 1e3:.0f} ms",
        met=added <= TARGET_S,
    )


def cpu_of_fresh(scratch: Path, suite: Path) -> float:
    """Return the seconds of CPU that ``pytest`` takes for ``suite`` from its start, without the plugin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments(suite.parent), *PEACE, str(suite)],
        stdout=subprocess.DEVNULL,
        env=environment(scratch),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise MeasuringFailed(f"pytest ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
