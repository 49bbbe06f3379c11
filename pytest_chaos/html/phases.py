"""The timeline of one disruption: setup, body, fault and check as lanes to one scale."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_chaos.html.scale import Bar, Lane, Scale, span
from pytest_chaos.outcome import ChaosOutcome


def phases(outcome: ChaosOutcome) -> tuple[Scale, list[Lane]]:
    """Return the lanes that have something to show, and their scale."""
    failures = [one.at_s for one in outcome.verify.failures] if outcome.verify else []
    scale = Scale(max((*outcome.timeline.values(), *failures), default=0.0))
    lanes = {"setup": _setup, "body": _body, "fault": _fault, "check": _check}
    found = [Lane(label=label, bars=list(bars(outcome, scale))) for label, bars in lanes.items()]
    return scale, [lane for lane in found if lane.bars]


def _setup(outcome: ChaosOutcome, scale: Scale) -> Iterator[Bar]:
    if outcome.timeline:
        end = outcome.timeline.get("body_started", scale.end)
        yield scale.bar(0, end, "setup", f"setup {span(0, end)}")


def _body(outcome: ChaosOutcome, scale: Scale) -> Iterator[Bar]:
    if (window := outcome.body_span) is not None:
        failed = "body_failed" in outcome.timeline
        words = f"body {span(*window)}{', failed' if failed else ''}"
        yield scale.bar(*window, "body", words)
        if failed:
            yield scale.bar(window[1], window[1], "failure", f"the body failed at {window[1]:.3f} s")


def _fault(outcome: ChaosOutcome, scale: Scale) -> Iterator[Bar]:
    moments = outcome.timeline
    steps = [("planned", "waiting"), ("fired", "starting"), ("active", "active"), ("last_effect", "ending")]
    known = [(moments[moment], state) for moment, state in steps if moment in moments]
    ends = [*(start for start, _ in known[1:]), moments.get("finished", scale.end)]
    for (start, state), end in zip(known, ends, strict=False):  # nothing known: one end too many
        if end > start:
            yield scale.bar(start, end, state, f"{state} {span(start, end)}")


def _check(outcome: ChaosOutcome, scale: Scale) -> Iterator[Bar]:
    verify, moments = outcome.verify, outcome.timeline
    if verify is None:
        return
    over = moments.get("last_effect")
    if over is not None and verify.samples:
        words = f"asked {verify.samples} times during the disruption, {span(moments['active'], over)}"
        yield scale.bar(moments["active"], over, "asked", words)
    if over is not None and verify.tries and "verified" in moments:
        words = f"asked {verify.tries} times after it, {span(over, moments['verified'])}"
        yield scale.bar(over, moments["verified"], "asked", words)
    for failure in verify.failures:
        yield scale.bar(
            failure.at_s, failure.at_s, "failure", f"failed at {failure.at_s:.3f} s ({failure.phase})"
        )
    if "recovered" in moments:
        yield scale.bar(
            moments["recovered"],
            moments["recovered"],
            "recovered",
            f"recovered at {moments['recovered']:.3f} s",
        )
