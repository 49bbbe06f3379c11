"""Processes that a fault starts: what they get, and that each of them is ended with everything it has started."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.reaper.family import MARK, stat_of
from pytest_chaos.errors import Cancelled
from tests.support.processes import is_running
from tests.support.survivors import AWAY, RUNNER, SLEEP, STUBBORN, python
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("own_reaper")


@pytest.fixture
def processes() -> Generator[Processes, None, None]:
    """Yield processes; they are ended afterwards."""
    processes = Processes()
    yield processes
    processes.end_all()


PARENT = """
import os, sys, time
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
{then}
"""
FAMILY = """
import os, signal, sys, time

def away(*, cleared):
    # A grandchild that nothing ties to its parent but descent: a session of its own, an orphan, at last without our variables.
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.write(writing, b"%d\\n" % os.getpid())
            os.execve(sys.executable, [sys.executable, "-IS", "-c", "import time; time.sleep(60)"], {} if cleared else os.environ)
        os._exit(0)
    os.wait()
    return os.read(reading, 20).decode().strip()
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
    assert set(environment) <= {"PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT", "MINE", "LC_CTYPE", MARK}
    assert environment["MINE"] == "1"
    assert (given, leads) == ("", True)
    assert Path(folder) == Path(tempfile.gettempdir()).resolve()


def test_it_is_interrupted_alone(processes: Processes) -> None:
    # Not by a KeyboardInterrupt: of a signal just before the call, time.sleep takes note after a minute.
    plainly = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    process = processes.spawn(python(plainly + PARENT.format(then="time.sleep(60)")))
    child = int(process.stdout.readline())
    process.interrupt()
    assert process.wait(10) == -signal.SIGINT
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


@pytest.mark.parametrize("cleared", [False, True], ids=["marked", "cleared"])
@pytest.mark.parametrize("then", ["time.sleep(60)", "sys.exit(3)"], ids=["running", "ended"])
def test_descendants_that_have_left_end_with_it(processes: Processes, then: str, cleared: bool) -> None:
    process = processes.spawn(python(f"{AWAY}print(away(cleared={cleared}), flush=True)\n{then}"))
    grandchild = int(process.stdout.readline())
    if then == "sys.exit(3)":
        assert process.wait(10) == 3
    assert is_running(grandchild)
    processes.end_all()
    assert not is_running(grandchild)
    assert processes.failure == ""


def test_the_descendants_of_another_disruption_live_on(processes: Processes) -> None:
    script = python(f"{AWAY}print(away(cleared=False), flush=True)")
    other = Processes()
    theirs, mine = other.spawn(script), processes.spawn(script)
    their_child, my_child = int(theirs.stdout.readline()), int(mine.stdout.readline())
    assert (theirs.wait(10), mine.wait(10)) == (0, 0)
    processes.end_all()
    assert (is_running(my_child), is_running(their_child)) == (False, True)
    other.end_all()
    assert not is_running(their_child)


def test_one_that_keeps_forking_and_leaving_is_caught(processes: Processes) -> None:
    """It is never twice the same process: whoever is seen has a child and is gone a moment later."""
    process = processes.spawn(python(RUNNER))
    assert process.wait(10) == 0
    assert process.stdout.readline() == b"running\n"
    processes.end_all()
    assert processes.failure == ""
    assert process.stdout.closed


def test_killing_it_kills_its_descendants_and_keeps_its_status(processes: Processes) -> None:
    process = processes.spawn(python(f"{AWAY}print(away(cleared=True), flush=True)\ntime.sleep(60)"))
    grandchild = int(process.stdout.readline())
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert not is_running(grandchild)
    processes.end_all()
    assert process.wait(0) == -signal.SIGKILL


def test_its_number_is_its_own_until_the_end(processes: Processes) -> None:
    """Once its end was taken note of, the system may give its number to somebody else."""
    process = processes.spawn(python("pass"))
    assert process.wait(10) == 0
    stat = stat_of(process.pid)
    assert stat is not None
    assert stat.state == "Z"
    processes.end_all()
    assert stat_of(process.pid) is None
    assert process.wait(0) == 0


def test_threads_that_wait_are_told_of_the_end(processes: Processes) -> None:
    process = processes.spawn(python(SLEEP))
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(process.wait, 10) for _ in range(4)]
        processes.end_all()
        assert [one.result() for one in waiting] == [-signal.SIGKILL] * 4


def test_a_fork_of_the_test_ends_nothing(processes: Processes) -> None:
    process = processes.spawn(python(SLEEP))
    child = os.fork()
    if child == 0:
        try:
            processes.end_all()
            process.kill()
        finally:
            os._exit(processes.failure != "")
    assert os.waitpid(child, 0) == (child, 0)
    with pytest.raises(TimeoutError):
        process.wait(0.2)


def test_a_fork_of_the_test_keeps_nothing_alive(processes: Processes) -> None:
    """It has copies of all our descriptors: what is closed here is still open there."""
    process = processes.spawn(python(SLEEP))
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        processes.end_all()
        assert processes.failure == ""
        assert not is_running(process.pid)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_is_ignored_here_is_not_ignored_there(processes: Processes) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = processes.spawn(["/bin/sleep", "60"])
    finally:
        signal.signal(signal.SIGINT, before)
    process.interrupt()
    assert process.wait(10) == -signal.SIGINT


def test_words_and_variables_arrive_as_they_are(processes: Processes) -> None:
    odd = os.fsdecode(b"caf\xe9 \xff")
    long = "x" * 100_000
    script = "import os, sys; os.write(1, b'|'.join([*map(os.fsencode, sys.argv[1:]), os.environb[b'ODD']]))"
    process = processes.spawn([*python(script), odd, long, ""], env={"ODD": odd})
    assert process.stdout.read() == b"|".join([os.fsencode(odd), long.encode(), b"", os.fsencode(odd)])


def test_many_at_once(processes: Processes) -> None:
    with ThreadPoolExecutor(10) as pool:
        started = list(pool.map(lambda _: processes.spawn(python(SLEEP)), range(30)))
    assert len({process.pid for process in started}) == 30
    processes.end_all()
    assert [process.wait(0) for process in started] == [-signal.SIGKILL] * 30
    assert processes.failure == ""


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


def test_what_no_program_can_be_given_is_told_at_once(processes: Processes) -> None:
    for words in (["/bin/echo", "a\0b"], []):
        with pytest.raises(OSError, match="Error"):
            processes.spawn(words)
