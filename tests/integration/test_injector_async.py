"""``async with chaos_injector.inject(...)``: the loop goes on, and cancellation leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import time
import anyio
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.errors import NotHeld, SpecError

TICKS = []

async def tick():
    while True:
        TICKS.append(time.monotonic())
        await anyio.sleep(0.005)

def ticks_since(start): return sum(at >= start for at in TICKS)

@pytest.fixture
def chaos_verifiers():
    return {"slow": lambda: time.sleep(0.3), "broken": lambda: False}

"""
MARKS = {"asyncio": "@pytest.mark.asyncio", "anyio": "@pytest.mark.anyio"}
NAMES = {"asyncio": ["test_it"], "anyio": ["test_it[asyncio]", "test_it[trio]"]}
KINDS = pytest.mark.parametrize("kind", MARKS)
AFTER = """
def test_after():
    import threading
    deadline = time.monotonic() + 5
    while left := [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]:
        assert time.monotonic() < deadline, left
    assert RUNNING == []
"""


def run_body(inner: InnerPytest, kind: str, body: str, *options: str, mark: str = "") -> InnerRun:
    """Run an async test with ``body`` on every back end of ``kind``; afterwards nothing of ours may run."""
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    run = inner(
        f"{HEAD}{MARKS[kind]}\n{mark}async def test_it(chaos_injector):\n{indented}{AFTER}",
        *options,
        conftest=STAGED,
        plugins=["pytest_asyncio.plugin", "anyio.pytest_plugin"],
        ini={"asyncio_default_fixture_loop_scope": "function"},
    )
    assert set(run.words) == {*NAMES[kind], "test_after"}
    assert run.words["test_after"] == "passed"
    return run


def ends(run: InnerRun) -> set[tuple[str, ...]]:
    """Return how the test ended, and its verdicts, over all back ends."""
    return {(run.words[name], *run.test(f"::{name}").verdicts) for name in run.words if name != "test_after"}


@KINDS
def test_the_loop_goes_on(inner: InnerPytest, kind: str) -> None:
    body = """
async with anyio.create_task_group() as group:
    group.start_soon(tick)
    start = time.monotonic()
    async with chaos_injector.inject(staged(delay_seconds=0.3, verify="slow")):
        assert time.monotonic() - start >= 0.3
        assert ticks_since(start) >= 10
        assert RUNNING
        leaving = time.monotonic()
    assert time.monotonic() - leaving >= 0.3
    assert ticks_since(leaving) >= 10
    group.cancel_scope.cancel()
assert not RUNNING
"""
    assert ends(run_body(inner, kind, body)) == {("passed", "held")}


@KINDS
@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("async with chaos_injector.inject(staged()): assert RUNNING", ("passed", "held")),
        ("async with chaos_injector.inject(staged()): assert not RUNNING", ("failed", "broke")),
        ("async with chaos_injector.inject(staged()): pytest.skip('x')", ("skipped", "not_judged")),
        ("async with chaos_injector.inject(staged(play='fails')): pass", ("failed", "inconclusive")),
        (
            "async with chaos_injector.inject(staged(play='raises')): raise SystemError",
            ("failed", "inconclusive"),
        ),
        ("async with chaos_injector.inject(staged(verify='broken')): pass", ("failed", "broke")),
        (
            "async with chaos_injector.inject(staged(play='fails'), check=False): pass",
            ("passed", "inconclusive"),
        ),
        (
            "async with chaos_injector.inject(staged('a'), staged('b')): assert len(RUNNING) == 2",
            ("passed", "held", "held"),
        ),
        ("async with chaos_injector.inject({'trigger': 3}): raise SystemError", ("failed", "inconclusive")),
        (
            "with pytest.raises(NotHeld):\n    async with chaos_injector.inject(staged(play='fails')): pass",
            ("passed", "inconclusive"),
        ),
        ("with chaos_injector.inject(staged()): await anyio.sleep(0)", ("passed", "held")),
        ("chaos_injector.start(staged())\nawait anyio.sleep(0)", ("passed", "held")),
        ("chaos_injector.start(staged(play='fails'))", ("failed", "inconclusive")),
        (
            (
                "block = chaos_injector.inject(staged(), wait='none')\nasync with block:\n"
                "    while not block.active.is_set(): await anyio.sleep(0.001)"
            ),
            ("passed", "held"),
        ),
    ],
)
def test_blocks(inner: InnerPytest, kind: str, body: str, end: tuple[str, ...]) -> None:
    assert ends(run_body(inner, kind, body)) == {end}


