"""Who asks for chaos when the test is over gets none, is told so, and leaves nothing that runs or is locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import threading, time
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.engine.broker import Broker
from pytest_chaos.errors import ChaosError, NotHeld

KEPT = []
OPEN = threading.Event()

@pytest.fixture
def slow_to_end():
    yield
    OPEN.set()
    for thread in threading.enumerate():
        if thread.name == "late":
            thread.join()

@pytest.fixture
def ends_by_hand():
    yield
    KEPT.pop()()

def test_nothing_runs_on_and_nothing_is_locked():
    assert RUNNING == []
    for lock in Broker(timeout_s=0, tell=print).take(["lock 'tills'"], who="a stranger"):
        lock.release()

"""
OVER = "is over, and its chaos_injector starts nothing any more"


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the locks of these tests to themselves."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def run(inner: InnerPytest, source: str) -> InnerRun:
    first, after = HEAD.split("def test_nothing_runs_on", 1)
    return inner(f"{first}{source}\ndef test_nothing_runs_on{after}", conftest=STAGED, warnings="default")


AFTER = {"test_nothing_runs_on_and_nothing_is_locked": "passed"}


@pytest.mark.parametrize("made", ["in the body", "too late"])
def test_a_thread_that_comes_late(inner: InnerPytest, made: str) -> None:
    """The service is slow to end, and so the test is not quite over."""
    early = (
        "block = chaos_injector.inject(staged(), check=False)" if made == "in the body" else "block = None"
    )
    ended = run(
        inner,
        f"""
@pytest.mark.chaos(lock=["tills"])
def test_it(slow_to_end, chaos_injector):
    {early}
    def come():
        OPEN.wait()
        if block is None:
            chaos_injector.start(staged())
        else:
            block.begin()
    threading.Thread(target=come, name="late", daemon=True).start()
""",
    )
    assert ended.words == {"test_it": "passed" if made == "in the body" else "error"} | AFTER, ended.stdout
    assert set(ended.test("test_it").verdicts) == {"inconclusive"}
    if made == "too late":
        assert OVER in ended.test("test_it").longrepr


@pytest.mark.parametrize(
    "asks",
    ["chaos_injector.start(staged())", "chaos_injector.inject(staged())", "chaos_injector.run(staged())"],
)
@pytest.mark.parametrize("expects", ["pytest.fail.Exception", "Exception"])
def test_a_fixture_that_ends_after_it(inner: InnerPytest, asks: str, expects: str) -> None:
    """Whether the error is expected there or not: it was never started."""
    ended = run(
        inner,
        f"""
@pytest.mark.chaos(lock=["tills"])
def test_it(ends_by_hand, chaos_injector):
    def ask():
        try:
            {asks}
        except {expects}:
            pass
    KEPT.append(ask)
""",
    )
    assert ended.words == {"test_it": "error"} | AFTER, ended.stdout
    assert OVER in ended.test("test_it").longrepr
    assert ended.test("test_it").verdicts == ["inconclusive"]


def test_one_that_is_kept_for_a_later_test(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
@pytest.mark.chaos(lock=["tills"])
def test_it(chaos_injector):
    KEPT.append(chaos_injector)
    KEPT.append(chaos_injector.inject(staged(), check=False))

def test_later():
    block, injector = KEPT.pop(), KEPT.pop()
    for _ in range(3):
        with pytest.raises(ChaosError, match="test_it is over"):
            injector.start(staged())
    with pytest.raises(NotHeld, match="the test that it belongs to is over"):
        block.begin()
    assert STARTED == []
""",
    )
    assert ended.words == {"test_it": "passed", "test_later": "passed"} | AFTER, ended.stdout


@pytest.mark.parametrize(
    "mark", ["@pytest.mark.chaos(staged())", "@pytest.mark.chaos(staged(), wait='none')"]
)
@pytest.mark.parametrize("option", ["", "--chaos-disable"])
def test_a_plugin_that_runs_bodies_itself(inner: InnerPytest, mark: str, option: str) -> None:
    """Past the hooks in which we start anything."""
    conftest = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    item.session._setupstate.setup(item)
    call = pytest.CallInfo.from_call(lambda: item.obj(), when="call")
    item.session._setupstate.teardown_exact(None)
    item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))
    return True
"""
    ended = inner(
        f"from conftest import staged\nimport pytest\n{mark}\ndef test_it(): pass\ndef test_other(): pass\n",
        *filter(None, [option]),
        conftest=STAGED + conftest,
    )
    assert ended.words == {"test_it": "passed" if option else "failed", "test_other": "passed"}, ended.stdout
    if not option:
        assert "did not call the hooks pytest_runtest_setup" in ended.test("test_it").longrepr
