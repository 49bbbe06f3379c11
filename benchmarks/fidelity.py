"""Whether fortio delivers as much under us as it does when somebody runs the same command line by hand."""

from __future__ import annotations

import json
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import Row, percentile
from benchmarks.sessions import MeasuringFailed, session
from benchmarks.targets import echo_server

TARGET: Final = 0.995
LOG_TARGET: Final = 0.97
PAIRS: Final = 4
SECONDS: Final = {50: 4.01, 300: 2.502, 2000: 2.5}
"""How long each rate is run: to the middle between two requests, so that a millisecond does not cost one of them."""

_MARKER: Final = re.compile(rb"Starting at [\d.]+ qps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load that was run: how long, how many answered requests, how slow."""

    seconds: float
    delivered: float
    p99_s: float


def measure(scratch: Path) -> list[Row]:
    """Run both at several rates."""
    with echo_server() as url:
        return [*(row(scratch, url, qps) for qps in SECONDS), log_row(scratch, url, 2000)]


def log_row(scratch: Path, url: str, qps: int) -> Row:
    """Run it with the access log that we read while it is written, and by hand without any log, in turns."""
    ours: list[Load] = []
    bare: list[Load] = []
    for _ in range(PAIRS):
        argv, load = run_ours(scratch, url, qps)
        ours.append(load)
        bare.append(run_without_log(argv, load.seconds))
    got, possible = rate(ours), rate(bare)
    return Row(
        what=f"delivered ÷ delivered by hand without an access log, at {qps} requests a second",
        target=f"≥ {LOG_TARGET}",
        measured=f"{got / possible:.4f} ({got:.2f} and {possible:.2f} a second)",
        met=got / possible >= LOG_TARGET,
    )


def run_without_log(argv: Sequence[str], seconds: float) -> Load:
    """Run ``argv`` less its access log, interrupt it ``seconds`` after its start marker, and believe its JSON."""
    at = argv.index("-access-log-file")
    fortio = subprocess.Popen(
        [*argv[:at], *argv[at + 4 :]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert fortio.stderr is not None
    try:
        while (line := fortio.stderr.readline()) and not _MARKER.match(line):
            pass
        time.sleep(seconds)
        fortio.send_signal(signal.SIGINT)
        report = json.loads(fortio.communicate(timeout=10)[0])
    finally:
        fortio.kill()
        fortio.wait()
    return Load(
        seconds=report["ActualDuration"] / 1e9, delivered=report["RetCodes"]["200"], p99_s=float("nan")
    )


def row(scratch: Path, url: str, qps: int) -> Row:
    """Run both in turns, the same command line for the same time; who goes first alternates."""
    argv: list[str] = []
    ours: list[Load] = []
    by_hand: list[Load] = []
    for pair in range(PAIRS):
        if pair % 2:
            by_hand.append(run_by_hand(scratch, argv, ours[-1].seconds))
        argv, load = run_ours(scratch, url, qps)
        ours.append(load)
        if not pair % 2:
            by_hand.append(run_by_hand(scratch, argv, load.seconds))
    got, possible = rate(ours), rate(by_hand)
    slow = " and ".join(
        f"{statistics.median(load.p99_s for load in loads) * 1e3:.2f}" for loads in (ours, by_hand)
    )
    return Row(
        what=f"delivered ÷ delivered by hand, at {qps} requests a second",
        target=f"≥ {TARGET}",
        measured=f"{got / possible:.4f} ({got:.2f} and {possible:.2f} a second; p99 {slow} ms)",
        met=got / possible >= TARGET,
    )


def rate(loads: Sequence[Load]) -> float:
    """Return the answered requests a second over all of ``loads``."""
    return sum(load.delivered for load in loads) / sum(load.seconds for load in loads)


def run_ours(scratch: Path, url: str, qps: int) -> tuple[list[str], Load]:
    """Run one test under load; return the command line that was run, and the figures of its result."""
    recorded = session(
        scratch,
        "rate",
        CHAOS_BENCH_URL=url,
        CHAOS_BENCH_QPS=str(qps),
        CHAOS_BENCH_DURATION=f"{SECONDS[qps] * 1e3:.0f}ms",
    )
    (outcome,) = recorded.outcomes()
    details = outcome["result"]["details"]
    return details["argv"], Load(
        seconds=details["seconds"],
        delivered=details["delivered_qps"] * details["seconds"],
        p99_s=details["p99_s"],
    )


def run_by_hand(scratch: Path, argv: Sequence[str], seconds: float) -> Load:
    """Run ``argv`` as in a shell, ``fortio ... | cat > file``, and interrupt it ``seconds`` after its start marker."""
    file = scratch / "by-hand.txt"
    with file.open("wb") as output:
        fortio = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert fortio.stdout is not None
        assert fortio.stderr is not None
        cat = subprocess.Popen(["cat"], stdin=fortio.stdout, stdout=output)
        fortio.stdout.close()
        try:
            while (line := fortio.stderr.readline()) and not _MARKER.match(line):
                pass
            began = time.time()
            time.sleep(seconds)
            fortio.send_signal(signal.SIGINT)
            ended = time.time()
            fortio.stderr.read()
            if fortio.wait(10) != 0 or cat.wait(10) != 0:
                raise MeasuringFailed("fortio run by hand did not end well")
        finally:
            for process in (fortio, cat):
                process.kill()
                process.wait()
            fortio.stderr.close()
    return read_log(file, began, ended)


def read_log(file: Path, marker: float, ended: float) -> Load:
    """Count what fortio's access log, the first lines of ``file``, holds up to ``ended``.

    As under us, the load began with its first request, if that was sent before the marker was read.
    """
    requests = []
    with file.open("rb") as lines:
        for line in lines:
            if not line.startswith(b'{"latency"'):
                break
            requests.append(json.loads(line))
    answered = [request["timestamp"] / 1e9 for request in requests if request["details"] != "-1"]
    if not answered:
        raise MeasuringFailed("fortio run by hand got no answer")
    began = min(marker, *answered)
    return Load(
        seconds=ended - began,
        delivered=sum(began <= sent <= ended for sent in answered),
        p99_s=percentile([request["latency"] for request in requests], 0.99),
    )
