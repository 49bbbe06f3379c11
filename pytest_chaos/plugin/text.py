"""Outcomes in words: the line of the summary, the message of a failure, the figures of a load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_chaos.outcome import ChaosOutcome, Verdict, VerifyReport

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
    phases = ", ".join(f"{phase}: {'held' if held else 'failed'}" for phase, held in verify.phases.items())
    recovered = (
        f", recovered after {verify.time_to_recover_s:.3g} s" if verify.time_to_recover_s is not None else ""
    )
    counts = {"during": verify.samples, "afterwards": verify.tries, "failed": verify.failed}
    asked = ", ".join(f"{count} x {when}" for when, count in counts.items() if count)
    return f"{verify.name!r}  {phases}{recovered}" + (f" ({asked})" if asked else "")


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


def sentence(outcome: ChaosOutcome) -> str:
    """Return name, fault, verdict and reason of a disruption as a sentence."""
    return f"{outcome.name!r} ({outcome.result.injected_fault}) is {outcome.verdict.value}: {outcome.reason}"
