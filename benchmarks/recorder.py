"""A plugin for the sessions that are measured: it times every test from outside and keeps its outcomes."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

RECORD: Final = "CHAOS_BENCH_RECORD"
"""The environment variable that names the file to write."""


class Recorder:
    """Measure round everything that other plugins do; write it all down at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._collection_s = 0.0
        self._tests: list[dict[str, Any]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        began = time.perf_counter()
        result = yield
        self._collection_s = time.perf_counter() - began
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        test: dict[str, Any] = {
            "name": item.nodeid,
            "outcomes": [],
            "properties": {},
            "began": time.monotonic(),
        }
        self._tests.append(test)
        wall, cpu = time.perf_counter(), time.process_time()
        result = yield
        test["wall_s"], test["cpu_s"] = time.perf_counter() - wall, time.process_time() - cpu
        test["threads"], test["descriptors"] = threading.active_count(), len([*Path("/dev/fd").iterdir()])
        test["temporary_files"] = sum(path.is_file() for path in Path(tempfile.gettempdir()).rglob("*"))
        test["resident_bytes"] = resident_bytes()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._tests[-1]["outcomes"] = getattr(report, "chaos", [])
            self._tests[-1]["properties"] = dict(report.user_properties)

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps({"collection_s": self._collection_s, "tests": self._tests}))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(Path(os.environ[RECORD])), "chaos-bench-recorder")


def resident_bytes() -> int:
    """Return the memory of this process: what is resident now, or, where that cannot be read, the most it ever was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
