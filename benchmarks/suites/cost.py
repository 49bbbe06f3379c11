"""Empty tests; every second one is disrupted by a fault that costs nothing itself."""

from __future__ import annotations

import os

import pytest

from benchmarks.instant import spec

PAIRS = int(os.environ["CHAOS_BENCH_TESTS"])


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.chaos(spec()) if n % 2 else ()) for n in range(2 * PAIRS)]
)
def test_nothing(number: int) -> None:
    pass
