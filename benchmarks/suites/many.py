"""One test under one load, one under as many as the environment says, and again one under one."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

SECONDS = float(os.environ["CHAOS_BENCH_SECONDS"])
LOADS = int(os.environ["CHAOS_BENCH_LOADS"])


def load(number: int) -> dict[str, Any]:
    target = {
        "service_url": os.environ["CHAOS_BENCH_URL"],
        "qps": 10,
        "concurrency": 2,
        "min_delivered": 0.0,  # so many on one machine are late, which is no matter here
    }
    return {
        "name": f"load {number}",
        "trigger": {"type": "time"},
        "action": {"type": "generate_load", "target": target},
    }


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(count, marks=pytest.mark.chaos(*map(load, range(count))), id=f"{place} {count}")
        for place, count in (("before", 1), ("at once", LOADS), ("after", 1))
    ],
)
def test_under_loads(count: int) -> None:
    time.sleep(SECONDS)
