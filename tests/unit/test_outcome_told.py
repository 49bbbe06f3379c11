"""What an outcome tells beside its verdict: the spec as written, and how long the requests took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_chaos.context import Measured
from pytest_chaos.engine.conclusion import unrun
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.figures import figures
from pytest_chaos.outcome import Verdict
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec, masked


def spec(**target: Any) -> ChaosSpec:
    action = {
        "type": "generate_load",
        "target": {"service_url": "http://127.0.0.1:1/?token=hush-hush", **target},
    }
    return ChaosSpec.model_validate({"trigger": {"type": "time"}, "action": action})


def test_a_spec_is_told_as_it_was_written() -> None:
    target = {"service_url": "http://127.0.0.1:1/?token=hush-hush", "qps": 7}
    assert masked(spec(qps=7)) == {
        "trigger": {"type": "time"},
        "action": {"type": "generate_load", "target": target},
    }


def test_the_values_of_headers_are_masked_however_short() -> None:
    told = masked(spec(headers={"A": "x", "B": "{{KEY}}"}))
    assert told["action"]["target"]["headers"] == {"A": "***", "B": "***"}


def test_what_was_never_run_tells_its_spec_without_secrets() -> None:
    settings = Settings(worker="gw3")
    (outcome,) = unrun([spec(headers={"A": "abcdef"})], Verdict.disabled, "off", test="t", settings=settings)
    assert outcome.worker == "gw3"
    assert outcome.started_at is None
    told = json.dumps(outcome.to_json())
    assert "hush-hush" not in told
    assert "abcdef" not in told
    assert outcome.spec["action"]["target"]["headers"] == {"A": "***"}  # type: ignore[call-overload, index]


def log_of(*latencies: Any) -> AccessLog:
    log = AccessLog()
    template = '{"latency":%s,"timestamp":1,"thread":0,"iter":1,"ok":true,"details":"200"}\n'
    lines = [(template % latency).encode() for latency in latencies]
    assert log.feed(lines) == len(lines)
    return log


@pytest.mark.parametrize(
    ("latencies", "edges", "counts"),
    [
        ([], [], []),
        ([0.001, 0.00124, 0.00125], [0.001, 0.00125, 0.0016], [2, 1]),
        ([0.0009999, 0.0016], [0.0008, 0.001, 0.00125, 0.0016, 0.002], [1, 0, 0, 1]),
        ([0.0], [1e-6, 1.25e-6], [1]),
        ([999_999], [800_000, 1_000_000], [1]),
        (["9e9"], [6_300_000, 8_000_000], [1]),
    ],
)
def test_the_histogram_counts_every_request(
    latencies: list[Any], edges: list[float], counts: list[int]
) -> None:
    measured = Measured(seconds=1, due=1, requests=1, delivered=1, errors=0)
    told = figures(log_of(*latencies), [], measured=measured, warmup_requests=0, argv=[]).histogram
    assert (told and (told.edges_s, told.counts)) == ((edges, counts) if counts else None)
