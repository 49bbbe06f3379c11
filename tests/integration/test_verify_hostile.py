"""Checks that misbehave, and tests that are left while they are asked: nothing hangs, nothing goes on, nothing is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import functools
import signal
import threading
import time

import anyio
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.errors import NotHeld

ASKED = []

def watched(name="a rush", *phases, check="it", recover_within=0, verify_every=0.02, **more):
    return staged(name, verify=check, watch={
        "verify_phases": list(phases),
        **({"recover_within": recover_within} if recover_within else {}),
        "verify_every": verify_every,
    }, **more)

"""
ALL = "'a rush', 'before', 'during', 'after'"


def module(check: str, *tests: str) -> str:
    """Return a module whose check ``it`` is ``check``."""
    source = f"{HEAD}@pytest.fixture\ndef chaos_verifiers(): return {{'it': {check}}}\n\n"
    return source + "\n".join(tests) + "\n"


def marked(spec: str, body: str = "time.sleep(0.1)", *, wait: str = "active") -> str:
    return f"@pytest.mark.chaos(watched({spec}), wait={wait!r})\ndef test_it(): {body}\n"


def by_hand(spec: str, body: str = "time.sleep(0.1)", *, wait: str = "active") -> str:
    return f"def test_it(chaos_injector):\n    with chaos_injector.inject(watched({spec}), wait={wait!r}): {body}\n"


def run_module(inner: InnerPytest, source: str, *options: str, **more: Any) -> InnerRun:
    return inner(source, *options, conftest=more.pop("conftest", STAGED), **more)


def verify_of(run: InnerRun, name: str = "::test_it") -> dict[str, Any]:
    (outcome,) = run.test(name).chaos
    found: dict[str, Any] = outcome["verify"]
    return found


# ---------------------------------------------------------------------------------------------- kinds of checks

KINDS = {
    "function": "lambda: None",
    "bound method": "Shop().check",
    "bound method that takes the disruption": "Shop().check_disruption",
    "class method": "Shop.check_class",
    "static method": "Shop.check_static",
    "callable object": "Shop()",
    "partial": "functools.partial(Shop.check_disruption, Shop())",
    "wrapped function": "functools.lru_cache(Shop().check)",
    "built-in": "threading.Event().clear",
}
SHOP = """
class Shop:
    def check(self): ASKED.append(self)
    def check_disruption(self, disruption): return disruption.spec.name == "a rush"
    def __call__(self): ASKED.append(self)
    @classmethod
    def check_class(cls): ASKED.append(cls)
    @staticmethod
    def check_static(): ASKED.append(None)
"""


@pytest.mark.parametrize("check", KINDS.values(), ids=KINDS)
def test_every_kind_of_check_is_asked_in_every_phase(inner: InnerPytest, check: str) -> None:
    run = run_module(inner, module(check, SHOP, marked(f"{ALL}, recover_within=5")))
    assert run.test().verdicts == ["held"], run.stdout
    assert verify_of(run)["phases"] == {"before": True, "during": True, "after": True}
    assert verify_of(run)["samples"] >= 2


def test_what_a_check_prints_belongs_to_the_test(inner: InnerPytest) -> None:
    source = module(
        "lambda disruption: print('looking:', disruption.state) or len(ASKED) < 1 or None",
        marked(ALL, "ASKED.append(1); assert 0"),
    )
    run = run_module(inner, source)
    told = {
        name: text
        for report in run.test().reports
        for name, text in report.sections
        if name.startswith("Captured stdout")
    }
    assert "looking: waiting" in told["Captured stdout setup"]
    assert "looking: finished" in told["Captured stdout call"]
    assert "looking" not in run.stdout.partition("FAILURES")[0]


# ---------------------------------------------------------------------------------------------- checks that hang

HANGS = "lambda: time.sleep(600)"


