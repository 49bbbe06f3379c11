"""A failure that explains itself: what was asked, what happened, when, why, and how to look at it again. One screen."""

from __future__ import annotations

import os
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from pytest_chaos.outcome import ChaosOutcome
from pytest_chaos.plugin.causes import likely_causes
from pytest_chaos.plugin.text import checked, figures, inert, seconds, sentence
from pytest_chaos.plugin.timeline import draw
from pytest_chaos.scrub import clean

MIN_COLUMNS: Final = 60
MAX_COLUMNS: Final = 100
_INDENT: Final = "    "
_LABEL: Final = 10
_MOST_BESIDE: Final = 2
_FIRST: Final = 5
_LONGEST_COMMAND: Final = 300
# What only the machinery cares about.
_NOT_TOLD: Final = {"planned", "stopped", "verified", "judged"}


def explain(outcomes: Sequence[ChaosOutcome], *, again: str, blocks: bool, columns: int | None = None) -> str:
    """Return the report section for the outcomes of one test: the worst one in full, those beside it in short.

    ``again`` is the command that runs the test once more; ``blocks`` tells that a chart may use block characters. No line but
    the commands is wider than ``columns``: by default than the terminal, but at least 60 and at most 100.
    """
    width = columns or max(MIN_COLUMNS, min(MAX_COLUMNS, _terminal_columns()))
    page = _Page(width, blocks)
    worst, *beside = sorted(outcomes, key=lambda one: -one.verdict.rank)
    lines = [*page.whole(worst)]
    for one in beside[:_MOST_BESIDE]:
        lines += page.short(one)
    if len(beside) > _MOST_BESIDE:
        lines.append(f"... and {len(beside) - _MOST_BESIDE} more, none of them worse")
    if worst.verdict.fails:
        lines += [f"again:    {again}", f"in peace: {again} --chaos-disable"]
    return "\n".join(map(inert, lines))


def command(config: pytest.Config, nodeid: str) -> str:
    """Return the command that runs one test again, from where this run was started.

    An id too long for a command line, or that a terminal cannot show, is left out; then the test runs with all its parameters.
    """
    path, separator, rest = nodeid.partition("::")
    if len(nodeid) > _LONGEST_COMMAND or clean(nodeid) != nodeid:
        rest = rest.partition("[")[0]
    here = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    return f"pytest {shlex.quote(clean(f'{here}{separator}{rest}', 1000))}"


class _Page:
    """Write paragraphs of a certain width."""

    def __init__(self, columns: int, blocks: bool) -> None:
        self._columns = columns
        self._blocks = blocks

    def whole(self, one: ChaosOutcome) -> Iterator[str]:
        """Yield everything there is to say of an outcome."""
        yield from self._wrapped(sentence(one), hanging="", at_most=6)
        told = {
            "asked": one.asked,
            "measured": figures(one.result.details),
            "active": _active(one),
            "check": _check(one),
        }
        for label, words in told.items():
            yield from self._row(label, words)
        for line in draw(one, width=self._columns - len(_INDENT), blocks=self._blocks):
            yield _INDENT + line
        moments = {name: at for name, at in one.timeline.items() if name not in _NOT_TOLD}
        yield from self._row(
            "seconds", ", ".join(f"{name.replace('_', ' ')} {at:.3f}" for name, at in moments.items())
        )
        if one.verdict.fails:
            for cause in likely_causes(one):
                yield from self._row("perhaps", cause, at_most=4)

    def short(self, one: ChaosOutcome) -> Iterator[str]:
        """Yield what matters of an outcome that stands beside a worse one."""
        yield from self._wrapped(sentence(one), hanging="", at_most=2)
        for cause in likely_causes(one, 1) if one.verdict.fails else ():
            yield from self._row("perhaps", cause, at_most=4)

    def _row(self, label: str, words: str, at_most: int = 3) -> list[str]:
        if not words:
            return []
        line = f"{_INDENT}{label:{_LABEL}}{words}"
        return self._wrapped(line, hanging=_INDENT + " " * _LABEL, at_most=at_most)

    def _wrapped(self, line: str, *, hanging: str, at_most: int) -> list[str]:
        return textwrap.wrap(
            line,
            self._columns,
            subsequent_indent=hanging,
            break_on_hyphens=False,
            max_lines=at_most,
            placeholder=" ...",
        )


def _terminal_columns() -> int:
    return shutil.get_terminal_size((MAX_COLUMNS, 24)).columns


def _active(one: ChaosOutcome) -> str:
    """Return for how long it was active in the stretch that counts, and what was measured there."""
    window = one.window
    if not window.seconds:
        return ""
    began, over = one.timeline.get("body_started"), one.timeline.get("last_effect")
    where = "before the body" if one.overlap and began and over and over <= began else "of the body"
    words = f"{seconds(one.overlap_s)} of {seconds(window.seconds)} s {where} ({one.overlap:.0%})"
    if window.requests and window.delivered_qps is not None:
        words += f": {window.requests} requests, {window.errors} errors, {window.delivered_qps:.1f} a second answered"
    return words


def _check(one: ChaosOutcome) -> str:
    """Return what the check said, when it failed, and how it failed at last if the reason does not tell."""
    verify = one.verify
    words = checked(verify)
    if verify is None or not verify.failures:
        return words
    words += f"; it failed at {', '.join(f'{failure.at_s:.3f}' for failure in verify.failures[:_FIRST])} s"
    if verify.failed > _FIRST:
        words += f" and {verify.failed - _FIRST} times more"
    last = verify.failures[-1].message
    return words if last in one.reason else f"{words}; at last: {last}"
