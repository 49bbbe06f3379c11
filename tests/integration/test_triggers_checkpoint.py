"""``checkpoint``: the body says when."""

from __future__ import annotations

import json
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
from pytest_chaos.errors import ChaosError, NotHeld


def at(checkpoint, name="a rush", play="well", **more):
    return {**staged(name, play=play), "trigger": {"type": "checkpoint", "name": checkpoint, **more}}

"""
AFTER = """
def test_after():
    deadline = time.monotonic() + 5
    while left := [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]:
        assert time.monotonic() < deadline, left
    assert RUNNING == []
"""


def test_only_the_second_half_of_a_body_is_under_load(inner: InnerPytest, shop: Shop) -> None:
    """Ten steps, with the checkpoint after the fifth; what counts is what the target itself has counted."""
    spec = load_spec(shop.url, qps=200, min_delivered=0.3)
    spec["trigger"] = {"type": "checkpoint", "name": "half way"}
    run = inner(
        f"""
import json, pathlib, time
import pytest

@pytest.mark.chaos({spec!r})
def test_it(chaos_injector):
    steps = []
    for step in range(1, 11):
        began = time.monotonic()
        time.sleep(0.1)
        steps.append((began, time.monotonic()))
        if step == 5:
            chaos_injector.checkpoint("half way")
    pathlib.Path("steps.json").write_text(json.dumps(steps))
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    steps = json.loads((run.path / "steps.json").read_text(encoding="utf-8"))
    counts = [sum(began <= hit.at <= ended for hit in shop.hits) for began, ended in steps]
    assert counts[:5] == [0] * 5
    assert min(counts[5:]) > 0
    assert sum(counts[5:]) > 0.3 * 200 * 0.5
    assert min(hit.at for hit in shop.hits) > steps[4][1]
    assert 0.2 < run.test().chaos[0]["overlap"] < 0.8


@pytest.mark.parametrize("where", ["mark", "block"])
def test_the_disruption_is_active_when_the_checkpoint_returns(inner: InnerPytest, where: str) -> None:
    body = """
    assert not STARTED
    chaos_injector.checkpoint("here")
    time.sleep(0.05)
    assert not STARTED
    chaos_injector.checkpoint("Here")
    assert RUNNING == ["a rush"]
"""
    marked = f"@pytest.mark.chaos(at('Here'))\ndef test_it(chaos_injector):{body}"
    block = (
        "def test_it(chaos_injector):\n  with chaos_injector.inject(at('Here')) as block:"
        f"{body}    assert block.active.is_set()\n"
    )
    run = inner(HEAD + (marked if where == "mark" else block) + AFTER, conftest=STAGED)
    assert run.words == {"test_it": "passed", "test_after": "passed"}, run.stdout
    assert run.test("test_it").verdicts == ["held"]


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("chaos_injector.checkpoint('here'); chaos_injector.checkpoint('here')", ("passed", "held")),
        (
            "for _ in range(50): chaos_injector.checkpoint('here')\n    assert STARTED == ['a rush']",
            ("passed", "held"),
        ),
        ("chaos_injector.checkpoint('here'); assert not RUNNING", ("failed", "broke")),
        ("chaos_injector.checkpoint('here'); pytest.skip('x')", ("skipped", "not_judged")),
        ("assert not chaos_injector", ("failed", "inconclusive")),
        ("pass", ("failed", "inconclusive")),
        ("chaos_injector.checkpoint('Here')", ("failed", "inconclusive")),
    ],
)
def test_how_a_body_ends(inner: InnerPytest, body: str, end: tuple[str, ...]) -> None:
    run = inner(
        f"{HEAD}\n@pytest.mark.chaos(at('here'))\ndef test_it(chaos_injector):\n    {body}\n{AFTER}",
        conftest=STAGED,
    )
    test = run.test("test_it")
    assert (test.word, *test.verdicts) == end, run.stdout
    assert run.words["test_after"] == "passed"


def test_one_that_never_comes_is_named_with_those_that_did(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(at("pay"))
def test_it(chaos_injector):
    for name in ("cart", "adress", "cart"):
        chaos_injector.checkpoint(name)
"""
        + AFTER,
        conftest=STAGED,
    )
    (outcome,) = run.test("test_it").chaos
    assert outcome["verdict"] == "inconclusive"
    assert outcome["reason"].startswith(
        "the trigger never fired: it fires when the body reaches the checkpoint 'pay', and what it was meant to hit was over"
    )
    assert "(checkpoints that were reached: 'cart', 'adress')" in outcome["reason"]
    assert "fired" not in outcome["timeline"]


def test_several_disruptions_at_one_checkpoint(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(at("here", "a"), at("here", "b"), at("there", "c"))
def test_it(chaos_injector):
    with chaos_injector.inject(at("here", "d")):
        chaos_injector.checkpoint("here")
        assert sorted(RUNNING) == ["a", "b", "d"]
        chaos_injector.checkpoint("there")
        assert sorted(RUNNING) == ["a", "b", "c", "d"]
"""
        + AFTER,
        conftest=STAGED,
    )
    assert run.test("test_it").verdicts == ["held"] * 4, run.stdout


