"""``abort_when``: a check that is asked during a disruption, and stops it when it fails."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.processes import assert_none_left
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import threading, time
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.errors import NotHeld

ASKED = []
BROKEN = threading.Event()

def budget(disruption):
    ASKED.append((time.monotonic(), disruption.spec.name, list(RUNNING)))
    if BROKEN.is_set():
        raise AssertionError("spent")

@pytest.fixture
def chaos_verifiers():
    return {"budget": budget, "sound": lambda: True, "unsound": lambda: False, "odd": lambda: 1}

def watched(*args, abort_when="budget", every=0.02, **more):
    return {**staged(*args, **more), "abort_when": abort_when, "verify_every": every}

def until(condition, within_s=10):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

"""
SPENT = "aborted: the check 'budget' failed: AssertionError: spent"
AFTER = """
def test_after():
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("pytest-chaos")])
    assert RUNNING == []
"""


def run_body(
    inner: InnerPytest, body: str, *options: str, mark: str = "", spec: str = "watched()"
) -> InnerRun:
    """Run a test with ``body`` under ``spec``; afterwards nothing of ours may run."""
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    run = inner(
        f"{HEAD}{mark}@pytest.mark.chaos({spec})\ndef test_it():\n{indented}{AFTER}",
        *options,
        conftest=STAGED,
    )
    assert run.words["test_after"] == "passed", run.stdout
    return run


def test_a_load_stops_while_the_body_goes_on(inner: InnerPytest, shop: Shop) -> None:
    spec = load_spec(shop.url, qps=100, concurrency=2)
    run = inner(
        f"""{HEAD}
import pathlib

@pytest.mark.chaos({ {**spec, "abort_when": "budget"}!r})
def test_it():
    time.sleep(0.3)
    BROKEN.set()
    pathlib.Path("broken").write_text(str(time.monotonic()))
    time.sleep(1.5)
    pathlib.Path("ended").write_text(str(time.monotonic()))
""",
        conftest=STAGED,
    )
    broken, ended = (float((run.path / name).read_text()) for name in ("broken", "ended"))
    end = run.test()
    assert (end.word, end.verdicts, [one["reason"] for one in end.chaos]) == ("failed", ["broke"], [SPENT])
    assert f"the body passed, but 'load' (generate_load) is broke: {SPENT}" in end.longrepr
    assert shop.hits[-1].at - broken < 1, "it was to be asked five times a second"
    assert ended - shop.hits[-1].at > 0.5
    (outcome,) = end.chaos
    assert outcome["timeline"]["stopped"] < outcome["timeline"]["body_ended"] - 0.5
    assert outcome["result"]["details"]["requests"] > 10, "what was measured until then is still told"
    assert_none_left(f":{shop.port}")


def test_a_check_that_holds_changes_nothing(inner: InnerPytest) -> None:
    run = run_body(inner, "until(lambda: len(ASKED) >= 5)\nassert RUNNING")
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("passed", ["held"])


def test_it_is_asked_while_the_disruption_is_active_and_at_no_other_time(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(watched(delay_seconds=0.2, every=0.1))
def test_it():
    time.sleep(0.55)

def test_after():
    count = len(ASKED)
    time.sleep(0.3)
    assert len(ASKED) == count
    assert 2 <= count <= 6
    assert all(name == "a rush" and running == ["a rush"] for _, name, running in ASKED)
    assert all(later - earlier >= 0.09 for (earlier, *_), (later, *_) in zip(ASKED, ASKED[1:]))
""",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed", "test_after": "passed"}, run.stdout


@pytest.mark.parametrize(
    ("ending", "mark", "word", "verdict"),
    [
        ("pass", "", "failed", "broke"),
        ("assert RUNNING", "", "failed", "broke"),
        ("pytest.skip('x')", "", "skipped", "not_judged"),
        ("pass", "@pytest.mark.xfail(strict=True)\n", "xfailed", "broke"),
        ("assert RUNNING", "@pytest.mark.xfail(strict=True)\n", "xfailed", "broke"),
    ],
)
def test_however_the_body_ends(inner: InnerPytest, ending: str, mark: str, word: str, verdict: str) -> None:
    run = run_body(inner, f"BROKEN.set()\nuntil(lambda: not RUNNING)\n{ending}", mark=mark)
    end = run.test("test_it")
    assert (end.word, end.verdicts) == (word, [verdict]), run.stdout
    if word == "failed":
        assert [one["reason"] for one in end.chaos] == [SPENT]
        assert SPENT in run.stdout


@pytest.mark.parametrize("wait", ["active", "none"])
def test_of_several_only_the_one_that_it_is_about_is_stopped(inner: InnerPytest, wait: str) -> None:
    run = run_body(
        inner,
        'until(lambda: len(STARTED) == 2 and RUNNING == ["goes on"])',
        spec=f'staged("goes on"), watched("stops", abort_when="unsound", every=60), wait={wait!r}',
    )
    end = run.test("test_it")
    assert {one["name"]: one["verdict"] for one in end.chaos} == {"goes on": "held", "stops": "broke"}
    assert end.word == "failed"


def test_a_load_that_the_body_waits_for(inner: InnerPytest, shop: Shop) -> None:
    spec = load_spec(shop.url, qps=50, concurrency=2, duration="30s")
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos({ {**spec, "abort_when": "unsound"}!r}, wait="done")
def test_it(): pass
""",
        conftest=STAGED,
    )
    end = run.test()
    assert (end.word, end.verdicts) == ("failed", ["broke"]), run.stdout
    assert end.chaos[0]["timeline"]["body_started"] < 15
    assert_none_left(f":{shop.port}")