@pytest.mark.parametrize("option", ["-n0", "-n1"])
@pytest.mark.parametrize(
    ("phase", "verdict", "word"),
    [("before", "inconclusive", "error"), ("during", "broke", "failed"), ("after", "broke", "failed")],
)
def test_a_check_that_hangs_delays_neither_the_verdict_nor_the_exit(
    inner: InnerPytest, phase: str, verdict: str, word: str, option: str
) -> None:
    began = time.monotonic()
    run = run_module(
        inner,
        module(HANGS, marked(f"'a rush', {phase!r}"), "def test_after(): pass"),
        option,
        "--chaos-check-timeout=0.3",
        plugins=["xdist.plugin"],
        subprocess=True,
    )
    assert time.monotonic() - began < 20
    assert (run.test("::test_it").word, run.test("::test_it").verdicts) == (word, [verdict]), run.stdout
    assert run.words["test_after"] == "passed"
    assert "did not answer within 0.3 s (chaos_check_timeout)" in run.test("::test_it").longrepr
    assert verify_of(run)["phases"] == {phase: False}
    assert "Exception" not in run.stderr


def test_a_hang_of_the_past_does_not_spoil_a_recovery(inner: InnerPytest) -> None:
    """The thread that was given up may answer whatever it likes later."""
    check = """
    def late():
        ASKED.append(1)
        if len(ASKED) == 1:
            time.sleep(0.4)
            raise SystemError("it answers after all")
    return {"it": late}
"""
    source = f"{HEAD}@pytest.fixture\ndef chaos_verifiers():{check}\n"
    source += marked("'a rush', 'after', recover_within=10, verify_every=0.2")
    run = run_module(inner, source, "--chaos-check-timeout=0.2")
    assert run.test().verdicts == ["held"]
    assert (verify_of(run)["tries"], verify_of(run)["failed"]) == (3, 1)


# ---------------------------------------------------------------------------------------------- leaving early

# The session lives on for a moment, in which a thread that was left behind would be heard.
INTERRUPTED = (
    STAGED
    + """
import signal, threading, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
ASKED = []

def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

def check(disruption):
    if disruption.state == "active":
        return True
    ASKED.append(1)
    if len(ASKED) == 3:
        interrupt()
    return False

@pytest.fixture
def chaos_verifiers():
    return {"it": check}

def pytest_unconfigure():
    count = len(ASKED)
    time.sleep(0.5)
    threads = [one.name for one in threading.enumerate() if one.name.startswith("pytest-chaos")]
    print(f"asked {count} times, then {len(ASKED) - count}; left: {threads}; running: {RUNNING}")
"""
)
LEFT = {
    "mark": marked("'a rush', 'after', recover_within=600"),
    "mark, also asked during": marked("'a rush', 'during', 'after', recover_within=600", "time.sleep(0.01)"),
    "by hand": by_hand("'a rush', 'after', recover_within=600"),
    "by hand, also asked during": by_hand("'a rush', 'during', 'after', recover_within=600", "pass"),
    "left running": "def test_it(chaos_injector): chaos_injector.start(watched('a rush', 'after', recover_within=600))",
    "done": marked("'a rush', 'after', recover_within=600, play='ends at once'", wait="done"),
    "run": "def test_it(chaos_injector): chaos_injector.run(watched('a rush', 'after', recover_within=600, play='ends at once'))",
}


@pytest.mark.parametrize("test", LEFT.values(), ids=LEFT)
def test_ctrl_c_while_it_recovers(inner: InnerPytest, test: str) -> None:
    began = time.monotonic()
    source = HEAD + test + "\ndef test_after(): pass\n"
    run = run_module(inner, source, "-s", conftest=INTERRUPTED, subprocess=True)
    assert time.monotonic() - began < 30
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "test_after" not in run.words
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("asked ")]
    count = int(line.split()[1])
    assert 3 <= count <= 4
    assert line == f"asked {count} times, then 0; left: []; running: []"
    assert "test_inner.py::test_it  'a rush'" in run.stdout  # its outcome stands in the summary
    assert "INTERNALERROR" not in run.stdout + run.stderr


