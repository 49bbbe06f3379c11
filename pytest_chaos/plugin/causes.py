"""The most likely causes of an outcome that failed a test, as far as its facts name them, each with what to change."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.plugin.text import number, responses, seconds

_FOREIGN_FORTIO: Final = {
    "no_fortio",
    "not_fortio",
    "not_started",
    "exit_before_start",
    "exit",
    "no_json",
    "truncated_json",
    "bad_json",
    "foreign_json",
}
# What Go says when a request gets no answer, and what that means.
_NO_ANSWER: Final = {
    r"connection refused": "nothing listens at the target: start the service in a fixture of the test, or correct the port in "
    "`service_url`",
    r"does not look like a TLS|HTTP response to HTTPS": "the target speaks no TLS: write http:// in `service_url`",
    r"\\x15\\x03": "the target speaks TLS: write https:// in `service_url`",
    r"malformed HTTP|readLoopPeekFail": "what answers at the target is no HTTP server: correct the port in `service_url`",
    r"certificate": "this machine does not trust the target's certificate: write http:// in `service_url`, or make it trusted",
    r"EOF|reset by peer": "the target takes connections and closes them without an answer: look at its log, and at `service_url`",
}
_HANGS: Final = (
    "the target takes connections, but answers nothing in time: look at its log, or set a longer `timeout`",
    'the target lives in the event loop of the test, which setup blocks: set wait="none" on the mark',
)
# What a trigger says of itself in `asked`, and what to do if it never fired.
_TRIGGERS: Final = {
    r", [\d.e+-]+ s after the start$": "its delay is longer than the body: set a smaller `delay_seconds`, or leave "
    'wait="none" away, so that setup waits for it',
    r", when the body reaches the checkpoint (.+)$": "the body never called chaos_injector.checkpoint({}): write the same "
    "name there and in `trigger`",
    r", when '.+' is \w+$": "what it waits for came too late or never: look at `disruption` and `state` of the trigger",
    r", when .+ answers \d+": "the answer that it waits for never came: compare `url` and `status` of the trigger with what was "
    "seen",
    r", when .+ that matches .+ is (?:logged|written)": "nothing that it waits for was logged: compare its `pattern` with what is "
    "logged, and look at `logger` or `file`",
}


def likely_causes(one: ChaosOutcome, at_most: int = 3) -> list[str]:
    """Return what the facts point at, the most certain first; nothing where they name nothing, or the reason says it all."""
    return list(islice(_causes(one), at_most))


def _causes(one: ChaosOutcome) -> Iterator[str]:
    if one.reason.startswith("aborted: "):
        if one.verdict is Verdict.broke:
            yield f"the check that `abort_when` names failed: that is the finding; {_milder(one)}"
        return
    if "failure" in one.result.details:
        yield from _of_the_load_that_failed(one)
        return
    yield from _of_the_fault(one)
    yield from _of_the_trigger(one)
    yield from _of_the_load(one)
    yield from _of_the_overlap(one)
    yield from _of_the_check(one)
    if one.verdict is Verdict.broke and "body_failed" in one.timeline:
        yield "the body itself failed: run it with --chaos-disable; if it passes then, this is what the disruption does to it"


def _of_the_load_that_failed(one: ChaosOutcome) -> Iterator[str]:
    details, said = one.result.details, one.result.error or ""
    kind = str(details["failure"])
    if kind in _FOREIGN_FORTIO:
        yield "`python -m pytest_chaos doctor` says which fortio is found and what is wrong; --chaos-fortio names another one"
    elif kind in ("no_response", "never_started"):
        known = [cause for words, cause in _NO_ANSWER.items() if re.search(words, said)]
        yield from known[:1] or _HANGS
    elif kind == "ignored_interrupt":
        yield "requests hung longer than fortio was given to end: set a smaller `timeout`, or a larger chaos_stop_timeout"
    elif kind == "died":
        yield "fortio was killed from outside, or the machine ran out of memory: set a smaller `qps` or `concurrency`"


def _of_the_fault(one: ChaosOutcome) -> Iterator[str]:
    if "(chaos_start_timeout)" in one.reason:
        yield "the fault is slow, or never says that it is active: let it set chaos_active_event, or raise chaos_start_timeout"
    elif "did not stop within" in one.reason:
        yield "it needs longer than that to stop: raise chaos_stop_timeout"
    elif re.match(r"the fault failed: \w+: ", one.reason):
        yield "the fault itself raised: run again with --log-level=DEBUG, then its traceback stands in the captured log"


def _of_the_trigger(one: ChaosOutcome) -> Iterator[str]:
    if one.body_span is None:
        return
    moments, (_, ended) = one.timeline, one.body_span
    fired, active = moments.get("fired"), moments.get("active")
    if fired is None and "trigger_timed_out" in moments:
        yield "its time was up before what it waits for came: set a longer `timeout` of the trigger"
    if fired is None and "planned" in moments:
        yield _why_not_fired(one.asked)
    elif active is None and fired is not None:
        yield f"it fired only {seconds(ended - fired)} s before the body's end: fire it earlier, or let the body last longer"


def _why_not_fired(asked: str) -> str:
    for words, cause in _TRIGGERS.items():
        if found := re.search(words, asked):
            return cause.format(*found.groups())
    return "what the trigger waits for did not come while the body ran: bring it about, or let the body last longer"


def _of_the_load(one: ChaosOutcome) -> Iterator[str]:
    details = one.result.details
    shortfall = str(details.get("shortfall", ""))
    if "chaos_max_duration" in shortfall:
        yield "no load may last longer than the cap: raise chaos_max_duration, or make the body shorter"
    elif "under-delivered" in shortfall or "under-delivered" in one.reason:
        yield from _of_the_shortfall(details)


def _of_the_shortfall(details: Mapping[str, Any]) -> Iterator[str]:
    asked, slow = number(details, "asked_qps"), number(details, "p90_s")
    connections = _connections(details)
    answers = responses(details)
    total, unanswered = sum(answers.values()), answers.get("-1", 0)
    if unanswered:
        what = f"{unanswered} of {total} requests got no response: is the target overloaded? Ask for a lower `qps`"
        yield f"{what}, give its listener a larger backlog, or set a longer `timeout`"
    if asked and slow and connections and unanswered < total / 2 and slow > 0.8 * connections / asked:
        needed = math.ceil(asked * slow * 1.5)
        yield f"too few connections: answers took {seconds(slow)} s (p90) over {connections} of them; set `concurrency` to {needed}"
    elif not unanswered:
        yield "the machine was too busy to send at this pace: set a lower `qps`, or accept less with `min_delivered`"


def _connections(details: Mapping[str, Any]) -> int | None:
    """Return how many connections fortio was told to use; one that breaks is made anew, which its own count adds up."""
    argv = details.get("argv")
    line = " ".join(map(str, argv)) if isinstance(argv, list) else ""
    found = re.search(r" -c (\d{1,6}) ", line)
    return int(found[1]) if found else None


def _of_the_overlap(one: ChaosOutcome) -> Iterator[str]:
    if one.verdict is not Verdict.inconclusive or one.body_span is None:
        return
    began, ended = one.body_span
    active, over = one.timeline.get("active"), one.timeline.get("last_effect")
    if active is None or over is None:
        return
    if over <= began and not one.overlap:
        yield f"it was over {seconds(began - over)} s before the body began: set a longer `duration`, or leave it away"
    elif "`min_overlap`" in one.reason or "rounds of the benchmark" in one.reason:
        if active > began:
            yield (
                f"it was active only {seconds(active - began)} s after the body's start: set a smaller `delay_seconds`, "
                'or leave wait="none" away'
            )
        if ended - over > 0.05:
            yield f"it was over {seconds(ended - over)} s before the body was: set a longer `duration`, or leave it away"
    asked = number(one.result.details, "asked_qps")
    if asked and 0 < one.overlap_s < 1 / asked:
        yield f"one request is due every {seconds(1 / asked)} s: set a higher `qps`, or let the body last longer"


def _of_the_check(one: ChaosOutcome) -> Iterator[str]:
    verify = one.verify
    if verify is None or not verify.failures:
        return
    last = verify.failures[-1].message
    if "it must return None or True" in last:
        yield "the check is none: let it return True or False, or raise"
    elif "(chaos_check_timeout)" in last:
        yield "the check hung: give its own requests a time limit, or raise chaos_check_timeout"
    elif verify.phases.get("before") is False:
        yield (
            "it fails in peace: let a fixture bring the system into its steady state, or leave `before` out of `verify_phases`"
        )
    elif verify.phases.get("during") is False:
        yield f"the system does not bear the disruption: that is the finding; {_milder(one)}"
    elif verify.phases.get("after") is False:
        yield (
            "it was still harmed when the disruption was over: that is the finding; if it may take longer to recover, set a larger "
            "`recover_within`"
        )


def _milder(one: ChaosOutcome) -> str:
    load = number(one.result.details, "asked_qps") is not None
    return (
        "a smaller `qps` tells what the system does bear"
        if load
        else "run it with --chaos-disable to be sure"
    )
