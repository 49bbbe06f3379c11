"""``timeout`` and ``on_timeout`` of each trigger, in a test; and what is refused or only told of at collection."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop, unused_port
from tests.support.staged import STAGED

HEAD = """\
import logging
import threading
import time
import pytest
from conftest import RUNNING, STARTED, staged

"""
AFTER = """
def test_after():
    deadline = time.monotonic() + 5
    while left := [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]:
        assert time.monotonic() < deadline, left
    assert RUNNING == []
    assert not [one for one in logging.getLogger().handlers if type(one).__module__.startswith("pytest_chaos")]
"""
PEACE = "http://127.0.0.1:{port}/ready"
TRIGGERS: dict[str, dict[str, Any]] = {
    "checkpoint": {"type": "checkpoint", "name": "here"},
    "after": {"type": "after", "disruption": "other", "state": "finished"},
    "http": {"type": "http", "url": PEACE, "every": 0.01},
    "log": {"type": "log", "pattern": "paid"},
    "file": {"type": "log", "pattern": "paid", "file": "shop.log"},
}
WORDS = {
    "checkpoint": "when the body reaches the checkpoint 'here'",
    "after": "when 'other' is finished",
    "http": f"when {PEACE} answers 200",
    "log": "when something that matches 'paid' is logged by any logger",
    "file": "when a line that matches 'paid' is written to 'shop.log'",
}
SEEN = {
    "checkpoint": "checkpoints that were reached: none",
    "after": "'other' was active",
    "http": "no answer: ConnectionRefusedError; tries: ",
    "log": "records of any logger that were looked at: 0",
    "file": "lines of 'shop.log' that were looked at: 0; it does not exist",
}
EACH = pytest.mark.parametrize("kind", TRIGGERS)


def marks(kind: str, *, port: int, wait: str = "", **more: Any) -> str:
    """Return the mark of a test with a disruption by that trigger, and another one that lasts as long as the body."""
    trigger = {**TRIGGERS[kind], **more}
    if "url" in trigger:
        trigger["url"] = trigger["url"].format(port=port)
    return f"@pytest.mark.chaos({{**staged('a rush'), 'trigger': {trigger!r}}}, staged('other'){wait})"


def test_the_table_has_every_trigger_that_may_wait_in_vain() -> None:
    from pytest_chaos.base import TRIGGERS as REGISTERED  # noqa: PLC0415 - a name of its own
    from pytest_chaos.base import TimedTrigger  # noqa: PLC0415

    timed = {tag for tag, cls in REGISTERED.items() if issubclass(cls, TimedTrigger)}
    assert timed == {trigger["type"] for trigger in TRIGGERS.values()}


@EACH
@pytest.mark.parametrize("fails", [False, True], ids=["passing", "failing"])
@pytest.mark.parametrize("over_first", [False, True], ids=["too late", "over first"])
@pytest.mark.parametrize(
    ("on_timeout", "word", "verdict"),
    [("fail", "failed", "inconclusive"), ("skip", "skipped", "not_judged"), ("fire", "passed", "held")],
)
def test_what_never_comes(
    inner: InnerPytest, kind: str, fails: bool, over_first: bool, on_timeout: str, word: str, verdict: str
) -> None:
    port = unused_port()
    timeout = "1m" if over_first else "50ms"
    if over_first and on_timeout == "fire":
        word, verdict = "failed", "inconclusive"
    elif on_timeout == "fire" and fails:
        verdict = "broke"
    run = inner(
        f"""{HEAD}
{marks(kind, port=port, timeout=timeout, on_timeout=on_timeout)}
def test_it():
    time.sleep(0.3)
    assert not {fails}
"""
        + AFTER,
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts[0]) == ("failed" if fails else word, verdict), run.stdout
    assert run.words["test_after"] == "passed"
    outcome = end.chaos[0]
    words = WORDS[kind].format(port=port)
    if not over_first:
        assert ("trigger_timed_out" in outcome["timeline"]) is True
        assert ("fired" in outcome["timeline"]) is (on_timeout == "fire")
    if verdict == "inconclusive":
        assert words in outcome["reason"]
        assert SEEN[kind] in outcome["reason"]
        assert ("within its timeout of 0.05 s" in outcome["reason"]) is not over_first
    if verdict == "not_judged":
        ended = "before the end" if over_first else "within its timeout of 0.05 s"
        assert outcome["reason"] == f"it did not fire {words} {ended}"
        assert fails or any(words in report.longrepr for report in end.reports)


UNTIL_TOLD = """\
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault
from tests.support.server import Shop

OVER = threading.Event()

@FAULTS.register("until_told")
class UntilTold(Fault):
    type: Literal["until_told"] = "until_told"
    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        OVER.wait(10)
        return ChaosResult(success=True, injected_fault="until_told")

@pytest.fixture
def shop():
    shop = Shop()
    shop.status = 503
    yield shop
    shop.close()

@pytest.fixture
def chaos_variables(shop):
    return {"URL": shop.url, "WORD": "paid"}

