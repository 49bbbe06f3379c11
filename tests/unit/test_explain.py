"""The text of a failure: one screen whatever happened, drawn to scale, as wide as the terminal, in ASCII where it must be."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_chaos.outcome import (
    ChaosOutcome,
    ChaosResult,
    CheckFailure,
    Series,
    Verdict,
    VerifyReport,
    Window,
)
from pytest_chaos.plugin.causes import likely_causes
from pytest_chaos.plugin.explain import command, explain
from pytest_chaos.plugin.text import inert, summary_line
from pytest_chaos.plugin.timeline import can_show_blocks, draw
from pytest_chaos.scrub import clean

AGAIN = "pytest test_it.py::test_it"


def outcome(name: str = "a rush", verdict: Verdict = Verdict.broke, **more: Any) -> ChaosOutcome:
    result = ChaosResult(
        success=True,
        injected_fault=more.pop("fault", "staged"),
        error=more.pop("error", None),
        details=more.pop("details", {}),
    )
    return ChaosOutcome(name=name, verdict=verdict, result=result, **{"reason": "as it went", **more})


def series(requests: list[int], errors: list[int], start_s: float = 0.0, width_s: float = 1.0) -> Series:
    nothing: list[float | None] = [None] * len(requests)
    return Series(
        start_s=start_s,
        width_s=width_s,
        requests=requests,
        errors=errors,
        codes={},
        p50_s=nothing,
        p99_s=nothing,
        max_s=nothing,
    )


def rows(drawn: list[str]) -> dict[str, str]:
    """Return the rows of a drawing by their names."""
    return {line[:10].strip(): line[10:] for line in drawn if line[:10].strip()}


# ---------------------------------------------------------------------- the drawing

LOAD = {
    "planned": 1.0,
    "fired": 2.0,
    "active": 3.0,
    "body_started": 3.0,
    "body_failed": 8.0,
    "last_effect": 8.0,
}
LOAD = {**LOAD, "finished": 9.0, "judged": 10.0}


def test_everything_is_drawn_to_one_scale() -> None:
    verify = VerifyReport(name="well", failures=[CheckFailure(at_s=6, phase="during", message="no")])
    measured = series([0, 0, 0, 4, 8, 8, 8, 8], [0] * 7 + [8])
    one = outcome(timeline={**LOAD, "recovered": 9.5}, verify=verify, series=measured)
    assert draw(one, width=50, blocks=False) == [
        "          0 s                                 10 s",
        "setup     ############",
        "body                  ####################x",
        "fault         ....----====================",
        "check                             !             r",
        "requests              ====################",
        "errors                                ####",
        "          . waiting  - starting  = active",
        "          x the body failed  ! the check failed",
        "          r recovered  requests up to 8 a second",
        "          errors up to 8 a second",
    ]
    assert rows(draw(one, width=50, blocks=True))["requests"].strip() == "▄▄▄▄████████████████"


def test_a_spike_is_drawn_however_many_stretches_a_column_holds() -> None:
    spike = [1] * 307 + [80] + [1] * 292
    one = outcome(timeline={"fired": 0.0, "judged": 60.0}, series=series(spike, [0] * 600, width_s=0.1))
    (row,) = [row for name, row in rows(draw(one, width=40)).items() if name == "requests"]
    assert row.count("█") == 1
    assert 14 <= row.index("█") <= 15


def test_what_ended_at_once_is_drawn_all_the_same() -> None:
    moments = {
        "planned": 0.0,
        "fired": 5.0,
        "active": 5.0,
        "last_effect": 5.0,
        "finished": 5.0,
        "judged": 10.0,
    }
    assert "=" in rows(draw(outcome(timeline=moments), width=50))["fault"]


def test_an_abort_is_drawn_where_the_check_failed() -> None:
    moments = {"fired": 0.0, "active": 0.0, "stopped": 5.0, "last_effect": 5.0, "judged": 10.0}
    aborted = outcome(timeline=moments, reason="aborted: the check 'few' failed: it returned False")
    assert rows(draw(aborted, width=50))["check"].index("!") == 20
    by_file = outcome(timeline=moments, reason="aborted: the abort file /stop is there")
    assert "check" not in rows(draw(by_file, width=50))


def test_where_nothing_began_nothing_is_drawn() -> None:
    assert draw(outcome()) == []


@pytest.mark.parametrize(
    ("encoding", "blocks"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp437", False)]
)
def test_block_characters_only_where_standard_output_takes_them(
    monkeypatch: pytest.MonkeyPatch, encoding: str, blocks: bool
) -> None:
    monkeypatch.setattr("sys.__stdout__", SimpleNamespace(encoding=encoding))
    assert can_show_blocks() is blocks


@pytest.mark.parametrize(
    "stdout", [None, SimpleNamespace(encoding=None), SimpleNamespace(encoding="klingon")]
)
def test_no_block_characters_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch, stdout: object) -> None:
    monkeypatch.setattr("sys.__stdout__", stdout)
    assert can_show_blocks() is False


# ---------------------------------------------------------------------- the whole text


@pytest.mark.parametrize(("terminal", "columns"), [(30, 60), (72, 72), (250, 100)])
def test_it_is_as_wide_as_the_terminal_within_bounds(
    monkeypatch: pytest.MonkeyPatch, terminal: int, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    one = outcome(reason="why " * 100, timeline=LOAD, asked="much " * 50)
    widest = max(len(line) for line in explain([one], again=AGAIN, blocks=True).splitlines())
    assert columns - 5 <= widest <= columns


def test_only_the_worst_is_told_in_full() -> None:
    held = outcome("fine", Verdict.held, timeline=LOAD)
    bad = outcome("bad", Verdict.inconclusive, timeline=LOAD, asked="a lot")
    lines = explain(
        [held, outcome("gone", timeline=LOAD), bad, held, held], again=AGAIN, blocks=True
    ).splitlines()
    assert [line for line in lines if not line.startswith("    ")] == [
        "'bad' (staged) is inconclusive: as it went",
        "'gone' (staged) is broke: as it went",
        "'fine' (staged) is held: as it went",
        "... and 2 more, none of them worse",
        f"again:    {AGAIN}",
        f"in peace: {AGAIN} --chaos-disable",
    ]
    assert sum(line.startswith("    setup ") for line in lines) == 1


def test_a_test_that_passes_is_told_no_causes_and_no_commands() -> None:
    told = explain([outcome(verdict=Verdict.held, timeline=LOAD)], again=AGAIN, blocks=True)
    assert "perhaps" not in told
    assert "again" not in told


def test_what_only_the_machinery_cares_about_is_left_out() -> None:
    told = explain([outcome(timeline={**LOAD, "half_way": 5.0})], again=AGAIN, blocks=True, columns=100)
    assert (
        "    seconds   fired 2.000, active 3.000, body started 3.000, body failed 8.000, last effect 8.000,"
        in told
    )
    assert "half way 5.000" in told
    assert "judged" not in told


def test_the_check_is_told_phase_by_phase() -> None:
    failures = [CheckFailure(at_s=at, phase="during", message="no") for at in (1, 2, 3, 4, 5, 6)]
    failures.append(CheckFailure(at_s=9, phase="after", message="the stock is negative"))
    verify = VerifyReport(
        name="well",
        phases={"before": True, "during": False, "after": False},
        samples=12,
        tries=1,
        failed=30,
        failures=failures,
    )
    told = explain([outcome(verify=verify, reason="no")], again=AGAIN, blocks=True, columns=100)
    row = " ".join(told[told.index("    check ") :].split())
    assert row.startswith(
        "check 'well' held before, failed during (asked 12 times), failed after (asked 1 time); it failed at 1.000, 2.000, "
        "3.000, 4.000, 5.000 s and 25 times more; at last: the stock is negative"
    )


def test_the_longest_texts_are_cut_and_say_so() -> None:
    failures = [CheckFailure(at_s=at, phase="during", message="oh " * 1300 + str(at)) for at in range(20)]
    long = outcome(
        "n" * 500,
        reason="why " * 1000,
        asked="much " * 100,
        timeline={**LOAD, **{f"moment {number}": 5.0 for number in range(90)}},
        verify=VerifyReport(
            name="c" * 500, phases={"during": False}, samples=20, failed=99, failures=failures
        ),
        details={"asked_qps": 300, "responses": {str(code): 1 for code in range(300, 600)}},
    )
    lines = explain([long] * 5, again=AGAIN, blocks=True, columns=100).splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith("'nnn")
    assert "more characters)' (staged) is broke: why" in " ".join(lines[:2])
    # The sentence, what was asked, measured and checked, the moments; and the sentences of the two beside it.
    assert sum(line.endswith(" ...") for line in lines) == 7
    assert lines[-3] == "... and 2 more, none of them worse"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)
NUMBERS = st.floats(min_value=0, max_value=1e6)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DETAILS = st.dictionaries(
    st.sampled_from(
        [
            "asked_qps",
            "delivered_qps",
            "requests",
            "responses",
            "p90_s",
            "p99_s",
            "argv",
            "shortfall",
            "failure",
        ]
    ),
    ANYTHING | st.dictionaries(st.sampled_from(["200", "-1", "503"]), ANYTHING),
)
MOMENTS = st.sampled_from([*LOAD, "body_ended", "stopped", "recovered", "trigger_timed_out"]) | TEXTS.map(
    clean
)
FAILURES = st.builds(CheckFailure, at_s=NUMBERS, phase=TEXTS, message=TEXTS)
OUTCOMES = st.builds(
    outcome,
    name=TEXTS,
    verdict=st.sampled_from([Verdict.broke, Verdict.inconclusive, Verdict.error]),
    reason=TEXTS.map("under-delivered `min_overlap` ".__add__)
    | TEXTS.map("aborted: the check ".__add__)
    | TEXTS,
    fault=TEXTS,
    error=TEXTS,
    details=DETAILS,
    timeline=st.dictionaries(MOMENTS, NUMBERS, max_size=30),
    overlap=st.sampled_from([0, 0.5, 1]),
    overlap_s=NUMBERS,
    window=st.builds(
        Window, seconds=NUMBERS, requests=st.integers(0, 99), delivered_qps=NUMBERS, errors=st.just(1)
    ),
    verify=st.none()
    | st.builds(
        VerifyReport,
        name=TEXTS,
        phases=st.dictionaries(st.sampled_from(["before", "during", "after"]), st.booleans()),
        failed=st.integers(0, 99),
        failures=st.lists(FAILURES, max_size=20),
    ),
    series=st.none() | st.just(series([1, 0, 9], [0, 0, 9])),
    asked=TEXTS,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OUTCOMES, min_size=1, max_size=5), st.sampled_from([60, 80, 100]), st.booleans())
def test_whatever_happened_it_is_one_screen_of_text(
    outcomes: list[ChaosOutcome], columns: int, blocks: bool
) -> None:
    lines = explain(outcomes, again=AGAIN, blocks=blocks, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns + 1  # a command of CI systems is spoilt by one more blank
    assert len(lines) <= (45 if columns == 100 else 60)
    assert lines[-2:] == [f"again:    {AGAIN}", f"in peace: {AGAIN} --chaos-disable"]
    assert not any(
        ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for line in lines for character in line
    )
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in lines)
    assert len(likely_causes(outcomes[0])) <= 3


def test_no_text_is_a_command_of_a_ci_system() -> None:
    one = outcome("::error::x ##[error]x", fault="##[group]", asked="y" * 84 + " ::stop-commands::x")
    told = explain([one], again=AGAIN, blocks=True, columns=100)
    assert "\n              : :stop-commands::x\n" in told
    for text in (told, summary_line("##[endgroup]", one)):
        assert "##[" not in text
    assert inert("  ::error::x") == "  : :error::x"
    assert inert("a::error::x") == "a::error::x"


# ---------------------------------------------------------------------- the command


def again(nodeid: str, rootdir: str = "/project", started_in: str = "/project") -> list[str]:
    """Return the words of the command that runs a test again."""
    config = SimpleNamespace(rootpath=Path(rootdir), invocation_params=SimpleNamespace(dir=Path(started_in)))
    return shlex.split(command(cast("pytest.Config", config), nodeid))


def test_the_command_finds_the_test_from_where_pytest_was_started() -> None:
    assert again("tests/test_it.py::TestIt::test_it[a b; rm *]") == [
        "pytest",
        "tests/test_it.py::TestIt::test_it[a b; rm *]",
    ]
    assert again("tests/test_it.py::test_it", started_in="/project/tests") == [
        "pytest",
        "test_it.py::test_it",
    ]
    assert again("test_it.py::test_it", started_in="/elsewhere") == [
        "pytest",
        "../project/test_it.py::test_it",
    ]


@pytest.mark.parametrize("parameter", ["x" * 10_000, "\x1b[31m", "a\u202eb"])
def test_an_id_that_no_command_can_hold_is_left_out(parameter: str) -> None:
    assert again(f"test_it.py::test_it[{parameter}]") == ["pytest", "test_it.py::test_it"]


# ---------------------------------------------------------------------- causes that no page shows


@pytest.mark.parametrize(
    ("kind", "error", "cause"),
    [
        (
            "no_response",
            r'malformed HTTP response "\x15\x03\x01"',
            "the target speaks TLS: write https:// in `service_url`",
        ),
        (
            "no_response",
            "x509: certificate signed by unknown authority",
            "this machine does not trust the target's certificate",
        ),
        ("no_response", "read: connection reset by peer", "closes them without an answer"),
        ("ignored_interrupt", "", "set a smaller `timeout`, or a larger chaos_stop_timeout"),
        ("truncated_json", "", "`python -m pytest_chaos doctor`"),
    ],
)
def test_the_cause_of_a_load_that_failed(kind: str, error: str, cause: str) -> None:
    one = outcome(verdict=Verdict.inconclusive, error=error, details={"failure": kind})
    assert cause in likely_causes(one)[0]


def test_too_few_connections_are_counted_by_what_fortio_was_told() -> None:
    details = {
        "asked_qps": 200,
        "p90_s": 0.5,
        "responses": {"200": 40},
        "connections": 900,
        "argv": ["fortio", "-c", "8", "x"],
    }
    (cause,) = likely_causes(
        outcome(verdict=Verdict.inconclusive, details={**details, "shortfall": "under-delivered"})
    )
    assert cause == "too few connections: answers took 0.5 s (p90) over 8 of them; set `concurrency` to 150"


def test_a_busy_machine() -> None:
    details = {"asked_qps": 200, "p90_s": 0.001, "responses": {"200": 40}, "argv": ["fortio", "-c", "8", "x"]}
    (cause,) = likely_causes(
        outcome(verdict=Verdict.inconclusive, details={**details, "shortfall": "under-delivered"})
    )
    assert "accept less with `min_delivered`" in cause


def test_a_check_that_is_none() -> None:
    failure = CheckFailure(
        at_s=1, phase="before", message="the check 'x' returned 0; it must return None or True"
    )
    one = outcome(verify=VerifyReport(name="x", phases={"before": False}, failures=[failure], failed=1))
    assert likely_causes(one) == ["the check is none: let it return True or False, or raise"]


def test_a_fault_that_is_no_load_has_no_rate_to_lower() -> None:
    failure = CheckFailure(at_s=1, phase="during", message="it returned False")
    one = outcome(verify=VerifyReport(name="x", phases={"during": False}, failures=[failure], failed=1))
    (cause,) = likely_causes(one)
    assert cause.endswith("run it with --chaos-disable to be sure")


@pytest.mark.parametrize(
    ("asked", "setting"),
    [
        ("staged, 2.5 s after the start", "`delay_seconds`"),
        ("staged, when the body reaches the checkpoint 'it{0}s'", "chaos_injector.checkpoint('it{0}s')"),
        ("staged, when 'a rush' is active", "`disruption` and `state`"),
        ("staged, when http://x/ answers 503", "`url` and `status`"),
        ("staged, when a line that matches 'x' is written to 'y.log'", "`pattern`"),
        ("staged, when trigger 'tide' fires", "let the body last longer"),
    ],
)
def test_why_a_trigger_never_fired(asked: str, setting: str) -> None:
    moments = {"planned": 0.0, "body_started": 0.0, "body_ended": 1.0}
    (cause,) = likely_causes(outcome(verdict=Verdict.inconclusive, timeline=moments, asked=asked))
    assert setting in cause


def test_it_fired_just_before_the_end() -> None:
    moments = {"planned": 0.0, "body_started": 0.0, "fired": 0.95, "body_ended": 1.0}
    (cause,) = likely_causes(outcome(verdict=Verdict.inconclusive, timeline=moments))
    assert cause.startswith("it fired only 0.05 s before the body's end: fire it earlier")


def test_a_held_round_of_a_benchmark_is_no_cause() -> None:
    moments = {"active": 0.0, "body_started": 0.0, "last_effect": 0.5, "body_ended": 1.0}
    reason = "2 of the 5 rounds of the benchmark ran while it was not active"
    (cause,) = likely_causes(
        outcome(verdict=Verdict.inconclusive, timeline=moments, reason=reason, overlap=0.5)
    )
    assert cause.startswith("it was over 0.5 s before the body was: set a longer `duration`")


def test_an_abort_has_one_cause() -> None:
    failure = CheckFailure(at_s=1, phase="during", message="it returned False")
    more: dict[str, Any] = {
        "timeline": LOAD,
        "verify": VerifyReport(name="x", phases={"during": False}, failures=[failure], failed=1),
    }
    by_check = outcome(
        reason="aborted: the check 'few' failed: it returned False", details={"asked_qps": 9}, **more
    )
    assert likely_causes(by_check) == [
        "the check that `abort_when` names failed: that is the finding; a smaller `qps` tells what the system does bear"
    ]
    by_file = outcome(
        verdict=Verdict.inconclusive, reason="aborted: the abort file is there; remove it to go on", **more
    )
    assert likely_causes(by_file) == []
