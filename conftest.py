"""Settings that only the root of the project may hold."""

from __future__ import annotations

# Imported up front: in-process runs of pytester drop what was imported inside them, and would make every
# inner run import pydantic and our models anew.
import pytest_chaos.faults.generate_load
import pytest_chaos.plugin.lifecycle  # noqa: F401

pytest_plugins = ["pytester"]
