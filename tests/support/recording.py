"""A pytest plugin for inner runs: write every report into a file, a JSON document a line.

Loaded with ``-p tests.support.recording``; the file is named by the environment variable
``CHAOS_TESTS_RECORD``. Under xdist only the controller writes: what counts is what arrives there.
PYTEST_DONT_REWRITE: it is imported before pytest could, and asserts nothing.
"""

from __future__ import annotations

import os
from json import dumps
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "CHAOS_TESTS_RECORD"


class _Recorder:
    def __init__(self, path: str) -> None:
        self._path = Path(path)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(
            {
                "nodeid": report.nodeid,
                "when": report.when,
                "outcome": report.outcome,
                "wasxfail": getattr(report, "wasxfail", None),
                "longrepr": report.longreprtext,
                "chaos": getattr(report, "chaos", None),
                "sections": [list(section) for section in report.sections],
                "user_properties": [list(pair) for pair in report.user_properties],
            }
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(
                {
                    "nodeid": report.nodeid,
                    "when": "collect",
                    "outcome": report.outcome,
                    "longrepr": report.longreprtext,
                }
            )

    def _write(self, record: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(dumps(record) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record, except in a worker of xdist."""
    path = os.environ.get(VARIABLE)
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(path), "chaos-tests-recorder")
