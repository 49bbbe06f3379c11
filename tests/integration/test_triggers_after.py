"""``after``: one disruption after another, in this order and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import threading
import time
import pytest
from conftest import RUNNING, STARTED, staged


def after(other, name="b", state=None, play="well", **more):
    trigger = {"type": "after", "disruption": other, **({"state": state} if state else {}), **more}
    return {**staged(name, play=play), "trigger": trigger}


def at(checkpoint, name, play="well"):
    return {**staged(name, play=play), "trigger": {"type": "checkpoint", "name": checkpoint}}


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)

"""
AFTER = """
def test_afterwards():
    deadline = time.monotonic() + 5
    while left := [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]:
        assert time.monotonic() < deadline, left
    assert RUNNING == []
"""
RUNS = 100


@pytest.mark.parametrize("state", ["finished", "active"])
def test_the_right_order_in_each_of_a_hundred_runs(inner: InnerPytest, state: str) -> None:
    """Which of the two is written first changes from run to run."""
    play = "ends at once" if state == "finished" else "well"
    run = inner(
        f"""{HEAD}
def pair(number):
    both = [at("go", "a", {play!r}), after("a", state={state!r})]
    return pytest.mark.chaos(both[:: -1 if number % 2 else 1])

@pytest.mark.parametrize("number", [pytest.param(number, marks=pair(number)) for number in range({RUNS})])
def test_it(number, chaos_injector):
    chaos_injector.checkpoint("go")
    until(lambda: "b" in RUNNING)
    assert STARTED[2 * number :] == ["a", "b"]
    assert ("a" in RUNNING) is ({state!r} == "active")
"""
        + AFTER,
        conftest=STAGED,
    )
    assert list(run.words.values()) == ["passed"] * (RUNS + 1), run.stdout
    for number in range(RUNS):
        end = run.test(f"::test_it[{number}]")
        at = {outcome["name"]: outcome["timeline"] for outcome in end.chaos}
        assert end.verdicts == ["held", "held"]
        assert at["a"]["fired"] <= at["a"]["active"] <= at["b"]["fired"] <= at["b"]["active"]
        if state == "finished":
            assert at["a"]["last_effect"] <= at["b"]["fired"]
        else:
            assert at["b"]["active"] <= at["a"]["last_effect"]


def test_two_loads_one_after_the_other(inner: InnerPytest, shop: Shop) -> None:
    first = load_spec(f"{shop.url}/a", name="a", qps=100, duration="300ms", min_delivered=0.3)
    second = load_spec(f"{shop.url}/b", name="b", qps=100, duration="300ms", min_delivered=0.3)
    second["trigger"] = {"type": "after", "disruption": "a"}
    run = inner(
        f"""
import time
import pytest

@pytest.mark.chaos({second!r}, {first!r})
def test_it(request):
    time.sleep(2.5)
"""
    )
    assert run.test().verdicts == ["held", "held"], run.stdout
    last = max(hit.at for hit in shop.hits if hit.path == "/a")
    assert last < min(hit.at for hit in shop.hits if hit.path == "/b")


def test_a_chain(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(after("b", "c", play="ends at once"), after("c", "d"), after("a", "b", play="ends at once"))
@pytest.mark.chaos(at("go", "a", "ends at once"))
def test_it(chaos_injector):
    chaos_injector.checkpoint("go")
    until(lambda: "d" in RUNNING)
    assert STARTED == ["a", "b", "c", "d"]
"""
        + AFTER,
        conftest=STAGED,
    )
    assert run.test("test_it").verdicts == ["held"] * 4, run.stdout


@pytest.mark.parametrize(
    ("play", "state", "fired"),
    [
        ("raises", "finished", True),
        ("never active", "finished", True),
        ("raises", "active", False),
        ("never active", "active", False),
    ],
)
def test_after_one_that_failed(inner: InnerPytest, play: str, state: str, fired: bool) -> None:
    """It is over, so what waits for that fires; that the first one failed fails the test all the same."""
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("a", play={play!r}), after("a", state={state!r}))
def test_it():
    time.sleep(0.3)
    assert ("b" in RUNNING) is {fired}
"""
        + AFTER,
        conftest=STAGED,
    )
    end = run.test("test_it")
    first, second = end.chaos
    assert (end.word, first["verdict"]) == ("failed", "inconclusive")
    assert second["verdict"] == ("held" if fired else "inconclusive")
    if not fired:
        assert "it fires when 'a' is active" in second["reason"]
        assert "('a' is over)" in second["reason"]
    assert run.words["test_afterwards"] == "passed"


