"""``report.chaos``: where it stands, what it holds, and that nothing a fault returns breaks the way to it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from pytest_chaos import ChaosResult
from pytest_chaos.outcome import ChaosOutcome
from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
WHERE = pytest.mark.parametrize("option", ["-n0", "-n2"])


def carriers(run: InnerRun, name: str = "") -> dict[str, list[str]]:
    """Return the verdicts on each report of a test that carries any, by phase."""
    reports = [report for report in run.test(name).reports if report.chaos is not None]
    return {report.when: [one["verdict"] for one in report.chaos or ()] for report in reports}


@WHERE
def test_the_report_that_carries_the_outcomes(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def fragile():
    yield
    raise OSError

@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_call(): pass

@pytest.mark.chaos(staged())
def test_body_fails(): assert not RUNNING

@pytest.mark.chaos(staged("one"), staged("two", play="raises"))
def test_setup(): pass

@pytest.mark.chaos(staged())
def test_later_teardown(fragile): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged()):
        pass

@pytest.mark.chaos
def test_plain(): pass

def test_peaceful(): pass
""",
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    assert {name: carriers(run, f"::{name}") for name in run.words} == {
        "test_call": {"call": ["held", "inconclusive"]},
        "test_body_fails": {"call": ["broke"]},
        "test_setup": {"setup": ["not_judged", "inconclusive"]},
        "test_later_teardown": {"call": ["held"]},
        "test_by_hand": {"call": ["held"]},
        "test_plain": {},
        "test_peaceful": {},
    }
    for report in run.reports:
        titles = [title for title, _ in report.sections]
        assert titles.count("chaos") == (report.chaos is not None)
        for one in report.chaos or ():
            ChaosResult.model_validate(one["result"])
            assert ChaosOutcome.model_validate(one).to_json() == one


