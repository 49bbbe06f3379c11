"""What could pass unheard: a brake that broke, a fault that does not listen, a late mark, an error that was expected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import threading, time
import pytest
from conftest import RUNNING, STARTED, staged

def until(condition, within_s=10):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

def refuse_threads(monkeypatch, name):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)

"""


def run(inner: InnerPytest, source: str, *options: str, conftest: str = "") -> InnerRun:
    return inner(HEAD + source, *options, conftest=STAGED + conftest, plugins=["xdist.plugin"])


# ------------------------------------------------------------------ checks that break in odd ways

ODD = {
    "a repr that raises": "type('Row', (), {'__repr__': lambda self: 1 / 0})()",
    "a repr that ends the test": "type('Row', (), {'__repr__': lambda self: pytest.fail('no')})()",
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize(
    ("keys", "wait"),
    [
        ({"abort_when": "odd", "verify_every": 0.02}, "until(lambda: not RUNNING)"),
        ({"verify": "odd", "verify_phases": ["after"]}, "pass"),
    ],
    ids=["abort_when", "verify"],
)
def test_a_check_that_cannot_even_be_shown(
    inner: InnerPytest, answer: str, keys: dict[str, object], wait: str
) -> None:
    ended = run(
        inner,
        f"""
@pytest.fixture
def chaos_verifiers():
    return {{"odd": lambda: {answer}}}

@pytest.mark.chaos({{**staged(), **{keys}}})
def test_it(): {wait}
""",
    )
    assert ended.words == {"test_it": "failed"}, ended.stdout
    assert ended.test().verdicts[0] in {"broke", "error"}


def test_a_brake_without_a_thread_stops_what_it_watches(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
@pytest.fixture
def chaos_verifiers(monkeypatch):
    refuse_threads(monkeypatch, "pytest-chaos-check")
    return {"budget": lambda: True}

@pytest.mark.chaos({**staged(), "abort_when": "budget", "verify_every": 0.02})
def test_it():
    until(lambda: not RUNNING)
""",
    )
    assert ended.test().verdicts == ["error"], ended.stdout
    assert "can't start new thread" in ended.test().chaos[0]["reason"]


# ------------------------------------------------------------------ a fault that does not listen

DEAF = f"""
import os, pathlib

@FAULTS.register("deaf")
class Deaf(Fault):
    type: Literal["deaf"] = "deaf"

    def inject(self, ctx, chaos_active_event=None):
        process = ctx.spawn([{sys.executable!r}, "-c", "import time; time.sleep(60)"])
        pathlib.Path("pid").write_text(str(process.pid))
        chaos_active_event.set()
        process.wait()
        return ChaosResult(success=True, injected_fault="deaf")

def lives(pid):
    try:
        return pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
"""
SOURCE = """
from conftest import lives
from pathlib import Path

@pytest.fixture
def chaos_verifiers():
    return {"budget": lambda: not Path("spent").exists()}

SPEC = {"trigger": {"type": "time"}, "action": {"type": "deaf"}, "abort_when": "budget", "verify_every": 0.02}

def watch(file):
    pid = int(Path("pid").read_text())
    assert lives(pid)
    Path(file).touch()
    began = time.monotonic()
    until(lambda: not lives(pid))
    Path("took").write_text(str(time.monotonic() - began))

@pytest.mark.chaos(SPEC)
def test_marked(): watch("FILE")

def test_by_hand(chaos_injector):
    with chaos_injector.inject(SPEC): watch("FILE")
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("test", ["test_marked", "test_by_hand"])
@pytest.mark.parametrize(("file", "verdict"), [("stop", "inconclusive"), ("spent", "broke")])
def test_what_is_aborted_ends_within_a_second_whether_it_listens_or_not(
    inner: InnerPytest, test: str, file: str, verdict: str
) -> None:
    source = HEAD + SOURCE.replace("FILE", file)
    ended = inner(source, "-k", test, conftest=STAGED + DEAF, ini={"chaos_abort_file": "stop"})
    assert ended.test(test).verdicts == [verdict], ended.stdout
    assert float((ended.path / "took").read_text()) < 1


# ------------------------------------------------------------------ marks that come too late

LATE = {
    "in the body": (
        "def test_it(request): request.node.add_marker(pytest.mark.chaos(staged()))",
        "",
    ),
    "in a fixture that the body asks for": (
        """
@pytest.fixture
def adds_it(request): request.applymarker(pytest.mark.chaos(spec=staged()))

def test_it(request): request.getfixturevalue("adds_it")
""",
        "",
    ),
    "in a hook after ours": (
        "def test_it(): pass",
        """
@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    item.add_marker(pytest.mark.chaos(staged()))
    return (yield)
""",
    ),
    "beside one in time": (
        """
@pytest.mark.chaos(staged("one"))
def test_it(request): request.node.add_marker(pytest.mark.chaos(staged("two")))
""",
        "",
    ),
}


@pytest.mark.parametrize("when", LATE)
@pytest.mark.parametrize("options", [(), ("-n1",)], ids=str)
def test_a_mark_that_comes_too_late_fails_its_test(
    inner: InnerPytest, when: str, options: tuple[str, ...]
) -> None:
    source, conftest = LATE[when]
    ended = run(inner, source, *options, conftest=conftest)
    assert ended.words == {"test_it": "failed"}, ended.stdout
    assert ended.test().verdicts[-1] == "inconclusive"
    assert "a mark came after setup" in ended.stdout


def test_a_late_mark_is_no_failure_to_expect(inner: InnerPytest) -> None:
    ended = run(inner, f"@pytest.mark.xfail\n{LATE['in the body'][0]}\n")
    assert ended.words == {"test_it": "failed"}, ended.stdout


def test_a_late_category_is_none(inner: InnerPytest) -> None:
    source = "def test_it(request): request.node.add_marker(pytest.mark.chaos)\n"
    assert run(inner, source).words == {"test_it": "passed"}
    assert run(inner, source.replace("chaos)", "chaos(staged()))"), "--chaos-disable").words == {
        "test_it": "passed"
    }


# ------------------------------------------------------------------ what the body takes for granted

SWALLOWED = {
    "an error that is expected": """
def test_it(chaos_injector):
    with pytest.raises(ValueError), chaos_injector.inject(staged(delay_seconds=60), wait="none"):
        raise ValueError
""",
    "an error in a block that is done": """
def test_it(chaos_injector):
    with pytest.raises(ValueError), chaos_injector.inject(staged(play="fails")):
        raise ValueError
""",
    "a thread that nobody asks": """
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it(chaos_injector):
    def disrupt():
        with chaos_injector.inject(staged(play="fails")): pass
    thread = threading.Thread(target=disrupt)
    thread.start()
    thread.join()
""",
    "a task that nobody awaits": """
import asyncio

def test_it(chaos_injector):
    async def disrupt():
        async with chaos_injector.inject(staged(play="fails")): pass

    async def body():
        task = asyncio.create_task(disrupt())
        await asyncio.wait([task])

    asyncio.run(body())
""",
    "a timeout that is expected": """
import asyncio

def test_it(chaos_injector):
    async def body():
        try:
            async with asyncio.timeout(0.2), chaos_injector.inject(staged(delay_seconds=60), wait="none"):
                await asyncio.sleep(60)
        except TimeoutError:
            pass

    asyncio.run(body())
""",
    "a thread in which nothing started": """
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it(chaos_injector):
    def disrupt():
        with chaos_injector.inject(staged(play="raises")): pass
    thread = threading.Thread(target=disrupt)
    thread.start()
    thread.join()
""",
}


@pytest.mark.parametrize("how", SWALLOWED)
def test_a_disruption_that_proved_nothing_is_not_made_up_for(inner: InnerPytest, how: str) -> None:
    ended = run(inner, SWALLOWED[how])
    assert ended.words == {"test_it": "failed"}, ended.stdout
    assert ended.test().verdicts == ["inconclusive"]


def test_an_expected_error_under_a_real_disruption_is_the_tests_own_affair(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
def test_it(chaos_injector):
    with pytest.raises(ValueError), chaos_injector.inject(staged()):
        time.sleep(0.1)
        raise ValueError
""",
    )
    assert ended.words == {"test_it": "passed"}, ended.stdout


def test_an_error_that_was_awaited_and_dealt_with_is_the_tests_own_affair(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
import asyncio
from pytest_chaos.errors import NotHeld

def test_it(chaos_injector):
    async def disrupt():
        async with chaos_injector.inject(staged(play="fails")): pass

    async def body():
        with pytest.raises(NotHeld):
            await asyncio.create_task(disrupt())

    asyncio.run(body())
""",
    )
    assert ended.words == {"test_it": "passed"}, ended.stdout


def test_a_machine_that_has_no_thread_left(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
@pytest.fixture(autouse=True)
def short(monkeypatch):
    refuse_threads(monkeypatch, "pytest-chaos-a rush")

@pytest.mark.chaos(staged())
def test_it(): raise SystemError
""",
    )
    assert ended.words == {"test_it": "error"}, ended.stdout
    assert ended.test().verdicts == ["inconclusive"]
    assert "can't start new thread" in ended.stdout
    assert "cannot join" not in ended.stdout


# ------------------------------------------------------------------ gates


def test_a_link_to_nowhere_is_an_abort_file(inner: InnerPytest) -> None:
    inner.pytester.path.joinpath("stop").symlink_to("nowhere")
    source = HEAD + "@pytest.mark.chaos(staged())\ndef test_it(): raise SystemError\n"
    ended = inner(source, conftest=STAGED, ini={"chaos_abort_file": "stop"})
    assert ended.test().verdicts == ["inconclusive"], ended.stdout


def test_an_abort_file_that_nobody_can_look_for_stops_everything(inner: InnerPytest) -> None:
    source = HEAD + "@pytest.mark.chaos(staged())\ndef test_it(): raise SystemError\n"
    ended = inner(source, conftest=STAGED, ini={"chaos_abort_file": "y" * 300})
    assert "nobody can tell whether the abort file" in ended.test().chaos[0]["reason"]


def test_an_abort_file_in_the_home_directory(inner: InnerPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    home = inner.pytester.path
    monkeypatch.setenv("HOME", str(home))
    (home / "stop").touch()
    source = HEAD + "@pytest.mark.chaos(staged())\ndef test_it(): pass\n"
    assert inner(source, conftest=STAGED, ini={"chaos_abort_file": "~/stop"}).words == {"test_it": "error"}
    monkeypatch.setenv("PYTEST_CHAOS_ABORT_FILE", "")  # the one way to do without for once
    assert inner(source, conftest=STAGED, ini={"chaos_abort_file": "~/stop"}).words == {"test_it": "passed"}


def test_a_misspelled_variable_is_an_error(inner: InnerPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CHAOS_ENVIROMENT", "STAGE=test")
    ended = inner("def test_it(): pass\n")
    assert ended.exit_code == pytest.ExitCode.USAGE_ERROR
    assert (
        "PYTEST_CHAOS_ENVIROMENT: there is no such option; did you mean 'PYTEST_CHAOS_ENVIRONMENT'?"
        in ended.stderr
    )


@pytest.mark.parametrize("written", ["X-Mine, session", "X-Mine,session", "X-Mine session"])
def test_names_of_secrets_are_separated_by_commas_too(inner: InnerPytest, written: str) -> None:
    url = "http://127.0.0.1:9/"
    target = {"service_url": url, "headers": {"X-Mine": "v"}}
    spec = {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": target}}
    ended = inner(
        f"import pytest\n@pytest.mark.chaos({spec})\ndef test_it(): pass\n",
        ini={"chaos_secrets": written},
    )
    assert "X-Mine is secret" in ended.stdout


def test_verifiers_that_are_no_mapping(inner: InnerPytest) -> None:
    source = "@pytest.fixture\ndef chaos_verifiers(): pass\n"
    source += "@pytest.mark.chaos(staged(verify='it'))\ndef test_it(): pass\n"
    ended = run(inner, source)
    assert ended.words == {"test_it": "error"}
    assert (
        "the fixture chaos_verifiers must return a mapping of names to functions, not NoneType"
        in ended.stdout
    )


def test_a_spec_as_text_is_not_echoed(inner: InnerPytest) -> None:
    text = '{"trigger": {"type": "time"}, "action": {"headers": {"Authorization": "Bearer s3ntinel"}}}'
    ended = inner(f"import pytest\n@pytest.mark.chaos({text!r})\ndef test_it(): pass\n", "--tb=short")
    assert "a spec is no text: give the mapping itself" in ended.stdout
    assert "s3ntinel" not in ended.stdout


# ------------------------------------------------------------------ what others do with our log


def test_a_log_filter_that_breaks_keeps_nobody_from_stopping(inner: InnerPytest) -> None:
    ended = run(
        inner,
        """
import logging

class Broken(logging.Handler):
    def handle(self, record):
        raise KeyError("request_id")

@pytest.fixture(autouse=True)
def our_logging():
    logger, broken = logging.getLogger(), Broken()
    logger.addHandler(broken)
    yield
    logger.removeHandler(broken)

@pytest.mark.chaos(staged())
def test_it():
    until(lambda: RUNNING)

def test_afterwards():
    assert not RUNNING
""",
        "--log-level=INFO",
    )
    assert ended.words == {"test_it": "passed", "test_afterwards": "passed"}, ended.stdout
    assert ended.test("test_it").verdicts == ["held"]
