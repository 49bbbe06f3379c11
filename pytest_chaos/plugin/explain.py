"""A failure that explains itself: what was asked, what happened, when, why, and how to look at it again. One screen."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from pytest_chaos.outcome import ChaosOutcome
from pytest_chaos.plugin.causes import likely_causes
from pytest_chaos.plugin.text import checked, figures, sentence
from pytest_chaos.plugin.timeline import draw

COLUMNS: Final = 100
_INDENT: Final = "    "
_LABEL: Final = 10
_MOST_FAILURES: Final = 3


def explain(outcomes: Sequence[ChaosOutcome], *, again: str, blocks: bool) -> str:
    """Return the report section for the outcomes of one test, in lines of at most 100 columns.

    ``again`` is the command that runs the test once more; ``blocks`` tells that a chart may use block characters.
    """
    lines = [line for one in outcomes for line in _lines(one, blocks)]
    if any(one.verdict.fails for one in outcomes):
        lines += [f"again:    {again}", f"in peace: {again} --chaos-disable"]
    return "\n".join(lines)


def _lines(one: ChaosOutcome, blocks: bool) -> Iterator[str]:
    yield from _wrapped(sentence(one), hanging="")
    told = {
        "asked": one.asked,
        "measured": figures(one.result.details),
        "in body": _in_window(one),
        "check": checked(one.verify),
    }
    for label, words in told.items():
        if words:
            yield from _wrapped(f"{_INDENT}{label:{_LABEL}}{words}")
    yield from (_INDENT + line for line in draw(one, width=COLUMNS - len(_INDENT), blocks=blocks))
    moments = ", ".join(f"{moment.replace('_', ' ')} {at:.3f}" for moment, at in one.timeline.items())
    if moments:
        yield from _wrapped(f"{_INDENT}{'seconds':{_LABEL}}{moments}")
    failures = one.verify.failures if one.verify else []
    for failure in failures[:_MOST_FAILURES]:
        yield from _wrapped(f"{_INDENT}{f'{failure.at_s:.3f}':{_LABEL}}{failure.message} ({failure.phase})")
    if len(failures) > _MOST_FAILURES and one.verify:
        yield f"{_INDENT}{'':{_LABEL}}... and {one.verify.failed - _MOST_FAILURES} more failures of the check"
    if one.verdict.fails:
        for cause in likely_causes(one):
            yield from _wrapped(f"{_INDENT}{'perhaps':{_LABEL}}{cause}")


def command(config: pytest.Config, nodeid: str) -> str:
    """Return the command that runs one test again, from where this run was started."""
    path, separator, rest = nodeid.partition("::")
    here = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    return f"pytest {shlex.quote(f'{here}{separator}{rest}')}"


def _in_window(one: ChaosOutcome) -> str:
    window = one.window
    if not window.seconds:
        return ""
    requests = "" if window.requests is None else f", {window.requests} requests, {window.errors} errors"
    rate = "" if window.delivered_qps is None else f", {window.delivered_qps:.1f} a second answered"
    return f"active for {one.overlap_s:.3g} of {window.seconds:.3g} s ({one.overlap:.0%}){requests}{rate}"


def _wrapped(line: str, hanging: str = _INDENT + " " * _LABEL) -> list[str]:
    if len(line) <= COLUMNS:
        return [line]
    return textwrap.wrap(line, COLUMNS, subsequent_indent=hanging, break_on_hyphens=False)
