"""Outcomes as a table in Markdown, for the summaries that CI systems show; and as GitHub's annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.plugin.text import figures

MAX_ROWS: Final = 500
_CELL: Final = 300
_MARKS: Final = {
    Verdict.held: "✅",
    Verdict.broke: "❌",
    Verdict.inconclusive: "❌",
    Verdict.error: "❌",
}


def table(outcomes: Mapping[str, Sequence[ChaosOutcome]]) -> str:
    """Return a heading, how often each verdict was given, and a row for each disruption, the worst first.

    Of more than 500 disruptions the rest is counted.
    """
    rows = [(test, one) for test, those in outcomes.items() for one in those]
    rows.sort(key=lambda row: -row[1].verdict.rank)
    counts = Counter(one.verdict for _, one in rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(Verdict) if counts[verdict])
    lines = [
        "### Chaos",
        "",
        f"{told or 'no disruption'}",
        "",
        "| verdict | test | disruption | measured | overlap | reason |",
        "|---|---|---|---|---|---|",
        *(_row(test, one) for test, one in rows[:MAX_ROWS]),
    ]
    if len(rows) > MAX_ROWS:
        lines += ["", f"... and {len(rows) - MAX_ROWS} more, none of them worse than these."]
    return "\n".join(lines) + "\n"


def annotation(file: str, line: int, test: str, outcome: ChaosOutcome) -> str:
    """Return the command that makes GitHub show an outcome at a line of a file."""
    title = _property(f"chaos: {outcome.name} is {outcome.verdict}")
    message = _data(f"{test}: {outcome.reason}")
    return f"::error file={_property(file)},line={line},title={title}::{message}"


def _row(test: str, one: ChaosOutcome) -> str:
    reason = one.reason if one.verdict.fails else ""
    fault = figures(one.result.details) or one.result.injected_fault
    cells = (
        f"{_MARKS.get(one.verdict, '⚪')} {one.verdict}",
        *map(_text, (test, one.name, fault, f"{one.overlap:.0%}", reason)),
    )
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, in one cell of a table."""
    line = " ".join(text.split())
    if len(line) > _CELL:
        line = f"{line[:_CELL]}..."
    return "".join(_ESCAPES.get(char, char) for char in line)


# HTML's own entities serve for Markdown's characters as well, and leave nothing to its backslash rules.
_ESCAPES: Final = {char: f"&#{ord(char)};" for char in "\\`*_{}[]()<>#+-!|&~@:$"}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
