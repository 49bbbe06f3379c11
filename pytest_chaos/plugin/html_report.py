"""``--chaos-report``: the outcomes of a run as one HTML file, written where reports end up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_chaos.html import missing
from pytest_chaos.outcome import ChaosOutcome


def report_path(config: pytest.Config, name: str | None) -> Path | None:
    """Return where the report goes; None if this process writes none. Its directory is made if need be.

    Raises:
        pytest.UsageError: what a report needs is not installed, or the file cannot be written.
    """
    if name is None or hasattr(config, "workerinput") or config.option.collectonly:
        return None
    if (lack := missing()) is not None:
        raise pytest.UsageError(f"--chaos-report: {lack}")
    path: Path = config.invocation_params.dir / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        was_there = path.exists()
        path.open("ab").close()
        if not was_there:
            path.unlink()
    except OSError as error:
        raise pytest.UsageError(f"--chaos-report: {path} cannot be written: {error}") from None
    return path


def write(path: Path, tests: Mapping[str, Sequence[ChaosOutcome]]) -> None:
    """Write the report. Raises ``OSError``."""
    from pytest_chaos.html.report import write_report

    write_report(path, tests)
