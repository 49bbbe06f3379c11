"""The verdict as a pure function: every row of the table, and what no combination of facts may ever lead to."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.context import Measured
from pytest_chaos.engine.verdict import Body, Facts, Judgement, judge, needs_check
from pytest_chaos.outcome import ChaosResult, Verdict, worst

GOOD = ChaosResult(success=True, injected_fault="f")
FAILED = ChaosResult(success=False, injected_fault="f", error="no disk")
SHORT = ChaosResult(success=False, injected_fault="f", error="short", details={"shortfall": "asked 9, got 1"})
DELIVERED = Measured(seconds=1.0, due=100.0, requests=100, delivered=100, errors=0)
UNDER = Measured(seconds=1.0, due=100.0, requests=100, delivered=50, errors=50)
NOTHING_DUE = Measured(seconds=0.1, due=0.9, requests=0, delivered=0, errors=0)
UNANSWERED = Measured(seconds=1.0, due=100.0, requests=100, delivered=0, errors=100)

ACTIVE = Facts(
    body=Body.passed, result=GOOD, overlap_s=1.0, window=DELIVERED, min_delivered=0.9, remedy="lower `qps`"
)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        pytest.param(ACTIVE, "held", "passed while it was disrupted", id="active and delivered, passed"),
        pytest.param(replace(ACTIVE, window=None), "held", "passed", id="a fault that is not measured"),
        pytest.param(
            replace(ACTIVE, body=Body.failed), "broke", "failed while", id="active and delivered, failed"
        ),
        pytest.param(replace(ACTIVE, broke_after="sums differ"), "broke", "^sums differ$", id="broke after"),
        pytest.param(
            replace(ACTIVE, broke_during="sums differ"), "broke", "^sums differ$", id="broke during"
        ),
        pytest.param(
            replace(ACTIVE, broke_during="sums differ", broke_after="still"),
            "broke",
            "^sums differ$",
            id="broke during and after",
        ),
        pytest.param(
            replace(ACTIVE, broke_during="sums differ", window=UNDER),
            "broke",
            "^sums differ; yet the disruption was weaker than asked: .*got 50",
            id="broke under less than was asked",
        ),
        pytest.param(
            replace(ACTIVE, broke_after="sums differ", window=UNDER),
            "inconclusive",
            "got 50",
            id="broke after less than was asked",
        ),
        pytest.param(
            replace(ACTIVE, unsampled=True), "inconclusive", "never asked while it was active", id="unsampled"
        ),
        pytest.param(
            replace(ACTIVE, unsampled=True, broke_after="sums differ"),
            "inconclusive",
            "never asked",
            id="unsampled, broke after",
        ),
        pytest.param(
            replace(ACTIVE, unsampled=True, body=Body.failed),
            "broke",
            "the body failed",
            id="unsampled, body failed",
        ),
        pytest.param(
            replace(ACTIVE, overlap=0.4, min_overlap=0.9, overlap_s=0.4),
            "inconclusive",
            r"active for 0\.4 s, 40\.0% of the body, but `min_overlap` asks for 90\.0%",
            id="too little overlap",
        ),
        pytest.param(
            replace(ACTIVE, overlap=0.4, min_overlap=0.9, body=Body.failed),
            "broke",
            "the body failed .*weaker than asked: .*`min_overlap`",
            id="too little overlap, body failed",
        ),
        pytest.param(replace(ACTIVE, overlap=0.9, min_overlap=0.9), "held", "", id="just enough overlap"),
        pytest.param(
            replace(ACTIVE, uncovered="2 rounds"), "inconclusive", "^2 rounds$", id="rounds outside"
        ),
        pytest.param(
            replace(ACTIVE, uncovered="2 rounds", body=Body.failed),
            "broke",
            "2 rounds",
            id="rounds outside, failed",
        ),
        pytest.param(
            replace(ACTIVE, overlap_s=0.0, result=None, skipped="no leader"),
            "not_judged",
            "^no leader$",
            id="the trigger skips",
        ),
        pytest.param(
            replace(ACTIVE, window=UNDER),
            "inconclusive",
            "asked 100 .* got 50 .*lower `qps`",
            id="under-delivered",
        ),
        pytest.param(
            replace(ACTIVE, window=UNDER, body=Body.failed),
            "broke",
            "weaker than asked.*asked 100 .* got 50",
            id="under-delivered, failed",
        ),
        pytest.param(
            replace(ACTIVE, window=UNANSWERED), "inconclusive", "got 0", id="nobody answered in the window"
        ),
        pytest.param(
            replace(ACTIVE, window=NOTHING_DUE),
            "inconclusive",
            "not one whole request was due",
            id="nothing due",
        ),
        pytest.param(
            replace(ACTIVE, result=SHORT), "inconclusive", "asked 9, got 1", id="the fault tells of less"
        ),
        pytest.param(
            replace(ACTIVE, result=SHORT, body=Body.failed),
            "broke",
            "asked 9, got 1",
            id="less, but the body failed",
        ),
        pytest.param(
            replace(ACTIVE, overlap_s=0.0, never="it came too late"),
            "inconclusive",
            "it came too late",
            id="never active in the window",
        ),
        pytest.param(
            replace(ACTIVE, overlap_s=0.0, never="it came too late", body=Body.failed),
            "inconclusive",
            "it came too late",
            id="never active in the window, failed",
        ),
        pytest.param(
            replace(ACTIVE, result=FAILED), "inconclusive", "the fault failed: no disk", id="fault failed"
        ),
        pytest.param(
            replace(ACTIVE, result=FAILED, body=Body.failed),
            "inconclusive",
            "no disk",
            id="fault failed, body failed",
        ),
        pytest.param(replace(ACTIVE, result=None), "inconclusive", "no result", id="no result"),
        pytest.param(replace(ACTIVE, body=Body.skipped), "not_judged", "skipped", id="skipped"),
        pytest.param(replace(ACTIVE, body=Body.interrupted), "not_judged", "interrupted", id="interrupted"),
        pytest.param(replace(ACTIVE, body=Body.not_run), "inconclusive", "not run", id="body not run"),
        pytest.param(
            replace(ACTIVE, body=Body.not_run, result=FAILED),
            "inconclusive",
            "no disk",
            id="body not run, fault failed",
        ),
        *(
            pytest.param(
                replace(ACTIVE, body=body, machinery="a thread was left"),
                "error",
                "a thread was left",
                id=f"error, {body}",
            )
            for body in Body
        ),
    ],
)
def test_each_row_of_the_table(facts: Facts, verdict: str, words: str) -> None:
    judgement = judge(facts)
    assert judgement.verdict == verdict
    assert re.search(words, judgement.reason), judgement.reason


@pytest.mark.parametrize(
    ("due", "delivered", "short"),
    [
        (100.0, 90, False),
        (100.0, 89, True),
        (300.0, 270, False),
        (300.0, 269, True),
        (10.0, 8, False),  # two are forgiven, whatever share they are
        (10.0, 7, True),
        (3.9, 1, False),
        (2.0, 1, False),
        (2.0, 0, True),  # the last answer never is
        (1.0, 0, True),
        (0.5, 0, True),
        (0.0, 0, True),
        (100.0, 140, False),
    ],
)
def test_a_shortfall_of_two_is_forgiven_but_never_the_last_answer(
    due: float, delivered: int, short: bool
) -> None:
    measured = Measured(seconds=1.0, due=due, requests=delivered, delivered=delivered, errors=0)
    assert measured.is_short(0.9) is short


def test_accepting_anything_still_asks_for_one_answer() -> None:
    assert not replace(UNANSWERED, delivered=1).is_short(0.0)
    assert UNANSWERED.is_short(0.0)


def test_a_shortfall_is_told_in_numbers() -> None:
    assert UNDER.in_words() == "asked 100 requests a second, got 50 (50 of 100 in 1 s)"
    assert replace(UNDER, seconds=0.0).in_words() == "nothing was due"


results = st.one_of(
    st.none(),
    st.builds(
        ChaosResult,
        success=st.booleans(),
        injected_fault=st.just("f"),
        error=st.none() | st.text(max_size=20),
        details=st.sampled_from([{}, {"shortfall": "less"}, {"requests": 7}]),
    ),
)
counts = st.integers(min_value=0, max_value=1000)
windows = st.one_of(
    st.none(),
    st.builds(
        Measured,
        seconds=st.floats(0, 100),
        due=st.floats(0, 1000),
        requests=counts,
        delivered=counts,
        errors=counts,
    ),
)
sentences = st.none() | st.text(min_size=1, max_size=20)
all_facts = st.builds(
    Facts,
    body=st.sampled_from(Body),
    result=results,
    overlap_s=st.sampled_from([0.0, 1e-9, 0.5, 10.0]) | st.floats(0, 100),
    window=windows,
    min_delivered=st.floats(0, 1),
    overlap=st.floats(0, 1),
    min_overlap=st.none() | st.floats(0, 1),
    uncovered=sentences,
    unsampled=st.booleans(),
    broke_during=sentences,
    broke_after=sentences,
    skipped=sentences,
    machinery=sentences,
)


@given(all_facts)
def test_held_needs_everything(facts: Facts) -> None:
    if judge(facts).verdict is not Verdict.held:
        return
    assert facts.body is Body.passed
    assert facts.overlap_s > 0
    assert facts.result is not None
    assert facts.result.success
    assert facts.machinery is None
    assert facts.skipped is None
    assert (facts.broke_during, facts.broke_after, facts.unsampled) == (None, None, False)
    assert facts.uncovered is None
    assert facts.min_overlap is None or facts.overlap >= facts.min_overlap
    if facts.window is not None:
        assert facts.window.delivered > 0
        assert facts.window.due >= 1
        missing = math.floor(facts.window.due) - facts.window.delivered
        assert missing <= 2 or facts.window.delivered >= facts.min_delivered * facts.window.due


@given(all_facts)
def test_broke_needs_a_disruption_and_something_that_broke(facts: Facts) -> None:
    if judge(facts).verdict is not Verdict.broke:
        return
    assert facts.overlap_s > 0
    assert facts.result is not None
    assert facts.result.success or "shortfall" in facts.result.details
    assert facts.body in (Body.failed, Body.passed)
    assert facts.body is Body.failed or facts.broke_during is not None or facts.broke_after is not None


@given(all_facts)
def test_every_judgement_has_a_reason(facts: Facts) -> None:
    assert judge(facts).reason.strip() or facts.machinery is not None


@given(all_facts)
def test_what_failed_of_our_own_outranks_everything(facts: Facts) -> None:
    assert (judge(facts).verdict is Verdict.error) == (facts.machinery is not None)


@given(all_facts)
def test_how_it_is_afterwards_is_asked_only_of_a_disruption_that_was_one(facts: Facts) -> None:
    unasked = replace(facts, broke_after=None)
    asked = replace(facts, broke_after="sums differ")
    before = judge(unasked)
    assert needs_check(unasked) == (before.verdict in {Verdict.held, Verdict.broke})
    if before.verdict is Verdict.held:
        assert judge(asked) == Judgement(Verdict.broke, "sums differ")
    else:
        assert judge(asked) == before


@given(all_facts)
def test_a_passed_body_is_green_only_when_it_held(facts: Facts) -> None:
    verdict = judge(replace(facts, body=Body.passed, skipped=None)).verdict
    assert verdict.fails == (verdict is not Verdict.held)


def test_the_worst_verdict_outranks_the_others() -> None:
    ranked = ["held", "disabled", "not_judged", "broke", "inconclusive", "error"]
    assert sorted(Verdict, key=lambda verdict: verdict.rank) == ranked
    assert worst([Verdict.held, Verdict.error, Verdict.broke]) is Verdict.error
    assert [verdict.value for verdict in Verdict if verdict.fails] == ["broke", "inconclusive", "error"]
    with pytest.raises(ValueError, match="empty"):
        worst([])
