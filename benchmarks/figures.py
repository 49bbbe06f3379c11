"""A row of the table, and the little statistics it rests on."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

HEADER: Final = ("what", "target", "measured", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside its target. ``met`` is None where there is no target."""

    what: str
    target: str
    measured: str
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as text."""
        return self.what, self.target, self.measured, {True: "met", False: "MISSED", None: ""}[self.met]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of ``values`` do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def midmean(values: Sequence[float]) -> float:
    """Return the mean of the middle half: as deaf to stray values as the median, and steadier."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return statistics.mean(ordered[quarter : len(ordered) - quarter])


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in markdown that is also easy to read as it stands."""
    lines = [HEADER, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruler = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], ruler, *lines[1:])
    )


def machine(load_before: float) -> str:
    """Return what the figures were taken on, and when. ``load_before`` is the load average before the first one."""
    return (
        f"{os.cpu_count()} cores ({platform.system()} on {platform.machine()}), "
        f"{platform.python_implementation()} {platform.python_version()}, pytest {version('pytest')}, "
        f"pydantic {version('pydantic')}; {datetime.now(UTC):%Y-%m-%d}; load average before: {load_before:.1f}"
    )