def test_ctrl_c_after_the_body_is_no_verdict(inner: InnerPytest) -> None:
    run = run_module(inner, HEAD + LEFT["mark"], conftest=INTERRUPTED, subprocess=True)
    assert "not_judged   test_inner.py::test_it  'a rush'" in run.stdout
    assert "was interrupted" in run.stdout


def test_ctrl_c_while_the_steady_state_is_asked(inner: InnerPytest) -> None:
    conftest = INTERRUPTED.replace("if len(ASKED) == 3:\n        interrupt()", "interrupt(); time.sleep(30)")
    began = time.monotonic()
    run = run_module(inner, HEAD + marked("'a rush', 'before'"), conftest=conftest, subprocess=True)
    assert time.monotonic() - began < 20
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "test_inner.py::test_it  'a rush'" in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr


# ---------------------------------------------------------------------------------------------- several at once

RECOVERING = """
class Recovers:
    def __init__(self, seconds):
        self.seconds, self.since = seconds, None

    def __call__(self):
        now = time.monotonic()
        self.since = self.since or now
        return now - self.since >= self.seconds

@pytest.fixture
def chaos_verifiers():
    return {name: Recovers(seconds) for name, seconds in (("soon", 0.3), ("late", 0.8), ("later", 1.2))}

NAMES = ("soon", "late", "later")

def one(name, **more): return watched(name, "after", check=name, recover_within=5, **more)
"""


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.chaos(*map(one, NAMES))\ndef test_it(): pass\n",
        "@pytest.mark.chaos(*(one(n, play='ends at once') for n in NAMES), wait='done')\ndef test_it(): pass\n",
        "def test_it(chaos_injector):\n    with chaos_injector.inject(*map(one, NAMES)): pass\n",
        "def test_it(chaos_injector):\n    for n in NAMES: chaos_injector.start(one(n))\n",
        "def test_it(chaos_injector):\n    for n in NAMES: chaos_injector.start(one(n))\n    chaos_injector.stop()\n",
        "@pytest.mark.chaos(one('soon'))\ndef test_it(chaos_injector): chaos_injector.start(one('late'), one('later'))\n",
    ],
    ids=["marks", "done", "block", "left running", "stopped", "mark and by hand"],
)
def test_each_recovers_in_its_own_time(inner: InnerPytest, test: str) -> None:
    run = run_module(inner, HEAD + RECOVERING + test)
    found = {outcome["name"]: outcome for outcome in run.test().chaos}
    assert {one["verdict"] for one in found.values()} == {"held"}, run.stdout
    times = {name: outcome["verify"]["time_to_recover_s"] for name, outcome in found.items()}
    assert 0.3 <= times["soon"] < 1.0, times
    assert 0.8 <= times["late"] < 1.6, times
    assert 1.2 <= times["later"] < 2.0, times


def test_nobody_is_asked_while_another_still_disrupts(inner: InnerPytest) -> None:
    source = module(
        "lambda: not RUNNING",
        """
def test_it(chaos_injector):
    chaos_injector.start(watched("one", "before", "after"))
    chaos_injector.start(watched("two", "after"))
    chaos_injector.stop()
""",
    )
    run = run_module(inner, source)
    assert run.test().verdicts == ["held", "held"], run.stdout


def test_one_bad_steady_state_starts_nothing(inner: InnerPytest) -> None:
    source = module(
        "lambda: False",
        "@pytest.mark.chaos(staged('one'), watched('two', 'before'), staged('three'))\ndef test_it(): raise SystemError\n",
        "def test_after(): assert STARTED == []\n",
    )
    run = run_module(inner, source)
    assert run.test("::test_it").verdicts == ["not_judged", "inconclusive", "not_judged"]
    assert run.words == {"test_it": "error", "test_after": "passed"}


