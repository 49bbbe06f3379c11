"""Nothing runs in a wrong environment; beside the abort file nothing runs on."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_chaos.engine.broker import Broker
from tests.support.inner import InnerPytest, InnerRun
from tests.support.processes import assert_none_left
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import os, pathlib, time
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.errors import NotHeld

STOP = pathlib.Path("stop")

def until(condition, within_s=10):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

"""
ABORT = {"chaos_abort_file": "stop"}


@pytest.fixture(autouse=True)
def _runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the locks of these tests to themselves."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))


def reason(run: InnerRun, name: str = "test_it") -> str:
    """Return the one reason that all outcomes of a test give; their verdict must be inconclusive."""
    end = run.test(name)
    assert set(end.verdicts) == {"inconclusive"}, run.stdout
    (found,) = {outcome["reason"] for outcome in end.chaos}
    return str(found)


# ------------------------------------------------------------------ the environment


TWO = f"""{HEAD}
@pytest.mark.xfail
@pytest.mark.chaos(staged("one"), staged("two"))
def test_it(): raise SystemError

def test_by_hand(chaos_injector):
    with pytest.raises(NotHeld, match="nothing runs"):
        with chaos_injector.inject(staged("three"), check=False): raise SystemError

def test_after(): assert STARTED == []
"""


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ("STAGE=test", None, "the environment variable STAGE is not set, and chaos_environment asks for 'test'"),
        ("STAGE=test", "prod", "the environment variable STAGE is 'prod', and chaos_environment asks for 'test'"),
        ("STAGE=test", "", "the environment variable STAGE is '', and chaos_environment asks for 'test'"),
        ("STAGE=test", "Test", "the environment variable STAGE is 'Test', and chaos_environment asks for 'test'"),
        ("STAGE=", None, "the environment variable STAGE is not set, and chaos_environment asks for ''"),
        ("HOME=/nowhere\nSTAGE=test", "test", "the environment variable HOME is"),
    ],
)  # fmt: skip
def test_in_a_wrong_environment_nothing_runs(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, wanted: str, found: str | None, said: str
) -> None:
    monkeypatch.setenv("STAGE", found) if found is not None else monkeypatch.delenv("STAGE", raising=False)
    run = inner(TWO, conftest=STAGED, ini={"chaos_environment": wanted})
    assert run.words == {"test_it": "error", "test_by_hand": "passed", "test_after": "passed"}, run.stdout
    assert f"nothing runs here: {said}" in reason(run)
    assert len(run.test("test_it").chaos) == 2
    assert f"nothing runs here: {said}" in run.test("test_it").longrepr


@pytest.mark.parametrize(
    ("wanted", "found"), [("STAGE=test", "test"), ("STAGE=", ""), ("STAGE=a = b c", "a = b c"), ("", None)]
)
def test_in_the_right_environment_everything_runs(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, wanted: str, found: str | None
) -> None:
    monkeypatch.setenv("STAGE", found) if found is not None else monkeypatch.delenv("STAGE", raising=False)
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): assert RUNNING\n",
        conftest=STAGED,
        ini={"chaos_environment": wanted},
    )
    assert (run.words, run.test().verdicts) == ({"test_it": "passed"}, ["held"])


def test_a_fixture_may_not_lead_a_wrong_environment_astray(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE", "test")
    run = inner(
        f"""{HEAD}
@pytest.fixture
def production(monkeypatch): monkeypatch.setenv("STAGE", "prod")

@pytest.mark.chaos(staged())
def test_it(production): raise SystemError
""",
        conftest=STAGED,
        ini={"chaos_environment": "STAGE=test"},
    )
    assert "STAGE is 'prod'" in reason(run)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--chaos-disable"], {"passed"}),
        (["--chaos-dry-run"], {"skipped"}),
        (["--setup-plan"], {"skipped"}),
    ],
)
@pytest.mark.parametrize("ini", [{"chaos_environment": "STAGE=test"}, ABORT])
def test_runs_in_peace_ask_for_no_permit(
    inner: InnerPytest,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: set[str],
    ini: dict[str, str],
) -> None:
    monkeypatch.delenv("STAGE", raising=False)
    (inner.pytester.path / "stop").touch()
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): assert not RUNNING\n",
        *options,
        conftest=STAGED,
        ini=ini,
    )
    assert set(run.words.values()) <= words | {"passed"}
    assert run.exit_code == 0