@KINDS
def test_in_peace(inner: InnerPytest, kind: str) -> None:
    body = "async with chaos_injector.inject(staged()) as block: await anyio.sleep(0)\nassert block.outcome.verdict == 'disabled'"
    assert ends(run_body(inner, kind, body, "--chaos-disable")) == {("passed", "disabled")}


@KINDS
@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("async with chaos_injector.inject(staged()): assert not RUNNING", ("xfailed", "broke")),
        (
            "async with chaos_injector.inject(staged(play='fails')): assert not RUNNING",
            ("failed", "inconclusive"),
        ),
    ],
)
def test_expected_failures(inner: InnerPytest, kind: str, body: str, end: tuple[str, ...]) -> None:
    assert ends(run_body(inner, kind, body, mark="@pytest.mark.xfail(strict=True)\n")) == {end}


@KINDS
def test_cancelled_in_the_block(inner: InnerPytest, kind: str) -> None:
    body = """
start = time.monotonic()
with anyio.move_on_after(0.1) as scope:
    async with chaos_injector.inject(staged()):
        await anyio.sleep(30)
assert scope.cancelled_caught
assert time.monotonic() - start < 5
assert not RUNNING
"""
    assert ends(run_body(inner, kind, body)) == {("passed", "broke")}


@KINDS
def test_cancelled_while_it_waits_for_the_disruption(inner: InnerPytest, kind: str) -> None:
    body = """
start = time.monotonic()
with anyio.move_on_after(0.1) as scope:
    async with chaos_injector.inject(staged("one"), staged("two", delay_seconds=10), check=False):
        raise SystemError
assert scope.cancelled_caught
assert time.monotonic() - start < 5
assert not RUNNING
"""
    run = run_body(inner, kind, body)
    for name in NAMES[kind]:
        assert run.words[name] == "passed"
        assert [one["name"] for one in run.test(f"::{name}").chaos] == ["one", "two"]


@KINDS
def test_cancelled_before_anything_is_proven_is_not_green(inner: InnerPytest, kind: str) -> None:
    body = """
with anyio.move_on_after(0.1):
    async with chaos_injector.inject(staged(delay_seconds=10)):
        raise SystemError
"""
    assert ends(run_body(inner, kind, body)) == {("failed", "inconclusive")}


def test_a_task_that_is_cancelled_from_outside(inner: InnerPytest) -> None:
    body = """
import asyncio

inside = asyncio.Event()

async def disrupted():
    async with chaos_injector.inject(staged()):
        inside.set()
        await asyncio.sleep(30)

task = asyncio.create_task(disrupted())
await inside.wait()
task.cancel()
with pytest.raises(asyncio.CancelledError):
    await task
assert not RUNNING
"""
    assert ends(run_body(inner, "asyncio", body)) == {("passed", "broke")}


def test_blocks_of_several_tasks(inner: InnerPytest) -> None:
    body = """
async def disrupted(name):
    async with chaos_injector.inject(staged(name, delay_seconds=0.05)):
        assert name in RUNNING
        await anyio.sleep(0.05)

async with anyio.create_task_group() as group:
    for name in ("a", "b", "c"):
        group.start_soon(disrupted, name)
"""
    assert ends(run_body(inner, "anyio", body)) == {("passed", "held", "held", "held")}
