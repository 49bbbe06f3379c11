"""Seconds on a line: what a timeline to scale is made of, in percent of its width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_TICKS = 8
_NARROWEST = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time. ``kind`` names how it looks, ``words`` say what it is, ``link`` leads to a disruption."""

    left: float
    width: float
    kind: str
    words: str
    link: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Bars beside a label; ``rows`` is how many lie on top of each other at most."""

    label: str
    bars: list[Bar]
    rows: int = 1

    @property
    def words(self) -> str:
        """All that the lane shows, for those who do not see it."""
        return f"{self.label}: {'; '.join(bar.words for bar in self.bars)}"


class Scale:
    """From 0 to ``end`` seconds."""

    def __init__(self, end: float) -> None:
        self.end = max(end, 1e-6)

    def bar(self, start: float, end: float, kind: str, words: str, *, link: str = "", row: int = 0) -> Bar:
        """Return a bar to scale; one too narrow to be seen is widened to the least that can be."""
        left = min(100 - _NARROWEST, max(0.0, 100 * start / self.end))
        width = max(_NARROWEST, min(100.0, 100 * end / self.end) - left)
        return Bar(left=round(left, 2), width=round(width, 2), kind=kind, words=words, link=link, row=row)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield round moments, in percent and in words, at most eight steps of them."""
        step = 10.0 ** math.floor(math.log10(self.end))
        step = next(
            fine for fine in (step / 10, step / 5, step / 2, step, 2 * step) if self.end / fine <= _MOST_TICKS
        )
        for number in range(math.floor(self.end / step) + 1):
            yield round(100 * number * step / self.end, 2), f"{number * step:.6g} s"


def span(start: float, end: float) -> str:
    """Return a stretch of time in words."""
    return f"{start:.3f} s to {end:.3f} s"
