"""Settings that only the root of the project may hold."""

from __future__ import annotations

import gc

# Imported before anything is frozen below: it looks for referrers, and does not see frozen ones.
import hypothesis  # noqa: F401

# Imported up front: in-process runs of pytester drop what was imported inside them, and would make every
# inner run import pydantic and our models anew.
import pytest_chaos.faults.generate_load
import pytest_chaos.plugin.lifecycle  # noqa: F401

pytest_plugins = ["pytester"]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the session.

    Every inner run of pytest 8.4 collects garbage five times, which was two thirds of the suite's time.
    """
    gc.collect()
    gc.freeze()
