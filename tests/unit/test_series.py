"""Series and slices: what was measured over time adds up to what was measured, and stays small whatever is logged."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.context import Meter, Slice, Span
from pytest_chaos.engine.series import series_of
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.outcome import Series

# When a request started, in seconds after the origin; how long it took; its status.
Request = tuple[float, float, int]


def line(timestamp_ns: int, latency_s: float = 0.001, code: int = 200) -> bytes:
    """Return a line of the access log as fortio writes it."""
    entry = {
        "latency": latency_s,
        "timestamp": timestamp_ns,
        "thread": 0,
        "iter": 0,
        "ok": 200 <= code < 300,
        "details": str(code),
    }
    return json.dumps(entry, separators=(",", ":")).encode()


class Logged:
    """What a series asks of a meter, over an access log as a load has one."""

    def __init__(self, requests: Iterable[Request], *, within: Span | None = None) -> None:
        self.origin = time.monotonic() - 10_000
        self.log = AccessLog()
        wall = time.time_ns() - 10_000 * 10**9
        for at, latency_s, code in requests:
            assert self.log.feed([line(wall + int(at * 1e9), latency_s, code)]) == 1
        self._within = within

    def slices(self, origin: float, width_s: float) -> Sequence[Slice]:
        first, last = self._within or (-1.0, 20_000.0)
        return self.log.slices((self.origin + first, self.origin + last), origin=origin, width_s=width_s)


def series_over(logged: Logged) -> Series | None:
    return series_of(cast("Meter", logged), logged.origin)


def series(requests: Iterable[Request], **more: Span) -> Series:
    found = series_over(Logged(requests, **more))
    assert found is not None
    return found


def steady(qps: float, seconds: float, *, since: float = 1.05) -> list[Request]:
    return [(since + number / qps, 0.01, 200) for number in range(int(qps * seconds))]


def test_nothing_measured_is_no_series() -> None:
    assert series_over(Logged([])) is None


@pytest.mark.parametrize(
    ("seconds", "width_s", "stretches"),
    [(0.4, 0.1, (4, 5)), (2, 0.1, (19, 22)), (30, 1, (30, 32)), (599, 1, (599, 601)), (3000, 10, (300, 302))],
)
def test_a_stretch_is_as_wide_as_suits_the_length(
    seconds: float, width_s: float, stretches: tuple[int, int]
) -> None:
    found = series(steady(20, seconds))
    assert found.width_s == width_s
    assert stretches[0] <= len(found.requests) <= stretches[1]
    assert sum(found.requests) == int(20 * seconds)
    inner = found.requests[1:-1]
    assert all(abs(count - 20 * width_s) <= 1 for count in inner)
    assert found.start_s <= 1.06 < found.start_s + width_s + 0.01


def test_each_stretch_tells_of_the_requests_that_started_in_it() -> None:
    requests = [
        (1.51, 0.1, 200),
        (1.52, 0.3, 503),
        (1.58, 0.2, 200),
        (1.79, 5.0, -1),
    ]
    found = series(requests)
    assert found.start_s == pytest.approx(1.5, abs=0.002)
    assert found.requests == [3, 0, 1]
    assert found.errors == [1, 0, 1]
    assert found.codes == {"-1": [0, 0, 1], "200": [2, 0, 0], "503": [1, 0, 0]}
    assert found.p50_s == [0.2, None, 5.0]
    assert found.p99_s == found.max_s == [0.3, None, 5.0]


def test_only_what_started_within_counts() -> None:
    requests = [(at, 0.01, 200) for at in (0.5, 1.5, 2.5, 3.5)]
    assert sum(series(requests, within=(1.0, 3.0)).requests) == 2


moments = st.floats(0, 3_000) | st.floats(0, 4) | st.sampled_from([0.0, 1.0, 2.0, 599.0, 600.0])
some_requests = st.lists(
    st.tuples(
        moments, st.integers(0, 10**8).map(lambda micros: micros / 1e6), st.sampled_from([-1, 200, 404, 503])
    ),
    min_size=1,
    max_size=40,
)


@given(some_requests)
def test_whatever_was_sent_everything_adds_up(requests: list[Request]) -> None:
    found = series(requests)
    count = len(found.requests)
    columns: list[Sequence[object]] = [
        found.errors,
        found.p50_s,
        found.p99_s,
        found.max_s,
        *found.codes.values(),
    ]
    assert {len(column) for column in columns} == {count}
    assert count <= 600
    assert found.requests[0] > 0 < found.requests[-1]
    codes = Counter(code for _, _, code in requests)
    assert {code: sum(column) for code, column in found.codes.items()} == {
        str(code): number for code, number in codes.items()
    }
    assert [sum(row) for row in zip(*found.codes.values(), strict=True)] == found.requests
    assert sum(found.errors) == len(requests) - codes[200]
    for number, p50, p99, top in zip(found.requests, found.p50_s, found.p99_s, found.max_s, strict=True):
        if not number:
            assert (p50, p99, top) == (None, None, None)
            continue
        assert p50 is not None
        assert p99 is not None
        assert top is not None
        assert p50 <= p99 <= top
    assert max(top for top in found.max_s if top is not None) == pytest.approx(
        max(latency for _, latency, _ in requests), abs=1e-9
    )


@pytest.mark.parametrize("timestamp_ns", [0, 1, 10**18, 9 * 10**18, 10**19 - 1])
def test_a_moment_that_cannot_be_is_outside(timestamp_ns: int) -> None:
    meter = Logged(steady(20, 2))
    meter.log.feed([line(timestamp_ns)])
    found = series_over(meter)
    assert found is not None
    assert sum(found.requests) == 40


def test_a_clock_that_was_put_back_makes_no_endless_series() -> None:
    """The span of a load begins with its first request, wherever a clock that was stepped has put that."""
    days = 3 * 86_400.0
    found = series([(-days, 0.01, 200), *steady(20, 2)], within=(-days, 20_000.0))
    assert len(found.requests) <= 1_000
