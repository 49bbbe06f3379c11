"""Tests whose disruptions are due at different times; each body shows how exactly a bare thread keeps the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from benchmarks.instant import spec

DELAYS_S = (0.0, 0.01, 0.02, 0.05)


@pytest.mark.parametrize("number", range(60))
@pytest.mark.parametrize("delay", [pytest.param(d, marks=pytest.mark.chaos(spec(d))) for d in DELAYS_S])
def test_bare_wait(delay: float, number: int, record_property: Callable[[str, object], None]) -> None:
    fired: list[float] = []

    def wait() -> None:
        threading.Event().wait(delay)
        fired.append(time.monotonic())

    thread = threading.Thread(target=wait)
    planned = time.monotonic()
    thread.start()
    thread.join()
    record_property("bare_late_s", fired[0] - planned - delay)
