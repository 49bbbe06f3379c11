"""The verdict, as a pure function of facts. The rows of the table are the branches below, in their order of rank."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pytest_chaos.context import Measured
from pytest_chaos.outcome import ChaosResult, Verdict


class Body(StrEnum):
    """How the test's body ended."""

    passed = "passed"
    failed = "failed"
    skipped = "skipped"
    interrupted = "interrupted"
    not_run = "not_run"


class Aborted(NamedTuple):
    """Why a disruption was stopped before its time, and whether a check of the system was the reason."""

    reason: str
    broke: bool


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
        overlap: the share (0 to 1) of the window in which it was active.
        min_overlap: the share that is asked for; None if any will do.
        uncovered: what had to lie inside the overlap and did not, in words.
        unsampled: whether a check was to be asked during the disruption, and never was.
        broke_during: what the check said while it was active; None if it held or was not asked.
        broke_after: what it said afterwards.
        skipped: why the trigger wants the test to be skipped.
        aborted: why it was stopped before its time; None if it was not.
        machinery: what of our own failed; None if nothing did.
    """

    body: Body
    result: ChaosResult | None
    never: str = "it never was active"
    overlap_s: float = 0.0
    window: Measured | None = None
    min_delivered: float = 0.0
    remedy: str = ""
    overlap: float = 0.0
    min_overlap: float | None = None
    uncovered: str | None = None
    unsampled: bool = False
    broke_during: str | None = None
    broke_after: str | None = None
    skipped: str | None = None
    aborted: Aborted | None = None
    machinery: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason in words."""

    verdict: Verdict
    reason: str


def judge(facts: Facts) -> Judgement:  # noqa: PLR0911, C901 - one for each row of the table
    """Give the verdict. The first row that fits counts."""
    if facts.machinery is not None:
        return Judgement(Verdict.error, facts.machinery)
    nothing = _nothing_happened(facts)
    if facts.aborted is not None and facts.body not in (Body.skipped, Body.interrupted):
        verdict = Verdict.broke if facts.aborted.broke else Verdict.inconclusive
        return Judgement(verdict, f"aborted: {facts.aborted.reason}")
    if facts.body is Body.not_run:
        return Judgement(Verdict.inconclusive, nothing or "the body was not run")
    if facts.body in (Body.skipped, Body.interrupted):
        return Judgement(Verdict.not_judged, f"the body was {facts.body}")
    if facts.skipped is not None:
        return Judgement(Verdict.not_judged, facts.skipped)
    if nothing is not None:
        return Judgement(Verdict.inconclusive, nothing)
    weaker = _weaker_than_asked(facts)
    note = f"; yet the disruption was weaker than asked: {weaker}" if weaker else ""
    if facts.body is Body.failed:
        return Judgement(Verdict.broke, f"the body failed while it was disrupted{note}")
    if facts.broke_during is not None:
        return Judgement(Verdict.broke, facts.broke_during + note)
    if weaker is not None:
        return Judgement(Verdict.inconclusive, weaker)
    if facts.unsampled:
        return Judgement(
            Verdict.inconclusive,
            "the check was never asked while it was active; let the disruption last longer",
        )
    if facts.broke_after is not None:
        return Judgement(Verdict.broke, facts.broke_after)
    return Judgement(Verdict.held, "the body passed while it was disrupted")


def needs_check(facts: Facts) -> bool:
    """Tell whether it is worth asking whether the system has recovered: only from a disruption that was one."""
    return judge(facts).verdict in (Verdict.held, Verdict.broke)


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
    if facts.min_overlap is not None and facts.overlap < facts.min_overlap:
        return (
            f"it was active for {facts.overlap_s:.3g} s, {facts.overlap:.1%} of the body, but `min_overlap` asks for "
            f"{facts.min_overlap:.1%}: let it last longer, or fire it earlier"
        )
    return facts.uncovered
