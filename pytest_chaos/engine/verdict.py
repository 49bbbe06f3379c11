"""The verdict, as a pure function of facts. The rows of the table are the branches below, in their order of rank."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pytest_chaos.context import Measured
from pytest_chaos.outcome import ChaosResult, Verdict


class Body(StrEnum):
    """How the test's body ended."""

    passed = "passed"
    failed = "failed"
    skipped = "skipped"
    interrupted = "interrupted"
    not_run = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the verdict rests on.

    Attributes:
        body: how the body ended.
        result: what the fault said; None if it never came to that.
        never: why the disruption never was active, in words.
        overlap_s: seconds of the window in which it was active.
        window: what a meter counted there; None for a fault that is not measured.
        min_delivered: the share of what was due that counts as delivered.
        remedy: what to change when less was delivered.
        check_failure: what the named check said; None if it held or was not asked.
        machinery: what of our own failed; None if nothing did.
    """

    body: Body
    result: ChaosResult | None
    never: str = "it never was active"
    overlap_s: float = 0.0
    window: Measured | None = None
    min_delivered: float = 0.0
    remedy: str = ""
    check_failure: str | None = None
    machinery: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason in words."""

    verdict: Verdict
    reason: str


def judge(facts: Facts) -> Judgement:
    """Give the verdict. The first row that fits counts."""
    if facts.machinery is not None:
        return Judgement(Verdict.error, facts.machinery)
    nothing = _nothing_happened(facts)
    if facts.body is Body.not_run:
        return Judgement(Verdict.inconclusive, nothing or "the body was not run")
    if facts.body in (Body.skipped, Body.interrupted):
        return Judgement(Verdict.not_judged, f"the body was {facts.body}")
    if nothing is not None:
        return Judgement(Verdict.inconclusive, nothing)
    weaker = _weaker_than_asked(facts)
    if facts.body is Body.failed:
        note = f"; yet the disruption was weaker than asked: {weaker}" if weaker else ""
        return Judgement(Verdict.broke, f"the body failed while it was disrupted{note}")
    if weaker is not None:
        return Judgement(Verdict.inconclusive, weaker)
    if facts.check_failure is not None:
        return Judgement(Verdict.broke, facts.check_failure)
    return Judgement(Verdict.held, "the body passed while it was disrupted")


def needs_check(facts: Facts) -> bool:
    """Tell whether the named check still decides: only if everything else held."""
    return judge(facts).verdict is Verdict.held


def _nothing_happened(facts: Facts) -> str | None:
    result = facts.result
    if result is not None and not result.success and "shortfall" not in result.details:
        return f"the fault failed: {result.error or 'it reported no success and gave no reason'}"
    if facts.overlap_s <= 0:
        return facts.never
    if result is None:
        return "the fault gave no result"
    return None


def _weaker_than_asked(facts: Facts) -> str | None:
    window = facts.window
    if window is not None:
        if window.due < 1:
            return (
                f"not one whole request was due in the {window.seconds:.3f} s that the disruption hit the body: "
                "raise the rate, or let the body last longer"
            )
        if window.is_short(facts.min_delivered):
            return f"under-delivered while the body ran: {window.in_words()}; {facts.remedy}"
    if facts.result is not None and "shortfall" in facts.result.details:
        return str(facts.result.details["shortfall"])
    return None
