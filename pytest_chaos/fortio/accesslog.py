"""Read fortio's per-request log while it is written. It is the proof that requests were really answered."""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from threading import Lock

from pytest_chaos import clocks
from pytest_chaos.context import Slice, Span

_LINE = re.compile(
    rb'\{"latency":(\d{1,6}(?:\.\d{1,12})?(?:[eE]-?\d{1,2})?),"timestamp":(\d{1,19}),"thread":\d{1,9},"iter":\d{1,19},'
    rb'"ok":(true|false),"details":"([^"]{0,200})"\}\n?'
)

# Ten classes to a power of ten, with the rounded steps of ISO 3's series R10.
_EDGES_S = [
    float(f"{step}e{power}")
    for power in range(-6, 7)
    for step in ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
]


class AccessLog:
    """The requests of one or more loads: when each started, how long it took, and what came back.

    One thread feeds it, others may ask at any time. Moments are on the clock of ``clocks.monotonic()``;
    the log holds wall-clock time, so the distance between the two clocks is taken anew for each piece
    that is read, and a stepped clock misplaces at most what was in flight.
    """

    def __init__(self) -> None:
        self._starts = array("d")
        self._latencies = array("d")
        self._codes = array("h")
        self._ok = array("b")
        self._lock = Lock()
        self._answered = 0
        self._failed = 0

    def feed(self, lines: Sequence[bytes]) -> int:
        """Take lines from the start of ``lines`` as long as they are log lines; return how many were."""
        offset = clocks.monotonic() - clocks.wall()
        taken = 0
        with self._lock:
            for line in lines:
                match = _LINE.fullmatch(line)
                if match is None:
                    break
                latency, timestamp, ok, details = match.groups()
                code = int(details) if details.isdigit() and len(details) < 5 else -1
                self._starts.append(int(timestamp) / 1e9 + offset)
                self._latencies.append(float(latency))
                self._codes.append(code)
                self._ok.append(ok == b"true")
                self._answered += code > 0
                self._failed += ok != b"true"
                taken += 1
        return taken

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def answered(self) -> int:
        """How many requests got an HTTP response of any status so far."""
        return self._answered

    def earliest(self, since: int) -> float | None:
        """Return when the first of the requests from number ``since`` on was sent; None if there is none."""
        with self._lock:
            # The log is in the order in which requests ended; the first one sent is among the first that ended.
            return min(self._starts[since : since + 200], default=None)

    def count(self, spans: Sequence[Span]) -> tuple[int, int, int]:
        """Return how many requests started inside ``spans``, how many of them were answered, how many failed."""
        with self._lock:
            inside = [at for at, start in enumerate(self._starts) if any(a <= start <= b for a, b in spans)]
            answered = sum(self._codes[at] > 0 for at in inside)
            fine = sum(self._ok[at] for at in inside)
        return len(inside), answered, len(inside) - fine

    def codes(self, since: int = 0) -> dict[str, int]:
        """Return how often each status came since request ``since``; ``-1`` stands for no response."""
        with self._lock:
            counted = Counter(self._codes[since:])
        return {str(code): count for code, count in sorted(counted.items())}

    @property
    def failed(self) -> int:
        """How many requests did not succeed so far: no response, or a status that is no success."""
        return self._failed

    def percentiles(self, shares: Sequence[float], since: int = 0) -> list[float | None]:
        """Return the latency in seconds below which each share (0 to 1) of the requests stayed, errors included."""
        with self._lock:
            ordered = sorted(self._latencies[since:])
        return _at_shares(ordered, shares)

    def histogram(self) -> tuple[list[float], list[int]]:
        """Return the latencies in ten classes to a power of ten: their edges in seconds, and how many lie in each."""
        last = len(_EDGES_S) - 2
        with self._lock:
            counted = Counter(
                min(last, max(0, bisect_right(_EDGES_S, latency) - 1)) for latency in self._latencies
            )
        if not counted:
            return [], []
        first, last = min(counted), max(counted)
        return _EDGES_S[first : last + 2], [counted[number] for number in range(first, last + 1)]

    def slices(self, within: Span, *, origin: float, width_s: float) -> list[Slice]:
        """Return the requests that started ``within``, in stretches of ``width_s`` seconds counted from ``origin``."""
        first, last = within
        stretches: dict[int, list[int]] = {}
        with self._lock:
            for at, start in enumerate(self._starts):
                if not first <= start <= last:
                    continue
                stretches.setdefault(math.floor((start - origin) / width_s), []).append(at)
            if not stretches:
                return []
            return [
                self._slice(origin + number * width_s, stretches.get(number, ()))
                for number in range(min(stretches), max(stretches) + 1)
            ]

    def _slice(self, at: float, inside: Sequence[int]) -> Slice:
        p50, p99, top = _at_shares(sorted(self._latencies[one] for one in inside), (0.5, 0.99, 1.0))
        return Slice(
            at=at,
            requests=len(inside),
            errors=len(inside) - sum(self._ok[one] for one in inside),
            codes=Counter(self._codes[one] for one in inside),
            p50_s=p50,
            p99_s=p99,
            max_s=top,
        )


def _at_shares(ordered: Sequence[float], shares: Sequence[float]) -> list[float | None]:
    if not ordered:
        return [None for _ in shares]
    last = len(ordered) - 1
    return [ordered[min(last, max(0, math.ceil(len(ordered) * share) - 1))] for share in shares]
