"""Processes that a fault starts: what they get, and that each of them is ended with everything it has started."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_chaos.engine.processes import OwnedProcess, Processes
from pytest_chaos.errors import Cancelled
from tests.support.processes import is_running
from tests.support.waiting import eventually


@pytest.fixture
def processes() -> Generator[Processes, None, None]:
    """Yield processes; they are ended, and their pipes closed, afterwards."""
    processes = Processes()
    started: list[OwnedProcess] = []
    spawn = processes.spawn

    def noted(*args: object, **more: object) -> OwnedProcess:
        started.append(spawn(*args, **more))  # type: ignore[arg-type]  # handed through
        return started[-1]

    processes.spawn = noted  # type: ignore[method-assign]  # to close the pipes below
    yield processes
    processes.end_all()
    for process in started:
        process.stdout.close()
        process.stderr.close()


def python(script: str) -> list[str]:
    return [sys.executable, "-IS", "-c", script]


SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = """
import os, sys, time
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
{then}
"""


def test_it_gets_a_minimal_environment_an_empty_input_and_a_session_of_its_own(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "HTTP_PROXY",
        "https_proxy",
        "GEMINI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GODEBUG",
        "LOGGER_LEVEL",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:1/s3cret")
    script = """
import json, os, sys
print(json.dumps([dict(os.environ), sys.stdin.read(), os.getcwd(), os.getsid(0) == os.getpid() == os.getpgid(0)]))
"""
    process = processes.spawn(python(script), env={"MINE": "1"})
    environment, given, folder, leads = json.loads(process.stdout.read())
    assert process.wait(10) == 0
    assert set(environment) <= {"PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT", "MINE", "LC_CTYPE"}
    assert environment["MINE"] == "1"
    assert (given, leads) == ("", True)
    assert Path(folder) == Path(tempfile.gettempdir()).resolve()


def test_it_is_interrupted_alone(processes: Processes) -> None:
    process = processes.spawn(python(PARENT.format(then="time.sleep(60)")))
    child = int(process.stdout.readline())
    process.interrupt()
    assert process.wait(10) != 0
    assert is_running(child)
    processes.end_all()
    eventually(lambda: not is_running(child), "the child is gone")


def test_waiting_has_a_limit(processes: Processes) -> None:
    process = processes.spawn(python(SLEEP))
    with pytest.raises(TimeoutError, match=f"process {process.pid} is still running"):
        process.wait(0.01)


def test_the_exit_status_tells_the_signal(processes: Processes) -> None:
    process = processes.spawn(python(SLEEP))
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert process.wait(0) == -signal.SIGKILL
    process.interrupt()
    process.kill()


@pytest.mark.parametrize("then", ["time.sleep(60)", "sys.exit(0)"], ids=["running", "ended"])
def test_everything_that_it_has_started_ends_with_it(processes: Processes, then: str) -> None:
    process = processes.spawn(python(PARENT.format(then=then)))
    child = int(process.stdout.readline())
    if then == "sys.exit(0)":
        assert process.wait(10) == 0
    processes.end_all()
    eventually(lambda: not is_running(child), "the child is gone")
    assert not is_running(process.pid)


def test_nobody_else_is_killed_in_its_place(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its end was taken note of, the system may give its number to somebody else."""
    killed: list[str] = []

    def killpg(pid: int, sent: int) -> None:
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            killed.append(f"signal {sent} to {pid}, whoever that is now")

    process = processes.spawn(python("pass"))
    assert process.wait(10) == 0
    monkeypatch.setattr("pytest_chaos.engine.processes.os.killpg", killpg)
    process.kill()
    processes.end_all()
    assert killed == []


def test_ending_takes_all_of_them_and_what_ignores_interrupts(processes: Processes) -> None:
    several = [processes.spawn(python(STUBBORN)) for _ in range(3)]
    for process in several:
        assert process.stdout.readline() == b"up\n"
        process.interrupt()
    processes.end_all()
    assert [process.wait(0) for process in several] == [-signal.SIGKILL] * 3


def test_after_the_end_nothing_is_started_any_more(processes: Processes) -> None:
    processes.end_all()
    processes.end_all()
    with pytest.raises(Cancelled):
        processes.spawn(python("pass"))


def test_what_is_no_program_is_told_at_once(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        processes.spawn([str(tmp_path / "missing")])