# ---------------------------------------------------------------------------------------------- bursts

BURSTS = (
    STAGED
    + """
import time

@FAULTS.register("bursts")
class Bursts(Fault):
    type: Literal["bursts"] = "bursts"

    def inject(self, ctx, chaos_active_event=None):
        for _ in range(3):
            chaos_active_event.set()
            RUNNING.append("burst")
            time.sleep(0.25)
            RUNNING.remove("burst")
            chaos_active_event.clear()
            time.sleep(0.25)
        return ChaosResult(success=True, injected_fault=self.type)
"""
)


@pytest.mark.parametrize("wait", ["active", "done"])
def test_between_bursts_nobody_is_asked(inner: InnerPytest, wait: str) -> None:
    source = module(
        "lambda: ASKED.append(bool(RUNNING)) or True",
        f"""
@pytest.mark.chaos({{**watched("a rush", "during"), "action": {{"type": "bursts"}}}}, wait={wait!r})
def test_it():
    for _ in range(400):
        time.sleep(0.005)
    # In the moment that a burst ends, a check may just have begun.
    assert ASKED.count(True) >= 12
    assert ASKED.count(False) <= 3
""",
    )
    run = run_module(inner, source, conftest=BURSTS)
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"]), run.stdout
    assert verify_of(run)["samples"] >= 15


def test_a_disruption_too_short_to_be_asked_about_proves_nothing(inner: InnerPytest) -> None:
    """Whether the check is asked in time is a matter of luck here; green without having been asked is not."""
    source = module("lambda: True", "def test_it(chaos_injector):")
    for _ in range(20):
        source += "    chaos_injector.run(watched('a rush', 'during', play='ends at once'), check=False)\n"
    run = run_module(inner, source)
    outcomes = run.test().chaos
    assert len(outcomes) == 20
    for outcome in outcomes:
        asked = outcome["verify"]["samples"]
        assert outcome["verdict"] == ("held" if asked else "inconclusive")
        assert ("never asked while it was active" in outcome["reason"]) is (not asked)
    assert not all(outcome["verify"]["samples"] for outcome in outcomes)


BREAKS = (
    STAGED
    + """
@FAULTS.register("breaks")
class Breaks(Fault):
    type: Literal["breaks"] = "breaks"

    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        raise OSError("the disk is on fire")
"""
)


@pytest.mark.parametrize("wait", ["done", "none"])
def test_from_a_fault_that_failed_nothing_has_to_recover(inner: InnerPytest, wait: str) -> None:
    source = module(
        "lambda: False",
        f"""
@pytest.mark.chaos({{**watched("a rush", "after", recover_within=600), "action": {{"type": "breaks"}}}}, wait={wait!r})
def test_it(): time.sleep(0.05)
""",
    )
    run = run_module(inner, source, conftest=BREAKS, subprocess=True, timeout_s=20)
    assert run.test().verdicts == ["inconclusive"]
    assert verify_of(run)["tries"] == 0


# ---------------------------------------------------------------------------------------------- inside an event loop

LOOPS = pytest.mark.parametrize("kind", ["asyncio", "anyio"])
AFTER = """
def test_after():
    deadline = time.monotonic() + 5
    while left := [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]:
        assert time.monotonic() < deadline, left
    assert RUNNING == []
"""


def run_async(inner: InnerPytest, kind: str, check: str, body: str) -> InnerRun:
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return run_module(
        inner,
        module(check, f"@pytest.mark.{kind}\nasync def test_it(chaos_injector):\n{indented}", AFTER),
        plugins=["pytest_asyncio.plugin", "anyio.pytest_plugin"],
        ini={"asyncio_default_fixture_loop_scope": "function"},
    )


