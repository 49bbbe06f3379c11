"""``python -m pytest_chaos read``: the verdicts in files of JUnit XML."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_chaos.errors import ReportError
from pytest_chaos.html import missing
from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.printing import printable, say
from pytest_chaos.report import read_junit
from pytest_chaos.scrub import clean

SCHEMA_VERSION = 1
_HEADING = ("file", "verdict", "test", "disruption", "fault", "asked -> delivered qps", "overlap", "reason")
_NOTHING = "no outcome in any file: no test ran under chaos, or chaos_junit has left it out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What came of one file."""

    file: str
    tests: dict[str, list[ChaosOutcome]] = field(default_factory=dict)
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        tests = {test: [one.to_json() for one in outcomes] for test, outcomes in self.tests.items()}
        return {"file": self.file, "tests": tests, "error": self.error}


def read(files: Sequence[str], *, as_json: bool = False, html: str | None = None) -> int:
    """Print the verdicts; return 0 if all are held, 1 if one is not or there is none, 2 if a file cannot be read.

    ``html`` names a page that is written as well; 2 also tells that it could not be.
    """
    found = [_read(file) for file in files]
    problem = None if html is None else _write_page(html, found)
    counts = Counter(one.verdict for part in found for outcomes in part.tests.values() for one in outcomes)
    if as_json:
        said = {
            "schema_version": SCHEMA_VERSION,
            "files": [part.to_json() for part in found],
            "counts": {verdict.value: counts[verdict] for verdict in Verdict},
        }
        say(json.dumps(said, indent=2))
    else:
        say("\n".join(_lines(found, counts)))
    if problem is not None:
        sys.stderr.write(f"{printable(problem)}\n")
    if problem is not None or any(part.error for part in found):
        return 2
    return 0 if counts.keys() == {Verdict.held} else 1


def _read(file: str) -> Read:
    try:
        return Read(file=file, tests=read_junit(file))
    except ReportError as error:
        return Read(file=file, error=str(error))


def _write_page(name: str, found: Sequence[Read]) -> str | None:
    """Write the outcomes of all files as one page; return in words why that is not possible."""
    if (lack := missing()) is not None:
        return f"--html: {lack}"
    from pytest_chaos.html.report import write_report  # noqa: PLC0415 - needs an extra

    tests: dict[str, list[ChaosOutcome]] = {}
    for part in found:
        for test, outcomes in part.tests.items():
            tests.setdefault(test, []).extend(outcomes)
    try:
        write_report(Path(name), tests)
    except OSError as error:
        return f"--html: {name} cannot be written: {error}"
    return None


def _lines(found: Sequence[Read], counts: Counter[Verdict]) -> Iterator[str]:
    if counts:
        rows = [_HEADING, *(row for part in found for row in _rows(part))]
        yield from _aligned(rows if len(found) > 1 else [row[1:] for row in rows])
    errors = [part.error for part in found if part.error]
    yield from errors
    if counts:
        yield ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    elif not errors:
        yield _NOTHING


def _rows(part: Read) -> Iterator[tuple[str, ...]]:
    for test, outcomes in part.tests.items():
        for one in outcomes:
            yield (
                clean(part.file),
                one.verdict,
                test,
                repr(one.name),
                one.result.injected_fault,
                _rates(one.result.details),
                f"{one.overlap:.0%}",
                "" if one.verdict is Verdict.held else one.reason,
            )


def _rates(details: dict[str, Any]) -> str:
    asked, delivered = details.get("asked_qps"), details.get("delivered_qps")
    if not isinstance(asked, int | float) or not isinstance(delivered, int | float):
        return "-"
    return f"{asked:g} -> {delivered:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as lines of columns, as the terminal can show them: what it cannot print is escaped before."""
    shown = [[printable(" ".join(cell.split())) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
