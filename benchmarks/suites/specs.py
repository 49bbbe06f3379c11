"""A thousand tests, each with a spec of its own, under a mark that the environment names. They are only collected."""

from __future__ import annotations

import os
from typing import Any

import pytest

mark = getattr(pytest.mark, os.environ["CHAOS_BENCH_MARK"])


def spec(number: int) -> dict[str, Any]:
    return {
        "name": f"rush {number}",
        "trigger": {"type": "time", "delay_seconds": number / 100},
        "action": {
            "type": "generate_load",
            "target": {
                "service_url": f"http://127.0.0.1:{10_000 + number}/checkout",
                "qps": 1 + number,
                "duration": f"{1 + number % 100}s",
                "headers": {"X-Number": str(number)},
            },
        },
    }


@pytest.mark.parametrize("number", [pytest.param(n, marks=mark(spec(n))) for n in range(1000)])
def test_nothing(number: int) -> None:
    pass
