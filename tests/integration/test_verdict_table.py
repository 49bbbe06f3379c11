"""The whole table of verdicts, a row a test: real load where a row is about load, with and without xdist.

Each row says what was disrupted how, and what has to come of it everywhere: the verdict and its reason, the test's own
end, the exit status, the JUnit properties.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop, unused_port
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import time
import pytest
from conftest import staged

@pytest.fixture
def chaos_verifiers():
    return {"fine": lambda: None, "broken": lambda: False, "no check": lambda: "fine"}

"""
PASSES, FAILS, SKIPS = "time.sleep(0.3)", "time.sleep(0.3); raise OSError('mine')", "pytest.skip('not today')"
CANNOT_STOP = """
import time
from typing import Literal
from pytest_chaos import ChaosResult

@FAULTS.register("stubborn")
class Stubborn(Fault):
    type: Literal["stubborn"] = "stubborn"

    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        time.sleep(3)
        return ChaosResult(success=True, injected_fault=self.type)
"""
STUBBORN = {"trigger": {"type": "time"}, "action": {"type": "stubborn"}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table.

    Attributes:
        spec: the spec as text, or a function that makes it for a shop.
        body: what the test does.
        keywords: more arguments of the mark; ``ini`` more keys of the ini file.
        word: how the test ends; ``verdict`` and ``reason`` (a pattern) say why.
        properties: more properties than those that follow from all that.
        note: a pattern for what a failure says, if it is not the reason.
    """

    spec: str | Callable[[Shop], Any]
    verdict: str
    reason: str
    word: str
    body: str = PASSES
    keywords: str = ""
    note: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    ini: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The exit status of a run of this row alone."""
        return 0 if self.word in {"passed", "skipped", "xfailed"} else 1


def load(**target: Any) -> Callable[[Shop], Any]:
    return lambda shop: load_spec(shop.url, **{"qps": 100, "min_delivered": 0.5, **target})


def refused(_shop: Shop) -> Any:
    return load_spec(f"http://127.0.0.1:{unused_port()}/")


def slow(shop: Shop) -> Any:
    shop.delay_s = 0.3
    return load_spec(shop.url, qps=100, concurrency=5)


def silent(shop: Shop) -> Any:
    shop.hang = True
    return load_spec(shop.url, qps=40, timeout="200ms")


OWN = "mine"
LOST = r"this failure proves nothing about chaos: .* is inconclusive: "
NEVER, FAILED, SHORT = "staged(play='never active')", "staged(play='fails')", "staged(play='falls short')"
ENDS = "staged(play='ends at once')"
VERIFIED = "staged(verify='{}', watch={{'verify_phases': ['{}']}})"

TABLE = {
    # never active in the window, or the fault failed, or no response at all
    "never active, passed": Row(
        spec=NEVER, keywords=", wait='none'", verdict="inconclusive", reason="never was active", word="failed"
    ),
    "never active, failed": Row(
        spec=NEVER,
        keywords=", wait='none'",
        body=FAILS,
        verdict="inconclusive",
        reason="never was active",
        word="failed",
        note=LOST,
    ),
    "never active, not run": Row(spec=NEVER, verdict="inconclusive", reason="never was active", word="error"),
    "not active in the window": Row(
        spec=ENDS, verdict="inconclusive", reason="but not while the body ran", word="failed"
    ),
    "the fault failed, passed": Row(
        spec=FAILED,
        verdict="inconclusive",
        reason="the fault failed: it is not what it was",
        word="failed",
        properties={"success": "False", "error": "it is not what it was"},
    ),
    "the fault failed, failed": Row(
        spec=FAILED, body=FAILS, verdict="inconclusive", reason="the fault failed", word="failed", note=LOST
    ),
    "no response, passed": Row(
        spec=silent,
        keywords=", wait='none'",
        body="time.sleep(3)",
        verdict="inconclusive",
        reason="answered no request at all",
        word="failed",
        properties={"success": "False"},
    ),
    "no response, failed": Row(
        spec=refused,
        keywords=", wait='none'",
        body="time.sleep(3); raise OSError('mine')",
        verdict="inconclusive",
        reason="connection refused",
        word="failed",
        note=LOST,
    ),
    # active, but under-delivered, or over before the body, or not one whole request due
    "under-delivered, passed": Row(
        spec=slow,
        body="time.sleep(1)",
        verdict="inconclusive",
        reason=r"under-delivered while the body ran: asked 100 requests a second, got \d.*`concurrency`.*`qps`",
        word="failed",
    ),
    "weaker than asked, passed": Row(
        spec=SHORT, verdict="inconclusive", reason="^half of it got lost$", word="failed"
    ),
    "over too early, passed": Row(
        spec=load(),
        body="time.sleep(0.8)",
        ini={"chaos_max_duration": 0.2},
        verdict="inconclusive",
        reason="the load ended at the cap of 0.2 s, before the body did; raise chaos_max_duration",
        word="failed",
    ),
    "over too early, failed": Row(
        spec=load(),
        body="time.sleep(0.8); raise OSError('mine')",
        ini={"chaos_max_duration": 0.2},
        verdict="broke",
        reason="weaker than asked: the load ended at the cap of 0.2 s",
        word="failed",
    ),
    "not one whole request due, passed": Row(
        spec=load(qps=1, concurrency=1),
        body="time.sleep(0.1)",
        verdict="inconclusive",
        reason="not one whole request was due",
        word="failed",
    ),
    # active, also under-delivered, and the body failed
    "active, failed": Row(
        spec=load(),
        body=FAILS,
        verdict="broke",
        reason="the body failed while it was disrupted$",
        word="failed",
    ),
    "under-delivered, failed": Row(
        spec=slow,
        body="time.sleep(1); raise OSError('mine')",
        verdict="broke",
        reason="weaker than asked: under-delivered .* asked 100 requests a second, got",
        word="failed",
    ),
    "weaker than asked, failed": Row(
        spec=SHORT,
        body=FAILS,
        verdict="broke",
        reason="^the body failed .*weaker than asked: half of it got lost$",
        word="failed",
    ),
    # active and delivered
    "delivered, passed": Row(
        spec=load(),
        verdict="held",
        reason="^the body passed while it was disrupted$",
        word="passed",
        properties={"success": "True", "error": "", "errors": "0", "fault": "generate_load"},
    ),
    "passed, held before": Row(
        spec=VERIFIED.format("fine", "before"), verdict="held", reason="^the body passed", word="passed"
    ),
    "passed, held during": Row(
        spec=VERIFIED.format("fine", "during"), verdict="held", reason="^the body passed", word="passed"
    ),
    "passed, held after": Row(
        spec=VERIFIED.format("fine", "after"), verdict="held", reason="^the body passed", word="passed"
    ),
    "passed, broke during": Row(
        spec=VERIFIED.format("broken", "during"),
        verdict="broke",
        reason=r"^the check 'broken' failed: it returned False \(while it was active\)$",
        word="failed",
    ),
    "passed, broke after": Row(
        spec=VERIFIED.format("broken", "after"),
        verdict="broke",
        reason="^the check 'broken' failed: it returned False$",
        word="failed",
    ),
    "skipped": Row(
        spec=load(), body=SKIPS, verdict="not_judged", reason="the body was skipped", word="skipped"
    ),
    "steady state bad": Row(
        spec=VERIFIED.format("broken", "before"),
        body="raise SystemError",
        verdict="inconclusive",
        reason="^the steady state was bad before anything was started: the check 'broken' failed: it returned False$",
        word="error",
        properties={"success": "False", "overlap": "0.0"},
    ),
    # our own machinery or clean-up failed
    **{
        f"error, {name}": Row(
            spec=repr(STUBBORN),
            body=body,
            verdict="error",
            reason="^the fault 'stubborn' did not stop within 1 s of being asked",
            word="failed",
            note=note,
        )
        for name, body, note in (
            ("passed", "pass", None),
            ("failed", "raise OSError('mine')", OWN),
            ("skipped", SKIPS, None),
        )
    },
    "error, no check": Row(
        spec=VERIFIED.format("no check", "after"),
        verdict="error",
        reason="the check 'no check' returned 'fine'; it must return None or True",
        word="failed",
    ),
}


@pytest.mark.parametrize("option", ["-n0", "-n2"])
@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_each_row_of_the_table(inner: InnerPytest, shop: Shop, row: Row, option: str) -> None:
    spec = row.spec if isinstance(row.spec, str) else repr(row.spec(shop))
    run = inner(
        f"{HEAD}@pytest.mark.chaos({spec}{row.keywords})\ndef test_it(): {row.body}\n",
        option,
        "--chaos-stop-timeout=1",
        conftest=STAGED + CANNOT_STOP,
        plugins=["xdist.plugin"],
        ini=row.ini,
        junit=True,
    )
    end, case = run.test(), run.junit["test_it"]
    assert (end.word, end.verdicts, run.exit_code) == (row.word, [row.verdict], row.exit_code), run.stdout
    assert re.search(row.reason, end.chaos[0]["reason"]), end.chaos[0]["reason"]
    if row.body.endswith("raise OSError('mine')"):
        assert OWN in end.longrepr  # the test keeps its own failure
    if row.exit_code:
        assert re.search(row.note or row.reason.strip("^$"), end.longrepr), end.longrepr
    assert (
        case.outcome
        == {"passed": "passed", "failed": "failure", "error": "error", "skipped": "skipped"}[row.word]
    )
    expected = {"verdict": row.verdict, "reason": end.chaos[0]["reason"], "name": end.chaos[0]["name"]}
    told = {key.removeprefix("chaos.1."): value for key, value in case.properties.items()}
    assert told["chaos.verdict"] == row.verdict
    assert told == {**told, **expected, **row.properties}
    assert 0 <= float(told["overlap"]) <= 1
    assert case.chaos == end.chaos
    assert f"{row.verdict:<12} test_inner.py::test_it" in run.stdout


# What an expected failure makes of each verdict.
EXPECTED = {
    "held": "xpassed",
    "broke": "xfailed",
    "not_judged": "skipped",
    "inconclusive": "failed",
    "error": "failed",
}


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_only_what_broke_may_be_expected(inner: InnerPytest, option: str) -> None:
    """The rows that need no load, all in one run."""
    rows = {name: row for name, row in TABLE.items() if isinstance(row.spec, str) and "error" not in name}
    source = HEAD
    for number, row in enumerate(rows.values()):
        source += f"@pytest.mark.xfail\n@pytest.mark.chaos({row.spec}{row.keywords})\ndef test_{number}(): {row.body}\n"
    run = inner(source, option, conftest=STAGED, plugins=["xdist.plugin"])
    ends = {name: run.test(f"::test_{number}").word for number, name in enumerate(rows)}
    # What was in the way before the body is an error, expected or not.
    assert ends == {
        name: "error" if row.word == "error" else EXPECTED[row.verdict] for name, row in rows.items()
    }
