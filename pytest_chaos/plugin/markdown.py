"""Outcomes as a table in Markdown, for the summaries that CI systems show; and as GitHub's annotations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.plugin.causes import likely_causes
from pytest_chaos.plugin.text import figures
from pytest_chaos.scrub import clean

MAX_BYTES: Final = 500_000
"""Of one table. GitHub shows nothing at all of a step whose summary has more than 1,024 kB."""
_CELL: Final = 300
_MARKS: Final = {
    Verdict.held: "✅",
    Verdict.broke: "❌",
    Verdict.inconclusive: "❌",
    Verdict.error: "❌",
}


def table(outcomes: Mapping[str, Sequence[ChaosOutcome]]) -> str:
    """Return a heading, how often each verdict was given, and a row for each disruption, the worst first.

    What does not fit is counted.
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
    ]
    size = 0
    for number, (test, one) in enumerate(rows):
        row = _row(test, one)
        size += len(row.encode()) + 1
        if size > MAX_BYTES:
            lines += ["", f"... and {len(rows) - number} more, none of them worse than these."]
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def annotation(file: str, line: int, test: str, outcome: ChaosOutcome) -> str:
    """Return the command that makes GitHub show an outcome at a line of a file."""
    title = _property(f"chaos: {clean(outcome.name, 100)} is {outcome.verdict}")
    causes = "".join(f"\nperhaps {cause}" for cause in likely_causes(outcome))
    message = _data(f"{clean(test, 500)}: {outcome.reason}{causes}")
    return f"::error file={_property(clean(file))},line={line},title={title}::{message}"


def _row(test: str, one: ChaosOutcome) -> str:
    reason = one.reason if one.verdict.fails else ""
    fault = figures(one.result.details) or one.result.injected_fault
    cells = (
        f"{_MARKS.get(one.verdict, '⚪')} {one.verdict}",
        *map(_code, (test, one.name, fault)),
        f"{one.overlap:.0%}",
        _code(reason),
    )
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Return ``text`` as code in one cell of a table, which shows it as it is.

    Nothing in code is a link, a mention, an emoji or HTML, whatever dialect it is shown in. Only pipes and long runs of
    backticks cannot be part of it: they stand between pieces of code, as entities.
    """
    line = " ".join(clean(text, _CELL).split())
    pieces = re.split(r"(\||`{3,})", line)
    return "".join(_entities(piece) if number % 2 else _span(piece) for number, piece in enumerate(pieces))


def _span(text: str) -> str:
    core = text.strip(" ")
    if not core:
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", core)), default=0))
    padding = " " if "`" in (core[0], core[-1]) else ""
    return text.replace(core, f"{fence}{padding}{core}{padding}{fence}")


def _entities(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