def test_what_an_outcome_holds(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def chaos_verifiers(): return {{"all is well": lambda: True}}

@pytest.mark.chaos(staged(verify="all is well", details={{"a": 1}}))
def test_it(): pass
""",
        conftest=STAGED,
    )
    (outcome,) = run.test().chaos
    result, timeline = outcome.pop("result"), outcome.pop("timeline")
    assert result.pop("elapsed_time") >= 0
    assert result == {
        "success": True,
        "injected_fault": "staged",
        "output": "as the spec says",
        "error": None,
        "details": {"a": 1},
    }
    assert 0.5 < outcome.pop("overlap") <= 1
    assert 0 < outcome.pop("overlap_s") <= outcome["window"].pop("seconds")
    assert 0 <= outcome["verify"].pop("time_to_recover_s") < 1
    assert 0 <= time.time() - outcome.pop("started_at") < 60
    assert outcome == {
        "name": "a rush",
        "verdict": "held",
        "reason": "the body passed while it was disrupted",
        "window": {"requests": None, "delivered_qps": None, "errors": None},
        "verify": {
            "name": "all is well",
            "phases": {"after": True},
            "samples": 0,
            "tries": 1,
            "failed": 0,
            "failures": [],
        },
        "series": None,
        "test": "test_inner.py::test_it",
        "asked": "staged, at once",
        "worker": "",
        "spec": {
            "name": "a rush",
            "trigger": {"type": "time", "delay_seconds": 0.0},
            "action": {"type": "staged", "label": "a rush", "details": {"a": 1}},
            "verify": "all is well",
            "verify_phases": ["after"],
        },
    }
    moments = [
        "planned",
        "fired",
        "active",
        "body_started",
        "body_ended",
        "last_effect",
        "finished",
        "recovered",
        "verified",
    ]
    assert [timeline[moment] for moment in moments] == sorted(timeline[moment] for moment in moments)


HOSTILE = """
import datetime, decimal, enum, pathlib
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault

class Colour(str, enum.Enum):
    red = "red"

DEEP = []
for _ in range(100):
    DEEP = [DEEP]

DETAILS = {
    "path": pathlib.Path("/tmp/x"),
    "nan": float("nan"),
    "infinite": [float("inf"), -float("inf")],
    "surrogate": "a\\udce9b",
    "ansi": "\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07",
    "controls": "\\x00\\x08\\x9b\\ufffe\\uffff",
    "bytes": b"\\xff",
    "sets": {1},
    "huge number": 2**200,
    "enum": Colour.red,
    "date": datetime.datetime(2026, 1, 1),
    "decimal": decimal.Decimal("1.5"),
    "object": object(),
    "deep": DEEP,
    "long": "x" * 10**6,
    "many": list(range(10**5)),
    3: "number as key",
    "\\udce9": "surrogate as key",
    "complex": 1j,
    "dict subclass": __import__("collections").OrderedDict(a=1),
    "exception": OSError("\\udce9"),
}

@FAULTS.register("hostile")
class Hostile(Fault):
    type: Literal["hostile"] = "hostile"
    play: str = "returns"

    def inject(self, ctx, chaos_active_event=None):
        ctx.note("a moment \\udce9\\x1b[31m")
        chaos_active_event.set()
        ctx.stop.wait()
        if self.play == "raises":
            raise OSError("\\udce9\\x1b[31m" + "x" * 10**6)
        result = ChaosResult(
            success=True,
            injected_fault="hostile\\udce9\\x1b[31m\\x00",
            output="\\x1b[2Joutput\\udce9" * 10**5,
            elapsed_time=0.5,
            details=DETAILS,
        )
        if self.play == "changes it afterwards":
            result.details.update(DETAILS)
        if self.play == "builds it by hand":
            return ChaosResult.model_construct(
                success=True, injected_fault="\\udce9", output=b"x", elapsed_time=float("nan"), error=None, details=DETAILS
            )
        return result

def hostile(**action):
    return {"name": "hostile \\x1b[31m name", "trigger": {"type": "time"}, "action": {"type": "hostile", **action}}
"""


@pytest.mark.parametrize("option", ["-n0", "-n1"])
@pytest.mark.parametrize("play", ["returns", "raises", "changes it afterwards", "builds it by hand"])
def test_what_a_fault_returns_cannot_break_the_report(inner: InnerPytest, option: str, play: str) -> None:
    run = inner(
        f"import pytest\nfrom conftest import hostile\n@pytest.mark.chaos(hostile(play={play!r}))\ndef test_it(): pass\n",
        option,
        conftest=HOSTILE,
        plugins=["xdist.plugin"],
        junit=True,
    )
    assert "INTERNALERROR" not in run.stdout + run.stderr
    (outcome,) = run.test().chaos
    assert outcome["verdict"] in ({"inconclusive"} if play == "raises" else {"held", "error", "inconclusive"})
    ChaosResult.model_validate(outcome["result"])
    text = json.dumps(outcome, allow_nan=False, ensure_ascii=False)
    assert len(text) < 200_000
    text.encode()  # no lone surrogates
    assert not any(
        ord(character) < 32 or 0x7F <= ord(character) < 0xA0
        for string in strings(outcome)
        for character in string
    )
    assert "\x1b" not in run.stdout
    assert run.junit["test_it"].chaos == [outcome]
    if play == "returns":
        assert outcome["result"]["details"]["path"] == "/tmp/x"
        assert outcome["result"]["details"]["nan"] is None
        assert outcome["result"]["details"]["ansi"] == "red"


def strings(value: Any) -> list[str]:
    """Return every string in a JSON value."""
    if isinstance(value, str):
        return [value.replace("\n", "").replace("\t", "")]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    return [text for one in value for text in strings(one)] if isinstance(value, list) else []


def test_a_result_has_a_bounded_size_as_a_whole() -> None:
    result = ChaosResult(success=True, injected_fault="x", details={"rows": [["y" * 4000] * 500] * 20})
    assert len(result.model_dump_json()) < 2_000_000


@pytest.mark.parametrize("option", ["-n0", "-n1"])
def test_a_name_that_is_hard_to_show(inner: InnerPytest, option: str) -> None:
    source = f"{HEAD}@pytest.mark.chaos(staged(name='two\\nlines \\x1b[31m\\u202e &<>\"'))\ndef test_it(): assert not RUNNING\n"
    run = inner(source, option, conftest=STAGED, plugins=["xdist.plugin"], junit=True)
    assert run.test().verdicts == ["broke"]
    assert "\x1b" not in run.stdout
    assert "\u202e" not in run.stdout
    assert run.junit["test_it"].chaos == run.test().chaos


@WHERE
def test_the_section_of_a_failure_has_the_timeline(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged(play='fails'))\ndef test_it(): pass\n",
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    (section,) = [text for title, text in run.test().reports[1].sections if title == "chaos"]
    first, *rows, again, in_peace = section.splitlines()
    assert first == "'a rush' (staged) is inconclusive: the fault failed: it is not what it was"
    assert [line[4:14].strip() for line in rows if line[4:14].strip()] == [
        *("asked", "active"),
        *("setup", "body", "fault"),
        "seconds",
    ]
    moments = re.findall(r"([a-z ]+) \d", " ".join(rows).partition("seconds ")[2])
    assert [" ".join(moment.split()) for moment in moments] == [
        *("fired", "active", "body started", "body ended"),
        *("last effect", "finished"),
    ]
    assert again == "again:    pytest test_inner.py::test_it"
    assert in_peace == "in peace: pytest test_inner.py::test_it --chaos-disable"
    assert section in run.stdout


@WHERE
def test_disabled_outcomes_stand_on_the_report(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="raises"))
def test_it(): assert STARTED == []

@pytest.mark.xfail
@pytest.mark.chaos(staged())
def test_expected(): assert STARTED
""",
        option,
        "--chaos-disable",
        conftest=STAGED,
        plugins=["xdist.plugin"],
        junit=True,
    )
    assert run.words == {"test_it": "passed", "test_expected": "xfailed"}
    assert run.test("::test_it").verdicts == ["disabled", "disabled"]
    assert run.test("::test_it").chaos[0]["reason"] == "chaos is disabled"
    assert run.test("::test_it").chaos[0]["result"]["success"] is False
    assert run.junit["test_it"].properties["chaos.verdict"] == "disabled"
    assert "chaos is disabled (--chaos-disable): every test ran in peace" in run.stdout