"""
DEEDS = {
    "checkpoint": "chaos_injector.checkpoint('here')",
    "after": "OVER.set()",
    "http": "shop.status = 200",
    "log": "logging.getLogger('shop').warning('order %d paid', 7)",
    "file": "pathlib.Path('shop.log').write_text('order 7 paid\\n')",
}


@EACH
@pytest.mark.parametrize("on_timeout", ["fail", "skip", "fire"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_what_comes_in_time(inner: InnerPytest, kind: str, on_timeout: str, late: bool) -> None:
    """At once: by the first line of the body. The patterns and the URL have a placeholder."""
    trigger = {**TRIGGERS[kind], "on_timeout": on_timeout}
    trigger |= {"url": "{{URL}}/ready"} if kind == "http" else {}
    trigger |= {"pattern": "order [0-9]+ {{WORD}}$"} if "pattern" in trigger else {}
    other = {"name": "other", "trigger": {"type": "time"}, "action": {"type": "until_told"}}
    run = inner(
        f"""{HEAD}
import pathlib
{UNTIL_TOLD}

@pytest.mark.chaos({{**staged("a rush"), "trigger": {trigger!r}}}, {other!r})
def test_it(shop, chaos_injector):
    {"time.sleep(0.2); assert not STARTED" if late else ""}
    {DEEDS[kind]}
    deadline = time.monotonic() + 10
    while not RUNNING: assert time.monotonic() < deadline
    OVER.set()
"""
        + AFTER,
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("passed", ["held", "held"]), run.stdout
    assert "trigger_timed_out" not in end.chaos[0]["timeline"]
    assert run.words["test_after"] == "passed"


def test_fired_all_the_same_and_then_never_active(inner: InnerPytest) -> None:
    trigger = {"type": "checkpoint", "name": "here", "timeout": 0.05, "on_timeout": "fire"}
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos({{**staged("a rush", play="never active"), "trigger": {trigger!r}}})
def test_it(): time.sleep(0.3)
""",
        conftest=STAGED,
    )
    (outcome,) = run.test().chaos
    assert outcome["verdict"] == "inconclusive"
    assert "the fault never was active" in outcome["reason"]


# ---------------------------------------------------------------- at collection


@EACH
@pytest.mark.parametrize(
    ("wait", "options"),
    [("active", ()), ("done", ()), ("active", ("-n1",)), ("active", ("--chaos-dry-run",))],
)
def test_setup_cannot_wait_for_the_body(
    inner: InnerPytest, kind: str, wait: str, options: tuple[str, ...]
) -> None:
    mark = marks(kind, port=9, wait=f", wait={wait!r}")
    run = inner(
        f"{HEAD}\n{mark}\ndef test_it(): raise SystemError\n",
        *options,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    assert run.words == {}
    assert run.exit_code != 0
    text = " ".join(run.stdout.split())
    assert (
        f"'a rush': wait={wait!r} cannot be: trigger {TRIGGERS[kind]['type']!r} waits for what happens"
        in text
    )
    assert re.search(r"test_inner.py:\d+: bad chaos mark on test_it", run.stdout)


@EACH
def test_in_a_block_it_cannot_be_waited_for_either(inner: InnerPytest, kind: str) -> None:
    trigger = {**TRIGGERS[kind], "type": TRIGGERS[kind]["type"]}
    if "url" in trigger:
        trigger["url"] = PEACE.format(port=9)
    run = inner(
        f"""{HEAD}
from pytest_chaos.errors import SpecError

@pytest.mark.chaos(staged("other"))
def test_it(chaos_injector):
    spec = {{**staged("a rush"), "trigger": {trigger!r}}}
    for wait in ("active", "done"):
        with pytest.raises(SpecError, match="cannot be: trigger"):
            chaos_injector.inject(spec, wait=wait)
    with pytest.raises(SpecError, match="cannot be: trigger"):
        chaos_injector.run(spec)
"""
        + AFTER,
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed", "test_after": "passed"}, run.stdout


def test_one_such_trigger_is_enough_for_the_body_to_start_at_once(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("slow", delay_seconds=0.3))
@pytest.mark.chaos({{**staged("b"), "trigger": {{"type": "checkpoint", "name": "here"}}}})
class TestIt:
    def test_it(self, chaos_injector):
        assert not STARTED
        chaos_injector.checkpoint("here")
        assert RUNNING == ["b"]
        time.sleep(0.5)
        assert RUNNING == ["b", "slow"]
"""
        + AFTER,
        conftest=STAGED,
    )
    assert run.test("test_it").verdicts == ["held", "held"], run.stdout


@EACH
def test_a_dry_run_tells_of_it(inner: InnerPytest, kind: str) -> None:
    run = inner(
        f"{HEAD}\n{marks(kind, port=9)}\ndef test_it(): raise SystemError\n",
        "--chaos-dry-run",
        "--chaos-plan=plan.json",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "skipped"}
    words = WORDS[kind].format(port=9)
    assert (
        f"when     {words}; the body starts at once, and the trigger's clock with it (wait='none')"
        in run.stdout
    )
    plan = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))["disruptions"][0]
    assert (plan["trigger"], plan["wait"]) == (words, "none")
    targets = [{"url": PEACE.format(port=9), "decision": "loopback, allowed"}] if kind == "http" else []
    assert plan["targets"] == targets


@EACH
def test_in_peace_nothing_is_waited_for(inner: InnerPytest, shop: Shop, kind: str) -> None:
    run = inner(
        f"{HEAD}\n{marks(kind, port=shop.port)}\ndef test_it(): pass\n{AFTER}",
        "--chaos-disable",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed", "test_after": "passed"}
    assert run.test("test_it").verdicts == ["disabled", "disabled"]
    assert shop.count == 0
