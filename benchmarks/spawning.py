"""What it costs that the reaper, and not pytest, is the parent of every fault process."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, percentile
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.reaper.client import reaper_of_this_process

COMMAND: Final = ("sleep", "60")
FIRST: Final = 10
FURTHER: Final = 100
FIRST_TARGET_S: Final = 0.060
FURTHER_TARGET_S: Final = 0.005


def measure(_scratch: Path) -> list[Row]:
    """Measure the first process, with which the reaper is started, and further ones beside plain ones."""
    first = [
        through_the_reaper() for _ in range(FIRST)
    ]  # nobody holds the reaper, so each one starts it anew
    reaper = reaper_of_this_process()
    reaper.hold()
    try:
        through_the_reaper()
        pairs = [(through_the_reaper(), by_hand()) for _ in range(FURTHER)]
    finally:
        reaper.release()
    further = [ours - plain for ours, plain in pairs]
    return [
        Row(
            what=f"until the first process of a fault runs, with the reaper's own start (median of {FIRST})",
            target="≤ 60 ms",
            measured=f"{statistics.median(first) * 1e3:.0f} ms (most: {max(first) * 1e3:.0f} ms)",
            met=statistics.median(first) <= FIRST_TARGET_S,
        ),
        Row(
            what=f"until each further one runs, beyond a plain subprocess (p50 of {FURTHER})",
            target="≤ 5 ms",
            measured=f"{statistics.median(further) * 1e3:.1f} ms (p99 {percentile(further, 0.99) * 1e3:.1f} ms)",
            met=statistics.median(further) <= FURTHER_TARGET_S,
        ),
    ]


def through_the_reaper() -> float:
    """Return the seconds until a process runs."""
    processes = Processes()
    began = time.perf_counter()
    try:
        processes.spawn(COMMAND)
        return time.perf_counter() - began
    finally:
        processes.end_all()


def by_hand() -> float:
    """Return the seconds until a process runs that has the same kind of session, directory and outputs."""
    began = time.perf_counter()
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=tempfile.gettempdir(),
    )
    took = time.perf_counter() - began
    process.kill()
    process.communicate()
    return took
