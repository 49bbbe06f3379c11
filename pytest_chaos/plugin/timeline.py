"""Draw what happened to a test over time, to scale, in characters that every terminal has."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_chaos.outcome import ChaosOutcome, Series
from pytest_chaos.plugin.text import seconds

WIDTH: Final = 96
_LABEL: Final = 10
_HARD_BLANK: Final = "\xa0"
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "._-=+*%#"
_LEGEND: Final = {
    ".": "waiting",
    "-": "starting",
    "=": "active",
    "x": "the body failed",
    "!": "the check failed",
    "r": "recovered",
}


def can_show_blocks() -> bool:
    """Tell whether standard output, as this process was started with it, takes block characters."""
    encoding = getattr(sys.__stdout__, "encoding", None) or "ascii"
    try:
        _BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class _Scale:
    """Map seconds to columns of a row."""

    def __init__(self, seconds: float, columns: int) -> None:
        self._per_column = seconds / columns
        self._last = columns - 1

    def column(self, at: float) -> int:
        return min(self._last, max(0, int(at / self._per_column)))


def draw(outcome: ChaosOutcome, *, width: int = WIDTH, blocks: bool = True) -> list[str]:
    """Return setup, body, fault, checks, requests and errors as one row each, all to the same scale.

    A row is at most ``width`` columns wide; ``blocks`` tells that block characters may be used. Nothing began, nothing is drawn.
    """
    moments = outcome.timeline
    end = max((*moments.values(), *_failures(outcome)), default=0.0)
    if end <= 0:
        return []
    columns = width - _LABEL
    scale = _Scale(end, columns)
    rows = {
        "setup": _row(columns, scale, _setup(moments, end)),
        "body": _row(columns, scale, _body(moments, end)),
        "fault": _row(columns, scale, _fault(moments, end)),
        "check": _row(columns, scale, _check(outcome)),
    }
    shown = {label: row for label, row in rows.items() if row.strip()}
    charts, highest = _charts(outcome.series, end / columns, columns, _BLOCKS if blocks else _ASCII)
    marks = (
        f"{mark} {words}" for mark, words in _LEGEND.items() if any(mark in row for row in shown.values())
    )
    ruler = "0 s" + f"{seconds(end)} s".rjust(columns - 3)
    shown.update(charts)
    lines = [f"{'':{_LABEL}}{ruler}", *(f"{label:{_LABEL}}{row}" for label, row in shown.items())]
    legend = (f"{'':{_LABEL}}{line}" for line in _legend([*marks, *highest], columns))
    return [line.rstrip() for line in (*lines, *legend)]


def _legend(entries: Sequence[str], columns: int) -> list[str]:
    """Return the entries in lines; none is broken, as its blanks are hard ones while it is wrapped."""
    whole = "  ".join(entry.replace(" ", _HARD_BLANK) for entry in entries)
    return [line.replace(_HARD_BLANK, " ") for line in textwrap.wrap(whole, columns, break_on_hyphens=False)]


def _charts(
    series: Series | None, per_column: float, columns: int, marks: str
) -> tuple[dict[str, str], list[str]]:
    """Return a row for requests and one for errors, and for each how high its highest mark is."""
    rows: dict[str, str] = {}
    tops: list[str] = []
    for label, counts in (("requests", series.requests), ("errors", series.errors)) if series else ():
        highest = max(counts, default=0)
        if not highest or series is None:
            continue
        row = ""
        for column in range(columns):
            first = math.floor((column * per_column - series.start_s) / series.width_s)
            last = math.ceil(((column + 1) * per_column - series.start_s) / series.width_s)
            # What falls together into one column shows its highest rate: a spike must not vanish.
            top = max(counts[max(0, first) : max(0, last)], default=0)
            row += marks[(top * len(marks) - 1) // highest] if top else " "
        rows[label] = row
        tops.append(f"{label} up to {highest / series.width_s:.0f} a second")
    return rows, tops


_Stroke = tuple[float, float, str]


def _row(columns: int, scale: _Scale, strokes: Iterator[_Stroke]) -> str:
    """Return one row; a later stroke covers an earlier one, and each covers at least one column."""
    row = [" "] * columns
    for start, end, mark in strokes:
        first, last = scale.column(start), scale.column(end)
        row[first : max(first, last - 1) + 1] = mark * (max(first, last - 1) + 1 - first)
    return "".join(row)


def _setup(moments: Mapping[str, float], end: float) -> Iterator[_Stroke]:
    yield 0.0, moments.get("body_started", end), "#"


def _body(moments: Mapping[str, float], end: float) -> Iterator[_Stroke]:
    started = moments.get("body_started")
    if started is None:
        return
    failed = moments.get("body_failed")
    yield started, failed or moments.get("body_ended", end), "#"
    if failed is not None:
        yield failed, failed, "x"


def _fault(moments: Mapping[str, float], end: float) -> Iterator[_Stroke]:
    over = moments.get("last_effect", moments.get("finished", end))
    for moment, mark in (("planned", "."), ("fired", "-"), ("active", "=")):
        if moment in moments:
            yield moments[moment], over, mark


def _check(outcome: ChaosOutcome) -> Iterator[_Stroke]:
    for at in _failures(outcome):
        yield at, at, "!"
    if outcome.reason.startswith("aborted: the check") and "stopped" in outcome.timeline:
        yield outcome.timeline["stopped"], outcome.timeline["stopped"], "!"
    if "recovered" in outcome.timeline:
        yield outcome.timeline["recovered"], outcome.timeline["recovered"], "r"


def _failures(outcome: ChaosOutcome) -> list[float]:
    return [failure.at_s for failure in outcome.verify.failures] if outcome.verify else []
