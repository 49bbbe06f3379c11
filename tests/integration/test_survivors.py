"""Whatever ends a test, or pytest itself: one second later nothing is left of what its faults have started."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.support.dying import CONFTEST, STARTED, dying
from tests.support.inner import InnerPytest
from tests.support.survivors import running_with
from tests.support.waiting import eventually

BODY = """
@many()
def test_it(torn_down):
    {}
"""
AFTER = """

def test_after():
    from tests.support.survivors import running_with
    assert not running_with(os.environ["DYING_TOKEN"])
"""
ENDINGS = {
    "normal end": (BODY.format("pass"), 0),
    "failure": (BODY.format("assert False"), 1),
    "skip in the body": (BODY.format("pytest.skip('no')"), 0),
    "error in setup": ("@many()\n@many(fails=True)\ndef test_it(torn_down): pass", 1),
    "fault thread that hangs": ("@many(hangs=True)\ndef test_it(torn_down): pass", 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_test_ends(ending: str, tmp_path: Path) -> None:
    source, expected = ENDINGS[ending]
    with dying(tmp_path, source + AFTER, "-o", "chaos_stop_timeout=1") as run:
        status, output = run.ended()
        assert status == expected, output
        assert "1 passed" in output or "2 passed" in output, output
        run.assert_nothing_left()
    assert (tmp_path / "torn-down").exists()


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_run(option: str, tmp_path: Path) -> None:
    with dying(tmp_path, BODY.format("assert False") + "def test_after(): assert False", option) as run:
        status, output = run.ended()
        assert status == 1
        assert "1 failed in" in output
        run.assert_nothing_left()


SLEEPS = BODY.format("time.sleep(60)")
DEAF = """
@many()
def test_it(torn_down):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([signal.SIGINT], 2),
        ([signal.SIGINT, signal.SIGINT], 2),
        ([signal.SIGTERM], -signal.SIGTERM),
        ([signal.SIGTERM, signal.SIGTERM], -signal.SIGTERM),
        ([signal.SIGHUP], -signal.SIGHUP),
        ([signal.SIGKILL], -signal.SIGKILL),
    ],
    ids=["Ctrl-C", "Ctrl-C twice", "SIGTERM", "SIGTERM twice", "SIGHUP", "SIGKILL"],
)
def test_a_signal_ends_the_run(sent: list[signal.Signals], status: int, tmp_path: Path) -> None:
    with dying(tmp_path, SLEEPS) as run:
        run.wait_started()
        for number in sent:
            run.send(number)
        assert run.ended()[0] == status
        run.assert_nothing_left()


@pytest.mark.parametrize(
    "body",
    ["os._exit(3)", "import ctypes; ctypes.string_at(0)", "os.abort()"],
    ids=["os._exit", "segfault", "abort"],
)
def test_the_body_ends_the_process(body: str, tmp_path: Path) -> None:
    with dying(tmp_path, BODY.format(body)) as run:
        assert run.ended()[0] in (3, -signal.SIGSEGV, -signal.SIGABRT)
        run.assert_nothing_left()


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout_ends_it(method: str, tmp_path: Path) -> None:
    options = ["--timeout=2", f"--timeout-method={method}"]
    with dying(tmp_path, SLEEPS, *options, plugins=["pytest_timeout"]) as run:
        status, output = run.ended()
        assert status == 1
        assert "Timeout" in output
        run.assert_nothing_left()


def test_a_worker_crashes(tmp_path: Path) -> None:
    options = ["-n1", "--max-worker-restart=0"]
    with dying(tmp_path, BODY.format("os._exit(3)"), *options, plugins=["xdist.plugin"]) as run:
        assert "worker 'gw0' crashed" in run.ended()[1]
        run.assert_nothing_left()


@pytest.mark.parametrize("source", [SLEEPS, DEAF], ids=["sleeping", "deaf"])
def test_the_controller_is_killed(source: str, tmp_path: Path) -> None:
    with dying(tmp_path, source, "-n1", plugins=["xdist.plugin"]) as run:
        run.wait_started()
        run.send(signal.SIGKILL)
        assert run.ended()[0] == -signal.SIGKILL
        run.assert_nothing_left()


FORK = """
@many()
def test_it():
    if os.fork() == 0:
        signal.pause()
    time.sleep(60)
"""


def test_a_fork_of_the_test_lives_on(tmp_path: Path) -> None:
    with dying(tmp_path, FORK) as run:
        run.wait_started()
        run.send(signal.SIGKILL)
        assert run.ended()[0] == -signal.SIGKILL
        run.assert_nothing_left()


KILLS_THE_REAPER = """
from pytest_chaos.engine.reaper import family
from tests.support.survivors import running_with
from tests.support.waiting import eventually

def kill_the_reaper():
    pids = [int(line.split()[1]) for line in running_with(os.environ["DYING_TOKEN"])]
    (reaper,) = {family.stat_of(pid).parent for pid in pids}
    os.kill(reaper, signal.SIGKILL)
"""


def test_a_killed_reaper_leaves_no_test_green(tmp_path: Path) -> None:
    """Even if the fault itself does not notice that its processes are gone. The next test has a reaper again."""
    next_test = (
        f"@many()\ndef test_next(): assert len(running_with(os.environ['DYING_TOKEN'])) == 1 + {STARTED}"
    )
    source = KILLS_THE_REAPER + BODY.format("kill_the_reaper()") + next_test
    with dying(tmp_path, source) as run:
        status, output = run.ended()
        assert status == 1
        assert "1 failed, 1 passed" in output
        assert "is error: the reaper, the parent of all fault processes, was killed" in output
        (left,) = running_with(run.token)  # without our variables, and with no parent that would adopt it
        os.kill(int(left.split()[1]), signal.SIGKILL)
        run.assert_nothing_left()


@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "-n1"])
def test_the_next_run_ends_and_tells_what_a_killed_reaper_left(options: list[str], tmp_path: Path) -> None:
    body = "kill_the_reaper(); os.kill(os.getpid(), signal.SIGKILL)"
    with dying(tmp_path, KILLS_THE_REAPER + BODY.format(body)) as run:
        assert run.ended()[0] == -signal.SIGKILL
        eventually(lambda: len(running_with(run.token)) == 2, "what no parent can end is left")
        with dying(tmp_path, BODY.format("pass"), *options, plugins=["xdist.plugin"]) as next_run:
            status, output = next_run.ended()
            assert status == 0
            next_run.assert_nothing_left()
        assert output.count("left by a reaper that was killed, was still running and was ended") == 1
        (left,) = running_with(run.token)  # its environment was cleared; nothing tells that it was ours
        os.kill(int(left.split()[1]), signal.SIGKILL)


def test_a_run_inside_this_process(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DYING_TOKEN", token := f"in-process-{os.getpid()}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def here() -> tuple[set[str], set[threading.Thread], list[object]]:
        handlers: list[object] = [signal.getsignal(number) for number in signal.valid_signals()]
        return set(os.listdir("/proc/self/fd")), set(threading.enumerate()), handlers  # noqa: PTH208 - names do

    before = here()
    for _ in range(2):
        run = inner(
            f"""
            from conftest import many
            from tests.support.survivors import running_with
            @many()
            def test_it():
                assert len(running_with({token!r})) == {STARTED}
            def test_after():
                assert not running_with({token!r})
            """,
            conftest=CONFTEST,
        )
        assert run.words == {"test_it": "passed", "test_after": "passed"}, run.stdout
    assert here() == before
    assert not running_with(token)
    assert not any(tmp_path.glob("*/ledgers/*"))
