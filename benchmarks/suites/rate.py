"""One test after a load of a fixed length."""

from __future__ import annotations

import os

import pytest

TARGET = {
    "service_url": os.environ["CHAOS_BENCH_URL"],
    "qps": int(os.environ["CHAOS_BENCH_QPS"]),
    "duration": os.environ["CHAOS_BENCH_DURATION"],
    "min_delivered": 0.0,  # what is delivered is measured here, not judged
}


@pytest.mark.chaos(
    {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": TARGET}}, wait="done"
)
def test_after_load() -> None:
    pass
