"""What a disruption has come to: from what is known of it to facts, from facts to an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_chaos import clocks
from pytest_chaos.context import Measured, Span, intersect, total_seconds
from pytest_chaos.engine.disruption import Disruption
from pytest_chaos.engine.series import series_of
from pytest_chaos.engine.verdict import Body, Facts, judge, needs_check
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict, Window
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec, masked


def worth_checking(one: Disruption, body: Body, window: Span | None) -> bool:
    """Tell whether it matters for the verdict how the system is afterwards."""
    return one.watch is not None and needs_check(_facts(one, body, window))


def conclude(
    one: Disruption,
    body: Body,
    window: Span | None,
    *,
    min_overlap: float | None = None,
    cover: Sequence[Span] = (),
    instead: str = "",
) -> ChaosOutcome:
    """Judge it. ``cover`` must lie inside the overlap; ``instead`` is a reason not to judge it at all."""
    facts = _facts(one, body, window, min_overlap, cover)
    judgement = judge(facts)
    verdict, reason = (Verdict.not_judged, instead) if instead else (judgement.verdict, judgement.reason)
    if body is Body.not_run and one.gave_up:
        said = one.result.error if one.result else one.cancelled
        reason = f"{one.gave_up}; {said}" if said else one.gave_up
    measured = facts.window
    return _outcome(
        one,
        verdict=verdict,
        reason=reason,
        result=one.result or _never_ran(one.spec, facts.never),
        overlap=facts.overlap,
        overlap_s=facts.overlap_s,
        window=Window(
            seconds=window[1] - window[0] if window else 0.0,
            requests=measured.requests if measured else None,
            delivered_qps=measured.delivered / measured.seconds if measured and measured.seconds else None,
            errors=measured.errors if measured else None,
        ),
        series=series_of(one.ctx.meter, one.origin) if one.ctx.meter else None,
    )


def refused(one: Disruption, verdict: Verdict, reason: str) -> ChaosOutcome:
    """Return the outcome for when it was never started, or cannot be judged."""
    return _outcome(one, verdict=verdict, reason=reason, result=_never_ran(one.spec, reason))


def unrun(
    specs: Sequence[ChaosSpec], verdict: Verdict, reason: str, *, test: str, settings: Settings
) -> list[ChaosOutcome]:
    """Return the outcomes of specs that were never started for ``test``."""
    return [
        _told(
            spec,
            spec.redactor(settings),
            settings,
            verdict=verdict,
            reason=reason,
            result=_never_ran(spec, reason),
            test=test,
            spec_as_written=masked(spec),
        )
        for spec in specs
    ]


def _never_ran(spec: ChaosSpec, why: str) -> ChaosResult:
    return ChaosResult(success=False, injected_fault=spec.action.type, error=why)


def _outcome(one: Disruption, **said: Any) -> ChaosOutcome:
    return _told(
        one.spec,
        one.redactor,
        one.settings,
        timeline=one.timeline(),
        verify=one.watch.report() if one.watch else None,
        test=one.ctx.task_id,
        started_at=clocks.wall() - (clocks.monotonic() - one.origin),
        spec_as_written=one.written,
        **said,
    )


def _told(
    spec: ChaosSpec, redactor: Redactor, settings: Settings, *, spec_as_written: dict[str, Any], **said: Any
) -> ChaosOutcome:
    """Return an outcome in which no secret stands, whoever has put it there. Our own words stay as they are."""
    outcome = ChaosOutcome(
        name=spec.name, asked=_asked_for(spec, settings), worker=settings.worker, spec=spec_as_written, **said
    )
    told = redactor.fields(outcome.to_json(), "name", "reason", "asked", "spec")
    told["result"] = redactor.fields(told["result"], "output", "error", "details")
    if told["verify"]:
        told["verify"] = redactor.fields(told["verify"], "name")
        told["verify"]["failures"] = [redactor.fields(one, "message") for one in told["verify"]["failures"]]
    return ChaosOutcome.model_validate(told)


def _asked_for(spec: ChaosSpec, settings: Settings) -> str:
    """Return in words what ``spec`` asks for."""
    try:
        return f"{spec.action.plan(settings).summary}, {spec.trigger.in_words()}"
    except Exception:  # noqa: BLE001 - foreign code, and what it raises has been told already
        return ""


def _facts(
    one: Disruption,
    body: Body,
    window: Span | None,
    min_overlap: float | None = None,
    cover: Sequence[Span] = (),
) -> Facts:
    window = window or (one.origin, one.origin)
    active = one.active.spans()
    inside = intersect([window], active)
    overlap_s, length = total_seconds(inside), window[1] - window[0]
    meter, watch = one.ctx.meter, one.watch
    measured: Measured | None = meter.measure(inside) if meter else None
    return Facts(
        body=body,
        result=one.result,
        never=_why_never(one, window),
        overlap_s=overlap_s,
        overlap=min(1.0, overlap_s / length) if length > 0 else 0.0,
        min_overlap=min_overlap,
        uncovered=_uncovered(cover, active),
        window=measured,
        min_delivered=meter.min_delivered if meter else 0.0,
        remedy=meter.remedy if meter else "",
        unsampled=watch is not None and watch.unsampled,
        broke_during=watch.broke_during if watch else None,
        broke_after=watch.broke_after if watch else None,
        skipped=one.skipped,
        aborted=one.aborted,
        machinery=_machinery(one),
    )


def _machinery(one: Disruption) -> str | None:
    for asking in (one.watch, one.brake):
        if asking is not None and asking.broken is not None:
            return asking.broken
    if one.not_ended:
        return one.not_ended
    if one.deaf:
        return (
            f"the trigger {one.spec.trigger.type!r} says that it listens, but did not set ctx.listening within "
            f"{one.settings.start_timeout_s:g} s (chaos_start_timeout)"
        )
    if not one.was_started or one.finished.is_set():
        return None
    if one.was_fired:
        who, what = f"fault {one.spec.action.type!r}", "inject()"
    else:
        who, what = f"trigger {one.spec.trigger.type!r}", "wait()"
    return (
        f"the {who} did not stop within {one.settings.stop_timeout_s:g} s of being asked; "
        f"its processes were killed, its thread was left behind: let {what} return once ctx.stop is set"
    )


def _why_never(one: Disruption, window: Span) -> str:
    if not one.was_started:
        return "it was never started"
    seen = f" ({one.ctx.seen})" if one.ctx.seen else ""
    if "trigger_timed_out" in one.moments and not one.was_fired:
        return f"the trigger never fired: {one.cancelled}{seen}"
    if not one.was_fired:
        return (
            f"the trigger never fired: it fires {one.spec.trigger.in_words()}, and what it was meant to hit was over "
            f"after {window[1] - window[0]:.3f} s{seen}; fire it earlier, or let the body last longer"
        )
    if not one.was_active:
        if one.result is not None:
            return (
                "the fault never was active: inject() returned without having set chaos_active_event; "
                "set it once the harm is under way"
            )
        return (
            f"it was never active: the fault was fired only {max(0.0, window[1] - one.moments['fired']):.3f} s before the "
            f"end ({one.cancelled or 'it was still starting'}); let the body last longer, or fire earlier"
        )
    spans = one.active.spans()
    return (
        f"it was active for {total_seconds(spans):.3g} s, but not while the body ran "
        f"(active {spans[0][0] - window[0]:+.3g} s to {spans[-1][1] - window[0]:+.3g} s from the body's start)"
    )


def _uncovered(spans: Sequence[Span], active: Sequence[Span]) -> str | None:
    """Return in words which of ``spans`` lie outside ``active``, if there are such."""
    outside = sum(not any(a <= start and end <= b for a, b in active) for start, end in spans)
    if not outside:
        return None
    return (
        f"{outside} of the {len(spans)} rounds of the benchmark ran while it was not active: "
        "let the disruption last for the whole body, or fire it before the body"
    )
