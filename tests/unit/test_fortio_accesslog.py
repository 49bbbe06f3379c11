"""The access log: what was answered, when, and that no line can break the reading of it."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.fortio.accesslog import AccessLog


def line(details: str = "200", *, at: float = 0.0, latency: float = 0.001, ok: bool | None = None) -> bytes:
    """Return a line as fortio writes it, for a request that started ``at`` seconds from now."""
    entry: dict[str, Any] = {
        "latency": latency,
        "timestamp": time.time_ns() + int(at * 1e9),
        "thread": 3,
        "iter": 17,
        "ok": details.startswith("2") if ok is None else ok,
        "details": details,
    }
    return json.dumps(entry, separators=(",", ":")).encode()


def filled(*lines: bytes) -> AccessLog:
    log = AccessLog()
    assert log.feed(lines) == len(lines)
    return log


def test_a_line_as_fortio_writes_it() -> None:
    log = AccessLog()
    raw = (
        b'{"latency":0.000187,"timestamp":1795412132685913108,"thread":0,"iter":0,"ok":true,"details":"200"}'
    )
    assert log.feed([raw]) == 1
    assert (len(log), log.answered, log.failed, log.codes()) == (1, 1, 0, {"200": 1})
    assert log.percentiles([0.5, 1.0]) == [0.000187, 0.000187]


def test_any_status_is_an_answer_and_no_response_is_none() -> None:
    log = filled(line("200"), line("204"), line("302", ok=False), line("503"), line("-1"), line("-1"))
    assert log.answered == 4
    assert log.failed == 4
    assert log.codes() == {"-1": 2, "200": 1, "204": 1, "302": 1, "503": 1}


def test_requests_are_counted_by_their_start() -> None:
    log = filled(line(at=-2), line(at=-1), line("-1", at=-0.5), line("500", at=-0.5), line(at=5))
    now = time.monotonic()
    assert log.count([(now - 3, now - 1.5)]) == (1, 1, 0)
    assert log.count([(now - 1.5, now)]) == (3, 2, 2)
    assert log.count([(now - 3, now - 1.5), (now + 4, now + 6)]) == (2, 2, 0)
    assert log.count([(now - 100, now - 50)]) == (0, 0, 0)
    assert log.count([]) == (0, 0, 0)


def test_reading_stops_where_the_log_does() -> None:
    log = AccessLog()
    assert log.feed([line(), line(), b"{", b'  "RunType": "HTTP",', line()]) == 2
    assert len(log) == 2


@pytest.mark.parametrize("last", [99, 100, 101])
def test_percentiles_are_latencies_that_occurred(last: int) -> None:
    log = filled(*(line(latency=n / 1000) for n in range(1, last + 1)))
    p50, p99, top = log.percentiles([0.5, 0.99, 1.0])
    assert (p50, p99, top) == (math.ceil(last * 0.5) / 1000, math.ceil(last * 0.99) / 1000, last / 1000)


def test_nothing_logged_has_no_percentiles() -> None:
    assert AccessLog().percentiles([0.5, 0.99]) == [None, None]


def test_later_requests_can_be_told_from_earlier_ones() -> None:
    log = filled(line("200", latency=0.5), line("500", latency=0.1))
    assert log.codes(since=1) == {"500": 1}
    assert log.percentiles([1.0], since=1) == [0.1]


LINE = line()
NO_LINES = {
    "nothing": b"",
    "null": b"null",
    "another object": b"{}",
    "cut off": LINE[:-1],
    "indented": b" " + LINE,
    "two in one": LINE + LINE,
    "infinite latency": LINE.replace(b"0.001", b"1e999"),
    "negative latency": LINE.replace(b"0.001", b"-1"),
    "no latency": LINE.replace(b"0.001", b"--"),
    "two points": LINE.replace(b"0.001", b"1.2.3"),
    "latency is not a number": LINE.replace(b"0.001", b"NaN"),
    "negative moment": LINE.replace(b'"timestamp":', b'"timestamp":-'),
    "moment out of range": LINE.replace(b'"timestamp":', b'"timestamp":' + b"9" * 400),
    "moment without end": LINE.replace(b'"timestamp":', b'"timestamp":' + b"9" * 5000),
    "ok is a number": LINE.replace(b"true", b"1"),
}


@pytest.mark.parametrize("raw", NO_LINES.values(), ids=[name.replace(" ", "-") for name in NO_LINES])
def test_a_line_that_fortio_would_not_write_is_no_log_line(raw: bytes) -> None:
    log = AccessLog()
    assert log.feed([raw]) == 0
    assert (len(log), log.answered, log.codes()) == (0, 0, {})


@pytest.mark.parametrize("details", ["", "abc", "-1", "99999", "20 0", "\xb2"])
def test_details_that_are_no_status_are_no_answer(details: str) -> None:
    entry = json.dumps(
        {"latency": 0.1, "timestamp": 1, "thread": 0, "iter": 0, "ok": True}, separators=(",", ":")
    )
    log = AccessLog()
    assert log.feed([f'{entry[:-1]},"details":"{details}"}}'.encode()]) == 1
    assert log.answered == 0
    assert log.codes() == {"-1": 1}


@given(st.lists(st.binary(max_size=40) | st.sampled_from([line(), line("-1")]), max_size=8))
def test_whatever_is_fed_the_counts_agree(lines: list[bytes]) -> None:
    log = AccessLog()
    taken = log.feed(lines)
    assert len(log) == taken == sum(log.codes().values())
    assert log.answered <= taken
    now = time.monotonic()
    assert log.count([(now - 3600, now + 3600)])[0] == taken