@WHERE
def test_the_hook_sees_each_outcome_once(inner: InnerPytest, option: str) -> None:
    conftest = (
        STAGED
        + """
def pytest_chaos_outcome(item, outcome):
    with open("seen.txt", "a") as file:
        print(item.name, outcome.name, outcome.verdict, outcome.result.success, file=file)
"""
    )
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged(play="raises"))
def test_setup(): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged()):
        pass
""",
        option,
        conftest=conftest,
        plugins=["xdist.plugin"],
    )
    assert sorted((run.path / "seen.txt").read_text(encoding="utf-8").splitlines()) == [
        "test_by_hand a rush held True",
        "test_setup a rush inconclusive False",
        "test_two one held True",
        "test_two two inconclusive False",
    ]


def test_a_hook_that_raises_fails_the_test(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): pass\n",
        conftest=STAGED + "def pytest_chaos_outcome(outcome): raise OSError(outcome.name)\n",
    )
    assert run.test().word == "failed"
    assert "OSError: a rush" in run.test().longrepr
    assert run.test().verdicts == ["held"]


def test_a_hook_that_raises_hides_no_failure_of_the_body(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): assert not RUNNING\n",
        conftest=STAGED + "def pytest_chaos_outcome(outcome): raise OSError(outcome.name)\n",
    )
    assert run.test().word == "failed"
    assert "assert not ['a rush']" in run.test().longrepr
    assert run.test().verdicts == ["broke"]