def test_the_body_failing_first_is_what_counts(inner: InnerPytest) -> None:
    run = run_body(inner, "assert not RUNNING", spec='watched(abort_when="sound")')
    end = run.test("test_it")
    assert (end.word, [one["reason"] for one in end.chaos]) == (
        "failed",
        ["the body failed while it was disrupted"],
    )


@pytest.mark.parametrize(
    ("kind", "word", "verdict"), [("with", "failed", "broke"), ("unchecked", "passed", "broke")]
)
def test_by_hand(inner: InnerPytest, kind: str, word: str, verdict: str) -> None:
    check = "" if kind == "with" else ", check=False"
    run = inner(
        f"""{HEAD}
def test_it(chaos_injector):
    with chaos_injector.inject(watched(){check}) as block:
        BROKEN.set()
        until(lambda: not RUNNING)
    assert block.outcome.reason == {SPENT!r}
{AFTER}""",
        conftest=STAGED,
    )
    assert (run.words["test_it"], run.test("test_it").verdicts) == (word, [verdict]), run.stdout
    assert run.words["test_after"] == "passed"


def test_a_check_that_hangs_stops_it_too(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
LET_GO = threading.Event()

@pytest.fixture
def chaos_verifiers(): return {{"hangs": LET_GO.wait}}

@pytest.mark.chaos(watched(abort_when="hangs"))
def test_it():
    until(lambda: not RUNNING)
    LET_GO.set()
{AFTER}""",
        "--chaos-check-timeout=0.2",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "failed", "test_after": "passed"}, run.stdout
    assert [one["reason"] for one in run.test("test_it").chaos] == [
        "aborted: the check 'hangs' failed: it did not answer within 0.2 s (chaos_check_timeout)"
    ]


def test_a_body_does_not_wait_for_a_check_that_hangs(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
LET_GO = threading.Event()

@pytest.fixture
def chaos_verifiers(): return {{"hangs": lambda: (ASKED.append(1), LET_GO.wait(20)) and None}}

@pytest.mark.chaos(watched(abort_when="hangs"))
def test_it():
    until(lambda: ASKED)

def test_next(): LET_GO.set()
{AFTER}""",
        "--durations=0",
        "--durations-min=3",
        conftest=STAGED,
    )
    assert set(run.words.values()) == {"passed"}, run.stdout
    assert run.test("test_it").verdicts == ["held"]
    assert "s call" not in run.stdout


@pytest.mark.parametrize(
    ("key", "word", "verdict", "said"),
    [
        ("odd", "failed", "error", "the check 'odd' returned 1; it must return None or True"),
        ("buget", "error", "inconclusive", "abort_when: no check is called 'buget'; chaos_verifiers has: "),
        ("coroutine", "error", "inconclusive", "abort_when: the check 'coroutine' is a coroutine function"),
        ("text", "error", "inconclusive", "abort_when: the check 'text' is str, not a function"),
        ("greedy", "error", "inconclusive", "abort_when: the check 'greedy' must take nothing, or the disruption"),
    ],
)  # fmt: skip
def test_what_is_no_check_is_told_apart_from_one_that_fails(
    inner: InnerPytest, key: str, word: str, verdict: str, said: str
) -> None:
    run = inner(
        f"""{HEAD}
async def coroutine(): pass

@pytest.fixture
def chaos_verifiers():
    return {{"odd": lambda: 1, "budget": budget, "coroutine": coroutine, "text": "x", "greedy": lambda a, b: None}}

@pytest.mark.xfail
@pytest.mark.chaos(watched(abort_when={key!r}))
def test_it(): until(lambda: not RUNNING)
{AFTER}""",
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == (word, [verdict]), run.stdout
    assert said in end.chaos[0]["reason"]


def test_a_hook_may_know_the_check(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(watched(abort_when="from the hook"))
def test_it(): until(lambda: not RUNNING)
{AFTER}""",
        conftest=f"{STAGED}\ndef pytest_chaos_verifier(name): return (lambda: False) if name == 'from the hook' else None\n",
    )
    assert run.words == {"test_it": "failed", "test_after": "passed"}
    assert run.test("test_it").verdicts == ["broke"]


def test_in_peace_nothing_is_asked(inner: InnerPytest) -> None:
    run = run_body(inner, "assert ASKED == [] == RUNNING", "--chaos-disable")
    assert run.words["test_it"] == "passed"
