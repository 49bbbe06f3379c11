"""The most likely causes of an outcome that failed a test, as far as its figures name them, each with what to change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from pytest_chaos.outcome import ChaosOutcome, Verdict

_NO_FORTIO: Final = {"no_fortio", "not_fortio", "not_started"}
_NO_ANSWER: Final = {"no_response", "exit_before_start", "never_started"}


def likely_causes(one: ChaosOutcome, at_most: int = 3) -> list[str]:
    """Return what the facts point at, the most certain first; nothing where they name nothing."""
    return list(islice(_causes(one), at_most))


def _causes(one: ChaosOutcome) -> Iterator[str]:
    yield from _of_the_fault(one.result.details)
    yield from _of_the_trigger(one)
    yield from _of_the_load(one.result.details)
    yield from _of_the_overlap(one)
    yield from _of_the_check(one)
    if one.verdict is Verdict.broke and "body_failed" in one.timeline:
        yield "the body itself failed: run it in peace (below); if it passes then, this is what the disruption does to it"


def _of_the_fault(details: dict[str, Any]) -> Iterator[str]:
    kind = details.get("failure")
    if kind in _NO_FORTIO:
        yield "there is no fortio that runs: `python -m pytest_chaos doctor` says why, --chaos-fortio names another one"
    elif kind in _NO_ANSWER:
        yield "nothing answered at the target: start the service in a fixture of the test, and look at `service_url`"
        yield 'the service lives in the event loop of the test, which setup blocks: set wait="none" on the mark'
    elif kind == "ignored_interrupt":
        yield "requests hung longer than fortio was given to end: set a smaller `timeout`, or a larger chaos_stop_timeout"
    elif kind == "died":
        yield "fortio was killed from outside, or the machine ran out of memory: set a smaller `qps` or `concurrency`"


def _of_the_trigger(one: ChaosOutcome) -> Iterator[str]:
    moments = one.timeline
    began, ended = moments.get("body_started"), moments.get("body_ended", moments.get("body_failed"))
    if began is None or ended is None:
        return
    lasted = f"the body lasted {ended - began:.3g} s"
    fired, active = moments.get("fired"), moments.get("active")
    if fired is None and "planned" in moments:
        yield f'the trigger did not fire in time: {lasted}; fire it earlier, or let setup wait for it (wait="active")'
    elif active is None and fired is not None:
        yield f"it fired only {ended - fired:.3g} s before the end: {lasted}; fire it earlier"
    elif active is not None and active > began and one.overlap < 1:
        yield f'it was active only {active - began:.3g} s after the body\'s start: fire it earlier, or use wait="active"'


def _of_the_load(details: dict[str, Any]) -> Iterator[str]:
    if "shortfall" not in details:
        return
    asked, slow, connections = (_number(details, key) for key in ("asked_qps", "p90_s", "connections"))
    responses = details.get("responses") or {}
    total, unanswered = sum(responses.values()), responses.get("-1", 0)
    if unanswered:
        yield f"{unanswered} of {total} requests got no response: the target drops connections; is its backlog large enough?"
    if asked and slow and connections and slow > 0.8 * connections / asked:
        needed = math.ceil(asked * slow * 1.5)
        yield f"too few connections: answers took {slow:.3g} s (p90) over {connections:g} of them; set `concurrency` to {needed}"
    elif asked and not unanswered:
        yield "the machine was too busy to send at this pace: set a lower `qps`, or accept less with `min_delivered`"


def _of_the_overlap(one: ChaosOutcome) -> Iterator[str]:
    moments = one.timeline
    ended = moments.get("body_ended", moments.get("body_failed"))
    over = moments.get("last_effect")
    if ended is not None and over is not None and ended - over > 0.05 and one.verdict.fails:
        yield f"it was over {ended - over:.3g} s before the body was: set a longer `duration`, or none to last for the whole body"
    asked = _number(one.result.details, "asked_qps")
    if one.verdict is Verdict.inconclusive and asked and 0 < one.overlap_s < 1 / asked:
        yield f"one request is due every {1 / asked:.3g} s: set a higher `qps`, or let the body last longer"


def _of_the_check(one: ChaosOutcome) -> Iterator[str]:
    verify = one.verify
    if verify is None or not verify.failures:
        return
    if "chaos_check_timeout" in verify.failures[-1].message:
        yield "the check hung: give its own requests a time limit, or raise chaos_check_timeout"
    if verify.phases.get("before") is False:
        yield "the check cannot hold before the test's body: leave `before` out of `verify_phases`, or mend the fixture"
    if verify.phases.get("during") is False:
        yield "the system does not bear this load: that is the finding; a smaller `qps` tells what it does bear"
    if verify.phases.get("after") is False:
        yield "the system needs longer to recover: set a larger `recover_within`, if that is acceptable"


def _number(details: dict[str, Any], key: str) -> float | None:
    value = details.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