@LOOPS
def test_the_loop_goes_on_while_it_recovers(inner: InnerPytest, kind: str) -> None:
    body = """
ASKED.clear()
ticks = []
async def tick():
    while True:
        ticks.append(time.monotonic())
        await anyio.sleep(0.005)
async with anyio.create_task_group() as group:
    group.start_soon(tick)
    async with chaos_injector.inject(watched('a rush', 'before', 'after', recover_within=5)) as block:
        await anyio.sleep(0.1)
        leaving = time.monotonic()
    assert time.monotonic() - leaving >= 0.4
    assert sum(at >= leaving for at in ticks) >= 20
    group.cancel_scope.cancel()
assert 0.4 <= block.outcome.verify.time_to_recover_s < 2
"""
    # It needs 0.4 s from the first time it is asked afterwards.
    check = "lambda disruption: disruption.state == 'waiting' or (ASKED.append(time.monotonic()) or ASKED[-1] - ASKED[0] >= 0.4)"
    run = run_async(inner, kind, check, body)
    assert set(run.words.values()) == {"passed"}, run.stdout


@LOOPS
@pytest.mark.parametrize(("wait", "play"), [("active", "well"), ("done", "ends at once")])
def test_cancelled_while_it_recovers(inner: InnerPytest, kind: str, wait: str, play: str) -> None:
    """What was left before the system had recovered has not held."""
    body = f"""
start, scope = time.monotonic(), anyio.move_on_after(0.5)
with scope:
    async with chaos_injector.inject(watched('a rush', 'after', recover_within=8, play={play!r}), wait={wait!r}):
        pass
took, count = time.monotonic() - start, len(ASKED)
await anyio.sleep(0.2)
print("left:", scope.cancelled_caught, took < 5, len(ASKED) == count)
"""
    run = run_async(inner, kind, "lambda: ASKED.append(1) or False", body)
    ends = {name: run.test(f"::{name}") for name in run.words if name != "test_after"}
    assert {end.word for end in ends.values()} == {"failed"}
    for end in ends.values():
        assert end.verdicts == ["broke" if wait == "active" else "inconclusive"]  # its body was not run
        told = dict(section for report in end.reports for section in report.sections)
        assert told["Captured stdout call"] == "left: True True True\n"


# ---------------------------------------------------------------------------------------------- other settings

STRICT = {
    "raises": ("lambda: [][0]", "broke"),
    "warns": ("lambda: __import__('warnings').warn('odd')", "broke"),
    "leaves a coroutine": ("lambda: anyio.sleep(0)", "error"),
    "interrupts": ("lambda: (_ for _ in ()).throw(KeyboardInterrupt())", "broke"),
    "leaves a file open": ("lambda: open(__file__) and None", "held"),
    "hangs": ("lambda: time.sleep(1)", "broke"),
}


@pytest.mark.parametrize(
    "option", [[], ["-p", "no:threadexception"], ["-p", "no:unraisableexception"]], ids=str
)
@pytest.mark.parametrize("phase", ["during", "after"])
def test_where_warnings_are_errors(inner: InnerPytest, phase: str, option: list[str]) -> None:
    tests, checks = "", ""
    for number, (check, _) in enumerate(STRICT.values()):
        checks += f"    'check {number}': {check},\n"
        tests += f"@pytest.mark.chaos(watched('a rush', {phase!r}, check='check {number}'))\n"
        tests += f"def test_{number}(): time.sleep(0.05)\n"
    source = f"{HEAD}@pytest.fixture\ndef chaos_verifiers(): return {{\n{checks}}}\n{tests}"
    run = run_module(inner, source, *option, "--chaos-check-timeout=0.3", warnings="error", subprocess=True)
    found = {name: run.test(f"::test_{number}").verdicts for number, name in enumerate(STRICT)}
    expected = {name: [verdict] for name, (_, verdict) in STRICT.items()}
    leaky = found.pop("leaves a file open"), expected.pop("leaves a file open")
    assert leaky[0][0] in {"held", "broke"}
    assert found == expected
    assert "INTERNALERROR" not in run.stdout + run.stderr