def test_a_fault_that_fails_at_a_checkpoint_fails_the_body_there(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(at("here", play="raises"))
def test_it(chaos_injector):
    chaos_injector.checkpoint("here")
    raise SystemError("the body went on")
"""
        + AFTER,
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"])
    assert "'a rush' did not become active: OSError: the disk is on fire" in end.longrepr
    assert "this failure proves nothing about chaos" in end.longrepr
    assert "the body went on" not in end.longrepr


def test_a_checkpoint_does_not_wait_for_what_will_not_come(inner: InnerPytest) -> None:
    """Of what is over, was refused, never began or has given up, nobody waits for a second time."""
    run = inner(
        f"""{HEAD}
def test_over(chaos_injector):
    with chaos_injector.inject(at("here")):
        chaos_injector.checkpoint("here")
    assert not RUNNING
    chaos_injector.checkpoint("here")

def test_over_before_it_came(chaos_injector):
    with pytest.raises(NotHeld):
        with chaos_injector.inject(at("here")): pass
    chaos_injector.checkpoint("here")
    assert not STARTED[1:]

def test_over_and_never_active(chaos_injector):
    with chaos_injector.inject(at("here", play="never active"), check=False):
        with pytest.raises(ChaosError, match="did not become active"):
            chaos_injector.checkpoint("here")
    chaos_injector.checkpoint("here")

def test_refused(chaos_injector):
    with pytest.raises(NotHeld):
        with chaos_injector.inject({{**at("here"), "verify": "nothing"}}): pass
    chaos_injector.checkpoint("here")

def test_never_begun(chaos_injector):
    chaos_injector.inject(at("here"), check=False)
    chaos_injector.checkpoint("here")

def test_given_up(chaos_injector):
    with chaos_injector.inject(at("here", timeout=0.01), check=False) as block:
        time.sleep(0.2)
        chaos_injector.checkpoint("here")
    assert block.outcome.verdict == "inconclusive"
"""
        + AFTER,
        conftest=STAGED,
    )
    assert set(run.words.values()) == {"passed"}, run.stdout


def test_one_that_was_reached_before_the_block_fires_at_once(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
def test_it(chaos_injector):
    chaos_injector.checkpoint("here")
    with chaos_injector.inject(at("here")) as block:
        assert block.active.wait(10)
""",
        conftest=STAGED,
    )
    assert run.test().verdicts == ["held"], run.stdout


@pytest.mark.parametrize("options", [(), ("-n2",), ("--reruns=1",)], ids=str)
def test_what_one_test_reached_is_nothing_to_the_next(inner: InnerPytest, options: tuple[str, ...]) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(at("here"))
def test_first(chaos_injector):
    chaos_injector.checkpoint("here")

@pytest.mark.chaos(at("here"))
def test_second(chaos_injector):
    time.sleep(0.1)
"""
        + AFTER,
        *options,
        conftest=STAGED,
        plugins=["xdist.plugin", "pytest_rerunfailures"],
    )
    assert run.words == {"test_first": "passed", "test_second": "failed", "test_after": "passed"}
    assert run.test("test_first").verdicts == ["held"]
    assert run.test("test_second").verdicts == ["inconclusive"]
    assert "reached: none" in run.test("test_second").longrepr


KINDS: dict[str, Any] = {
    "asyncio": ("@pytest.mark.asyncio", ["test_it"]),
    "anyio": ("@pytest.mark.anyio", ["test_it[asyncio]", "test_it[trio]"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "end"),
    [
        (
            """
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await anyio.sleep(0.05)
        before = len(TICKS)
        await chaos_injector.acheckpoint("here")
        assert len(TICKS) - before >= 5, "the loop stood still"
        assert RUNNING == ["a rush"]
        group.cancel_scope.cancel()
""",
            ("passed", "held"),
        ),
        (
            """
    with anyio.move_on_after(0.05):
        await chaos_injector.acheckpoint("here")
        raise SystemError("it was not cancelled")
""",
            ("failed", "inconclusive"),
        ),
        ("    await chaos_injector.acheckpoint('there')\n", ("failed", "inconclusive")),
    ],
    ids=["reached", "cancelled", "another"],
)
def test_in_a_coroutine(inner: InnerPytest, kind: str, body: str, end: tuple[str, ...]) -> None:
    """The fault takes its time to become active; the loop goes on meanwhile."""
    mark, names = KINDS[kind]
    run = inner(
        f"""{HEAD}
import anyio
import conftest

TICKS = []

async def tick():
    while True:
        TICKS.append(time.monotonic())
        await anyio.sleep(0.005)

@pytest.fixture(autouse=True)
def slow(monkeypatch):
    inject = conftest.StagedFault.inject
    def late(self, ctx, event=None):
        ctx.sleep(0.3)
        return inject(self, ctx, event)
    monkeypatch.setattr(conftest.StagedFault, "inject", late)

{mark}
@pytest.mark.chaos(at("here"))
async def test_it(chaos_injector):
{body}
"""
        + AFTER,
        conftest=STAGED,
        plugins=["pytest_asyncio.plugin", "anyio.pytest_plugin"],
        ini={"asyncio_default_fixture_loop_scope": "function"},
    )
    assert {(run.words[name], *run.test(f"::{name}").verdicts) for name in names} == {end}, run.stdout
    assert run.words["test_after"] == "passed"


def test_in_peace_a_checkpoint_is_nothing(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(at("here"))
def test_marked(chaos_injector):
    chaos_injector.checkpoint("here")

def test_block(chaos_injector):
    with chaos_injector.inject(at("here")):
        chaos_injector.checkpoint("here")
        assert not STARTED
""",
        "--chaos-disable",
        conftest=STAGED,
    )
    assert set(run.words.values()) == {"passed"}
    assert run.test("test_block").verdicts == run.test("test_marked").verdicts == ["disabled"]
