"""Reading fortio's JSON: one kind of failure for each way in which it can be no report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.context import Measured
from pytest_chaos.errors import FaultFailed
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.figures import cross_check, figures
from pytest_chaos.fortio.run import read_report

REPORT: dict[str, Any] = {
    "RunType": "HTTP",
    "Version": "1.68.2",
    "DurationHistogram": {"Count": 300, "Max": 0.5},
    "RetCodes": {"200": 300},
    "SocketCount": 12,
    "Sizes": {"Count": 300, "Sum": 18_300.0},
}
RAW = json.dumps(REPORT, indent=2).encode() + b"\n"


def test_a_report() -> None:
    assert read_report(RAW) == REPORT


def without(key: str) -> bytes:
    return json.dumps({name: value for name, value in REPORT.items() if name != key}).encode()


def changed(**more: Any) -> bytes:
    return json.dumps({**REPORT, **more}).encode()


NO_REPORTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no_json"),
    "blank lines": (b" \n\n", "no_json"),
    "half": (RAW[: len(RAW) // 2], "truncated_json"),
    "all but the end": (RAW[:-2], "truncated_json"),
    "an opening": (b"{", "truncated_json"),
    "text": (b"All done 300 calls", "bad_json"),
    "text behind it": (RAW + b"bye", "bad_json"),
    "two": (RAW + RAW, "bad_json"),
    "no text at all": (b"\xff\xfe\x00", "bad_json"),
    "very deep": (b"[" * 200_000, "bad_json"),
    "a list": (b"[]", "foreign_json"),
    "a word": (b'"HTTP"', "foreign_json"),
    "a number": (b"300", "foreign_json"),
    "null": (b"null", "foreign_json"),
    "another tool's": (b'{"requests": 300, "latency": {"p99": 0.1}}', "foreign_json"),
    "without its type": (without("RunType"), "foreign_json"),
    "without its histogram": (without("DurationHistogram"), "foreign_json"),
    "a histogram of text": (changed(DurationHistogram="many"), "foreign_json"),
    "a histogram without count": (changed(DurationHistogram={}), "foreign_json"),
    "a count of text": (changed(DurationHistogram={"Count": "300"}), "foreign_json"),
    "a count that is no number": (changed(DurationHistogram={"Count": float("nan")}), "foreign_json"),
    "an abort": (changed(error=True, message="stopped in warm-up"), "aborted"),
}


@pytest.mark.parametrize(
    ("raw", "kind"), NO_REPORTS.values(), ids=[name.replace(" ", "-") for name in NO_REPORTS]
)
def test_what_is_no_report_fails_by_kind(raw: bytes, kind: str) -> None:
    with pytest.raises(FaultFailed) as failed:
        read_report(raw)
    assert failed.value.kind == kind
    assert str(failed.value)


def test_the_cause_of_an_abort_is_told() -> None:
    with pytest.raises(FaultFailed, match="stopped in warm-up"):
        read_report(changed(error=True, message="stopped in \x1b[31mwarm-up"))


@given(st.integers(0, len(RAW) - 2))
def test_no_beginning_of_a_report_is_a_report(length: int) -> None:
    with pytest.raises(FaultFailed) as failed:
        read_report(RAW[:length])
    assert failed.value.kind in {"no_json", "truncated_json", "bad_json"}


@given(st.binary(max_size=200))
def test_whatever_is_printed_only_typed_failures_come_of_it(raw: bytes) -> None:
    with pytest.raises(FaultFailed):
        read_report(raw)


@pytest.mark.parametrize(("logged", "reported"), [(300, 300), (299, 300), (302, 300), (0, 2), (1000, 1010)])
def test_both_counts_may_differ_by_a_little(logged: int, reported: int) -> None:
    cross_check(logged, {"DurationHistogram": {"Count": reported}})


@pytest.mark.parametrize(
    ("logged", "reported"), [(0, 3), (3, 0), (300, 304), (1000, 1011), (1011, 1000), (0, 10**9)]
)
def test_counts_that_disagree_are_both_not_believed(logged: int, reported: int) -> None:
    with pytest.raises(FaultFailed, match=f"{reported} requests, its access log holds {logged}") as failed:
        cross_check(logged, {"DurationHistogram": {"Count": reported}})
    assert failed.value.kind == "figures_disagree"


NOTHING = Measured(seconds=0.0, due=0.0, requests=0, delivered=0, errors=0)


def test_figures_come_from_what_was_measured() -> None:
    measured = Measured(seconds=2.0, due=600.0, requests=590, delivered=580, errors=15)
    made = figures(
        AccessLog(), [REPORT, REPORT], measured=measured, warmup_requests=24, argv=["fortio", "load"]
    )
    assert (made.asked_qps, made.delivered_qps, made.seconds) == (300.0, 290.0, 2.0)
    assert (made.connections, made.bytes, made.warmup_requests) == (24, 36_600, 24)
    assert (made.requests, made.responses, made.errors) == (0, {}, 0)
    assert (made.p50_s, made.p99_s, made.max_s) == (None, None, None)
    assert (made.fortio_version, made.argv) == ("1.68.2", ["fortio", "load"])


def test_without_a_report_there_are_figures_all_the_same() -> None:
    made = figures(AccessLog(), [], measured=NOTHING, warmup_requests=0, argv=[])
    assert (made.asked_qps, made.delivered_qps) == (0.0, 0.0)
    assert (made.connections, made.bytes, made.fortio_version) == (None, None, None)


@pytest.mark.parametrize("odd", [None, "12", -1, float("nan"), float("inf"), [], {"Sum": None}])
def test_a_report_with_odd_values_spoils_only_those(odd: object) -> None:
    report = {**REPORT, "SocketCount": odd, "Sizes": {"Sum": odd}, "Version": odd}
    made = figures(AccessLog(), [report], measured=NOTHING, warmup_requests=0, argv=[])
    assert (made.connections, made.bytes) == (None, None)
    made.model_dump_json().encode()