def test_a_wrong_environment_is_found_before_anything_is_waited_for(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STAGE", raising=False)
    Broker(timeout_s=0, tell=print).take(["localhost:1"], who="somebody else")
    run = inner(
        f"{HEAD}@pytest.mark.chaos({load_spec('http://localhost:1/')!r})\ndef test_it(): raise SystemError\n",
        "--chaos-lock-timeout=20",
        conftest=STAGED,
        ini={"chaos_environment": "STAGE=test"},
    )
    assert "STAGE is not set" in reason(run)


# ------------------------------------------------------------------ the abort file


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_beside_the_abort_file_nothing_starts(inner: InnerPytest, kind: str) -> None:
    stop = inner.pytester.path / "stop"
    if kind == "file":
        stop.touch()
    elif kind == "directory":
        stop.mkdir()
    else:
        stop.symlink_to(inner.pytester.path / "conftest.py")
    run = inner(TWO.replace("nothing runs here", "nothing runs: the abort file"), conftest=STAGED, ini=ABORT)
    assert run.words == {"test_it": "error", "test_by_hand": "passed", "test_after": "passed"}
    assert reason(run) == (
        f"nothing runs: the abort file {stop} is there (chaos_abort_file); remove it to go on"
    )


def test_it_is_looked_for_where_the_project_is(inner: InnerPytest) -> None:
    (inner.pytester.mkdir("below") / "test_below.py").write_text(
        "import pytest\nfrom conftest import staged\n"
        "@pytest.mark.chaos(staged())\ndef test_it(monkeypatch): pass\n",
        encoding="utf-8",
    )
    (inner.pytester.path / "below" / "stop").touch()
    run = inner("", "below", conftest=STAGED, ini=ABORT)
    assert run.words == {"test_it": "passed"}
    (inner.pytester.path / "stop").touch()
    run = inner("", "below", conftest=STAGED, ini=ABORT)
    assert run.words == {"test_it": "error"}


def test_a_load_stops_within_a_second_and_the_rest_never_starts(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos({load_spec(shop.url, qps=100, concurrency=2, min_delivered=0.01)!r})
def test_it():
    STOP.touch()
    time.sleep(1.5)
    pathlib.Path("ended").write_text(str(time.monotonic()))

@pytest.mark.chaos({load_spec(shop.url + "/never", qps=100)!r})
def test_next(): raise SystemError

def test_peaceful(): pass
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert run.words == {"test_it": "failed", "test_next": "error", "test_peaceful": "passed"}, run.stdout
    ended = float((run.path / "ended").read_text())
    assert ended - shop.hits[-1].at > 0.5, "the load went on for more than a second"
    assert not [hit for hit in shop.hits if hit.path == "/never"]
    assert (
        reason(run)
        == f"aborted: the abort file {run.path / 'stop'} is there (chaos_abort_file); remove it to go on"
    )
    assert "aborted: the abort file" in run.test("test_it").longrepr
    assert_none_left(f":{shop.port}")


def test_everything_of_a_test_stops(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.xfail
@pytest.mark.chaos(staged("one"), staged("two"), staged("late", delay_seconds=60), wait="none")
def test_it(chaos_injector):
    with chaos_injector.inject(staged("three"), check=False) as block:
        until(lambda: len(RUNNING) == 3)
        STOP.touch()
        until(lambda: not RUNNING, within_s=1)
    assert block.outcome.reason.startswith("aborted: the abort file")

def test_after():
    import threading
    assert STARTED == ["one", "two", "three"] or sorted(STARTED) == ["one", "three", "two"]
    assert not [one for one in threading.enumerate() if one.name.startswith("pytest-chaos")]
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert run.words == {"test_it": "failed", "test_after": "passed"}, run.stdout
    assert len(run.test("test_it").chaos) == 4
    assert reason(run).startswith("aborted: the abort file")


@pytest.mark.parametrize(
    ("body", "word", "verdict"),
    [
        ("assert RUNNING", "failed", "inconclusive"),
        ("pytest.skip('x')", "skipped", "not_judged"),
    ],
)
def test_a_body_that_goes_on_as_it_likes(inner: InnerPytest, body: str, word: str, verdict: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
def test_it():
    STOP.touch()
    until(lambda: not RUNNING)
    {body}
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert (run.words, run.test().verdicts) == ({"test_it": word}, [verdict])
    if word == "failed":
        assert (
            "this failure proves nothing about chaos: 'a rush' (staged) is inconclusive: aborted"
            in run.stdout
        )


def test_what_was_over_before_is_not_undone(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged(play="ends at once"), wait="done")
def test_it():
    STOP.touch()
    time.sleep(0.3)
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert (run.words, run.test().verdicts) == ({"test_it": "passed"}, ["held"])


# ------------------------------------------------------------------ whatever setup is waiting for


def appears(run_dir: Path, after_s: float = 0.3) -> threading.Timer:
    """Let the abort file appear in ``after_s`` seconds."""
    timer = threading.Timer(after_s, (run_dir / "stop").touch)
    timer.start()
    return timer


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(repr(load_spec("http://localhost:1/")), id="a lock"),
        pytest.param("staged(delay_seconds=60)", id="a trigger"),
    ],
)
def test_setup_waits_no_longer(inner: InnerPytest, spec: str) -> None:
    Broker(timeout_s=0, tell=print).take(["localhost:1"], who="somebody else")
    timer = appears(inner.pytester.path)
    began = time.monotonic()
    run = inner(
        f"{HEAD}@pytest.mark.chaos({spec})\ndef test_it(): raise SystemError\n",
        conftest=STAGED,
        ini=ABORT,
    )
    timer.join()
    assert time.monotonic() - began < 10
    assert run.words == {"test_it": "error"}
    assert "the abort file" in reason(run)


@pytest.mark.parametrize("wait", ["active", "done", "none"])
def test_what_comes_after_a_check_does_not_start(inner: InnerPytest, wait: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def chaos_verifiers(): return {{"all is well": STOP.touch}}

@pytest.mark.chaos(staged(verify="all is well", watch={{"verify_phases": ["before"]}}, play="ends at once"), wait={wait!r})
def test_it(): time.sleep(0.2)

def test_after(): assert STARTED == []
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert run.words == {"test_it": "error", "test_after": "passed"}, run.stdout
    assert "the abort file" in reason(run)


@pytest.mark.parametrize("by_hand", [False, True])
def test_recovery_is_asked_for_no_longer(inner: InnerPytest, by_hand: bool) -> None:
    spec = 'staged(verify="recovered", watch={"recover_within": 60})'
    test = (
        f"def test_it(chaos_injector):\n    with chaos_injector.inject({spec}): pass\n"
        if by_hand
        else f"@pytest.mark.chaos({spec})\ndef test_it(): pass\n"
    )
    began = time.monotonic()
    run = inner(
        f"""{HEAD}
ASKED = []

def recovered():
    ASKED.append(1)
    if len(ASKED) == 3:
        STOP.touch()
    return False

@pytest.fixture
def chaos_verifiers(): return {{"recovered": recovered}}

{test}
def test_after(): assert 3 <= len(ASKED) < 20
""",
        conftest=STAGED,
        ini=ABORT,
    )
    assert time.monotonic() - began < 15
    assert run.words == {"test_it": "failed", "test_after": "passed"}, run.stdout
    assert run.test("test_it").verdicts == ["broke"]


def test_workers_stop_as_well(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
def test_one():
    until(lambda: pathlib.Path("other").exists())
    STOP.touch()
    until(lambda: not RUNNING, within_s=2)

@pytest.mark.chaos(staged())
def test_other():
    pathlib.Path("other").touch()
    until(lambda: not RUNNING)
""",
        "-n2",
        conftest=STAGED,
        ini=ABORT,
        plugins=["xdist.plugin"],
    )
    assert run.words == {"test_one": "failed", "test_other": "failed"}
    for name in run.words:
        assert reason(run, name).startswith("aborted: the abort file")


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize(
    ("library", "module", "function"),
    [
        ("gevent", "gevent.monkey", "is_module_patched"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched"),
    ],
)
def test_where_threads_are_no_threads_nothing_runs(
    inner: InnerPytest, library: str, module: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a thread would hold up all others while it waits for fortio, and so for ever."""
    patched = SimpleNamespace(**{function: lambda name: "thread" in name})
    monkeypatch.setitem(sys.modules, module, patched)
    run = inner(TWO, conftest=STAGED)
    assert run.words == {"test_it": "error", "test_by_hand": "passed", "test_after": "passed"}, run.stdout
    assert f"nothing runs: {library} has replaced threads" in reason(run)