def test_the_end_of_the_body_is_not_what_it_waits_for(inner: InnerPytest) -> None:
    """The first one finishes because the body is over: the second one must not fire any more."""
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("a"), after("a"))
def test_it():
    until(lambda: "a" in RUNNING)

def test_started():
    assert "b" not in STARTED
"""
        + AFTER,
        conftest=STAGED,
    )
    assert run.test("test_it").verdicts == ["held", "inconclusive"]
    assert run.words == {"test_it": "failed", "test_started": "passed", "test_afterwards": "passed"}


BAD: dict[str, tuple[str, str]] = {
    "itself": ("after('b')", "trigger 'after' names 'b', which is itself; the others are: none"),
    "unknown": (
        "staged('lunch rush'), after('lunch rash')",
        "names 'lunch rash', which is no other disruption of this test; the others are: 'lunch rush'; did you mean 'lunch rush'?",
    ),
    "nobody": (
        "after('a')",
        "trigger 'after' names 'a', which is no other disruption of this test; the others are: none",
    ),
    "ambiguous": (
        "staged('a'), staged('a'), after('a')",
        "trigger 'after' names 'a', which is several disruptions of this test; the others are: 'a', 'a'",
    ),
    "each other": (
        "staged('c'), after('b', name='a'), after('a', name='b', state='active')",
        "'a' waits for 'b', which waits for 'a': none of them can come first",
    ),
    "in a ring": (
        "after('c'), after('a', name='c'), after('b', name='a')",
        "'b' waits for 'c', which waits for 'a', which waits for 'b': none of them can come first",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("options", [(), ("-n1",), ("--chaos-dry-run",), ("--chaos-disable",)], ids=str)
def test_a_wrong_name_is_an_error_at_collection(
    inner: InnerPytest, kind: str, options: tuple[str, ...]
) -> None:
    specs, message = BAD[kind]
    run = inner(
        f"{HEAD}\n@pytest.mark.chaos({specs})\ndef test_it(): raise SystemError\n",
        *options,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    assert re.search(r"test_inner.py:\d+: bad chaos mark on test_it", run.stdout)
    assert message in " ".join(run.stdout.split())
    assert run.words == {}
    assert run.exit_code != 0


def test_a_wrong_name_in_a_block_is_an_error_there(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
from pytest_chaos.errors import SpecError

def test_it(chaos_injector):
    with pytest.raises(SpecError, match="which is no other disruption of this test"):
        chaos_injector.inject(after("a"))
""",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed"}, run.stdout


BLOCKS: dict[str, Any] = {
    "another block": """
def test_it(chaos_injector):
    with chaos_injector.inject(staged("a")):
        with chaos_injector.inject(after("a", state="active")) as block:
            assert block.active.wait(10)
""",
    "a block that is over": """
def test_it(chaos_injector):
    with chaos_injector.inject(staged("a")): pass
    with chaos_injector.inject(after("a")) as block:
        assert block.active.wait(10)
""",
    "the same block": """
def test_it(chaos_injector):
    with chaos_injector.inject(after("a", state="active"), staged("a")):
        if DISTURBED: until(lambda: sorted(RUNNING) == ["a", "b"])
""",
    "the mark": """
@pytest.mark.chaos(staged("a"))
def test_it(chaos_injector):
    with chaos_injector.inject(after("a", state="active")) as block:
        assert block.active.wait(10)
""",
    "a block that ends while it waits": """
def test_it(chaos_injector):
    first = chaos_injector.start(staged("a"))
    with chaos_injector.inject(after("a")) as block:
        time.sleep(0.05)
        assert "b" not in STARTED
        chaos_injector.stop(first)
        assert block.active.wait(10)
""",
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("options", [(), ("--chaos-disable",)], ids=["disturbed", "in peace"])
def test_in_blocks(inner: InnerPytest, kind: str, options: tuple[str, ...]) -> None:
    run = inner(f"{HEAD}\nDISTURBED = {not options}\n{BLOCKS[kind]}{AFTER}", *options, conftest=STAGED)
    assert run.words == {"test_it": "passed", "test_afterwards": "passed"}, run.stdout
    assert run.test("test_it").verdicts == ["disabled" if options else "held"] * 2
