"""Outcomes in words: the line of the summary, the message of a failure, the figures of a load."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_chaos.outcome import ChaosOutcome, Verdict, VerifyReport
from pytest_chaos.scrub import clean

_NAME = 100
_UNPROVEN = {Verdict.inconclusive, Verdict.error}


def failure(outcomes: Sequence[ChaosOutcome], opening: str) -> str:
    """Return the message for a test that fails because of ``outcomes``; the timelines stand in the report section."""
    shown = [one for one in outcomes if one.verdict.fails] or list(outcomes)
    return "\n".join(f"{opening} {sentence(one)}" for one in shown)


def note(outcomes: Sequence[ChaosOutcome]) -> str:
    """Return the note for a body that failed on its own: what it was under, and what that proves."""
    lines = []
    for one in outcomes:
        if one.verdict in _UNPROVEN:
            lines.append(f"chaos: this failure proves nothing about chaos: {sentence(one)}")
        elif one.verdict is not Verdict.disabled:
            lines.append(
                f"chaos: {sentence(one)} ({figures(one.result.details) or one.result.injected_fault})"
            )
    return "\n".join(lines)


def checked(verify: VerifyReport | None) -> str:
    """Return what the named check said, phase by phase."""
    if verify is None or not verify.phases:
        return ""
    counts = {"during": verify.samples, "after": verify.tries}
    phases = []
    for phase, held in verify.phases.items():
        times = f" (asked {_count(counts[phase], 'time')})" if counts.get(phase) else ""
        phases.append(f"{'held' if held else 'failed'} {phase}{times}")
    told = f"{_short(verify.name)!r} {', '.join(phases)}"
    if verify.time_to_recover_s is not None:
        told += f", recovered within {seconds(verify.time_to_recover_s)} s"
    return told


def summary_line(test: str, outcome: ChaosOutcome) -> str:
    """Return the line of the terminal summary for one disruption."""
    parts = [
        f"{outcome.verdict.value:<12} {clean(test, 500)}",
        f"{_short(outcome.name)!r}",
        _short(outcome.result.injected_fault),
        figures(outcome.result.details),
        f"overlap {outcome.overlap:.0%}",
    ]
    return inert("  ".join(part for part in parts if part))


def figures(details: Mapping[str, Any]) -> str:
    """Return the figures of a measured fault: asked and delivered rate, requests, errors by code, p99."""
    if not (asked := number(details, "asked_qps")):
        return ""
    failed = {code: count for code, count in responses(details).items() if not code.startswith("2")}
    named = ", ".join(
        f"{count} x {'no response' if code == '-1' else code}" for code, count in failed.items()
    )
    p99 = number(details, "p99_s")
    return "  ".join(
        (
            f"{asked:g} -> {number(details, 'delivered_qps') or 0:.1f} qps",
            _count(round(number(details, "requests") or 0), "request"),
            f"errors: {named or 'none'}",
            "p99 -" if p99 is None else f"p99 {p99 * 1000:.1f} ms",
        )
    )


def number(details: Mapping[str, Any], key: str) -> float | None:
    """Return a figure out of details that any fault may have filled; None if it is none."""
    value = details.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def responses(details: Mapping[str, Any]) -> dict[str, int]:
    """Return how many responses there were of each status, ``-1`` for none, as far as the details tell."""
    found = details.get("responses")
    return (
        {code: count for code, count in found.items() if isinstance(count, int)}
        if isinstance(found, dict)
        else {}
    )


def sentence(outcome: ChaosOutcome) -> str:
    """Return name, fault, verdict and reason of a disruption as a sentence, in one line."""
    reason = " ".join(outcome.reason.split())
    name, fault = _short(outcome.name), _short(outcome.result.injected_fault)
    return inert(f"{name!r} ({fault}) is {outcome.verdict.value}: {reason}")


def seconds(amount: float) -> str:
    """Return a length of time as people read it."""
    return f"{round(amount, 3 if amount < 10 else 1):g}"


def inert(line: str) -> str:
    """Return a line that GitHub takes for no command: it obeys ``::error::`` at the start of a line, ``##[error]`` anywhere."""
    return re.sub(r"^(\s*:):", r"\1 :", line).replace("##[", "## [")


def _short(name: str) -> str:
    """Return a name that leaves room for what is said of it."""
    return clean(name, _NAME)


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
