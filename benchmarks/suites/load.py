"""Tests under real load, as many, as long and against what the environment says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

SECONDS = float(os.environ["CHAOS_BENCH_SECONDS"])

TARGET = {
    "service_url": os.environ["CHAOS_BENCH_URL"],
    "qps": int(os.environ["CHAOS_BENCH_QPS"]),
    "min_delivered": 0.0,  # what is delivered is measured here, not judged
}


@pytest.mark.chaos({"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": TARGET}})
@pytest.mark.parametrize("number", range(int(os.environ["CHAOS_BENCH_TESTS"])))
def test_under_load(number: int, record_property: Callable[[str, object], None]) -> None:
    time.sleep(SECONDS)
    record_property("body_ended", time.monotonic())
