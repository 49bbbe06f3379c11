"""Tests whose disruptions are due at different times."""

from __future__ import annotations

import pytest

from benchmarks.instant import spec

DELAYS_S = (0.0, 0.01, 0.02, 0.05)


@pytest.mark.parametrize("number", range(60))
@pytest.mark.parametrize("delay", [pytest.param(d, marks=pytest.mark.chaos(spec(d))) for d in DELAYS_S])
def test_nothing(delay: float, number: int) -> None:
    pass
