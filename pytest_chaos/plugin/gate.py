"""The gate between a suite without chaos and the reporting: it looks at reports, and loads nothing before it must."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_chaos.plugin.reporting import Reporting


class Gate:
    """Load the reporting when the first report with chaos arrives, which under xdist comes from a worker."""

    def __init__(self, config: pytest.Config, load: Callable[[pytest.Config], Reporting]) -> None:
        self._config = config
        self._load = load

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at nothing but the names on the report. This runs in the main thread, also under xdist."""
        told = {"chaos", "chaos_plain", "chaos_plan"} & vars(report).keys()
        if told and not self._config.pluginmanager.has_plugin("chaos-reporting"):
            # What is registered in the middle of a call is not part of it.
            self._load(self._config).pytest_runtest_logreport(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Listen to a worker that is about to start, if there is somebody to look at what it tells."""
        if sys.stdout.isatty():
            from pytest_chaos.plugin.merging import settings_of
            from pytest_chaos.plugin.progress import progress_of

            if (progress := progress_of(self._config, settings_of(self._config).progress)) is not None:
                progress.hear(node)
