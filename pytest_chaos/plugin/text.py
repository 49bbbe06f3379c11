"""Outcomes in words: the line of the summary, the message of a failure, the timeline in text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_chaos.outcome import ChaosOutcome, Verdict

_UNPROVEN = {Verdict.inconclusive, Verdict.error}


def failure(outcomes: Sequence[ChaosOutcome], opening: str) -> str:
    """Return the message for a test that fails because of ``outcomes``; the timelines stand in the report section."""
    shown = [one for one in outcomes if one.verdict.fails] or list(outcomes)
    return "\n".join(f"{opening} {_sentence(one)}" for one in shown)


def note(outcomes: Sequence[ChaosOutcome]) -> str:
    """Return the note for a body that failed on its own: what it was under, and what that proves."""
    lines = []
    for one in outcomes:
        if one.verdict in _UNPROVEN:
            lines.append(f"chaos: this failure proves nothing about chaos: {_sentence(one)}")
        elif one.verdict is not Verdict.disabled:
            lines.append(
                f"chaos: {_sentence(one)} ({figures(one.result.details) or one.result.injected_fault})"
            )
    return "\n".join(lines)


def timelines(outcomes: Sequence[ChaosOutcome]) -> str:
    """Return the report section: each outcome with its timeline."""
    return "\n".join(f"{_sentence(one)}\n{_indented(timeline(one))}" for one in outcomes)


def timeline(outcome: ChaosOutcome) -> str:
    """Return the moments of one disruption, a line each, in seconds since the start of setup."""
    lines = [f"{at:9.3f} s  {moment.replace('_', ' ')}" for moment, at in outcome.timeline.items()]
    if numbers := figures(outcome.result.details):
        lines.append(numbers)
    return "\n".join(lines)


def summary_line(test: str, outcome: ChaosOutcome) -> str:
    """Return the line of the terminal summary for one disruption."""
    parts = [
        f"{outcome.verdict.value:<12} {test}",
        f"{outcome.name!r}",
        outcome.result.injected_fault,
        figures(outcome.result.details),
        f"overlap {outcome.overlap:.0%}",
    ]
    return "  ".join(part for part in parts if part)


def figures(details: dict[str, Any]) -> str:
    """Return the figures of a measured fault: asked and delivered rate, requests, errors by code, p99."""
    if not isinstance(details.get("asked_qps"), int | float):
        return ""
    responses = details.get("responses") or {}
    failed = {code: count for code, count in responses.items() if not str(code).startswith("2")}
    named = ", ".join(
        f"{count} x {'no response' if code == '-1' else code}" for code, count in failed.items()
    )
    p99 = details.get("p99_s")
    return "  ".join(
        (
            f"{details['asked_qps']:g} -> {details.get('delivered_qps') or 0:.1f} qps",
            f"{details.get('requests')} requests",
            f"errors: {named or 'none'}",
            f"p99 {p99 * 1000:.1f} ms" if isinstance(p99, int | float) else "p99 -",
        )
    )


def _sentence(outcome: ChaosOutcome) -> str:
    return f"{outcome.name!r} ({outcome.result.injected_fault}) is {outcome.verdict.value}: {outcome.reason}"


def _indented(lines: str) -> str:
    return "\n".join(f"    {line}" for line in lines.splitlines())
