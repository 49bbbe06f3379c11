"""The reaper: who it is, whom it watches, what happens when it is killed, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.reaper import client, family, wire
from pytest_chaos.engine.reaper.client import Reaper, reaper_of_this_process
from pytest_chaos.engine.reaper.program import Child
from pytest_chaos.errors import Cancelled, FaultFailed
from tests.support.processes import is_running
from tests.support.survivors import AWAY, SLEEP, python
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("own_reaper")


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a place for ledgers of its own; return it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / f"pytest-chaos-{os.getuid()}" / "ledgers"


@pytest.fixture
def reaper() -> Generator[Reaper, None, None]:
    """Yield the reaper of this process; it is held meanwhile, as a session does."""
    reaper = reaper_of_this_process()
    reaper.hold()
    yield reaper
    reaper.release()


def parent_of(pid: int) -> int:
    stat = family.stat_of(pid)
    assert stat is not None
    return stat.parent


def test_it_is_the_parent_and_nobodys_child_here(reaper: Reaper) -> None:
    """A test that waits for any child of pytest, or looks for some, must not meet ours."""
    processes = Processes()
    process = processes.spawn(python(SLEEP))
    parent = parent_of(process.pid)
    assert parent != os.getpid()
    assert parent_of(parent) != os.getpid()
    assert os.getpgid(parent) != os.getpgid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    processes.end_all()


def test_there_is_one_as_long_as_it_is_held(reaper: Reaper) -> None:
    parents = set()
    for _ in range(2):
        processes = Processes()
        parents.add(parent_of(processes.spawn(python(SLEEP)).pid))
        processes.end_all()
    assert len(parents) == 1
    assert is_running(parents.pop())


def test_it_ends_with_the_last_who_holds_it(private: Path) -> None:
    first, second = Processes(), Processes()
    parent = parent_of(first.spawn(python(SLEEP)).pid)
    process = second.spawn(python(SLEEP))
    assert parent_of(process.pid) == parent
    first.end_all()
    assert is_running(parent)
    assert is_running(process.pid)
    second.end_all()
    eventually(lambda: not is_running(parent), "the reaper is gone")
    assert list(private.iterdir()) == []


def test_nothing_of_it_stays() -> None:
    def here() -> tuple[set[str], set[threading.Thread]]:
        return set(os.listdir("/proc/self/fd")), set(threading.enumerate())  # noqa: PTH208 - names are all we need

    before = here()
    for _ in range(3):
        reaper = reaper_of_this_process()
        reaper.hold()
        reaper.watch(os.getppid())
        processes = Processes()
        for _ in range(3):
            processes.spawn(python("pass"))
        with pytest.raises(OSError, match="No such file"):
            processes.spawn(["/no/such/program"])
        processes.end_all()
        reaper.release()
    assert here() == before


def test_it_survives_what_is_meant_for_pytest(reaper: Reaper) -> None:
    processes = Processes()
    process = processes.spawn(python(SLEEP))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(parent_of(process.pid), number)
    with pytest.raises(TimeoutError):
        process.wait(0.1)
    processes.end_all()
    assert processes.failure == ""


def test_one_that_is_killed_takes_everything_with_it_and_says_so(reaper: Reaper) -> None:
    processes, others = Processes(), Processes()
    process = processes.spawn(python(f"{AWAY}print(away(cleared=False), flush=True)\ntime.sleep(60)"))
    other = others.spawn(python(SLEEP))
    grandchild = int(process.stdout.readline())
    os.kill(parent_of(process.pid), signal.SIGKILL)
    with pytest.raises(
        FaultFailed, match="the reaper, the parent of all fault processes, was killed"
    ) as failed:
        process.wait(10)
    assert failed.value.kind == "reaper_killed"
    eventually(lambda: not is_running(process.pid), "the child of a killed reaper is gone")
    processes.end_all()
    assert not is_running(grandchild)
    assert not is_running(other.pid)
    others.end_all()
    for one in (processes, others):
        assert "the reaper, the parent of all fault processes, was killed" in one.failure
    assert any(f"process {grandchild}" in line and "was ended" in line for line in reaper.found)


def test_after_one_that_was_killed_another_one_is_started(reaper: Reaper, private: Path) -> None:
    processes = Processes()
    parent = parent_of(processes.spawn(python(SLEEP)).pid)
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not is_running(parent), "the reaper is gone")
    process = processes.spawn(python("print('here')"))
    assert process.stdout.read() == b"here\n"
    assert parent_of(process.pid) != parent
    assert len(list(private.iterdir())) == 1
    processes.end_all()


def test_the_end_of_another_watched_process_ends_everything(reaper: Reaper) -> None:
    with subprocess.Popen(python(SLEEP)) as watched:
        reaper.watch(watched.pid)
        processes = Processes()
        process = processes.spawn(python(SLEEP))
        watched.kill()
        eventually(lambda: not is_running(process.pid), "the process is gone", within_s=1)
    with pytest.raises(Cancelled, match="the process that this one works for has ended"):
        processes.spawn(python(SLEEP))
    processes.end_all()


OWNER = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
{before}
from pytest_chaos.engine.processes import Processes
processes = Processes()
print(processes.spawn([sys.executable, "-IS", "-c", {script!r}]).stdout.readline().decode(), end="", flush=True)
{after}
"""
ROOT = str(Path(client.__file__).parents[3])
FORK = "if os.fork() == 0:\n    print(os.getpid(), flush=True)\n    time.sleep(60)\n    os._exit(0)\ntime.sleep(60)"
DEATHS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit": "os._exit(3)",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "plain end": "",
}


@pytest.mark.parametrize("death", DEATHS)
def test_it_outlives_its_owner_for_a_moment_only(death: str, private: Path) -> None:
    script = f"{AWAY}print(os.getppid(), os.getpid(), away(cleared=True), flush=True)\ntime.sleep(60)"
    source = OWNER.format(before="", script=script, after=DEATHS[death])
    told = subprocess.run(
        [sys.executable, "-c", source, ROOT], capture_output=True, text=True, timeout=30, check=False
    )
    pids = list(map(int, told.stdout.split()))
    assert len(pids) == 3, told.stderr
    eventually(lambda: not any(map(is_running, pids)), "all are gone", within_s=1)
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("before", ["", "del os.pidfd_open"], ids=["descriptors", "numbers"])
def test_a_fork_of_its_owner_does_not_keep_it(before: str) -> None:
    script = f"{AWAY}print(os.getppid(), os.getpid(), flush=True)\ntime.sleep(60)"
    source = OWNER.format(before=before, script=script, after=FORK)
    with subprocess.Popen([sys.executable, "-c", source, ROOT], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = list(map(int, owner.stdout.readline().split()))
        fork = int(owner.stdout.readline())
        try:
            owner.kill()
            owner.wait()
            eventually(lambda: not any(map(is_running, pids)), "all are gone", within_s=1)
            assert len(pids) == 2
            assert is_running(fork)
        finally:
            os.kill(fork, signal.SIGKILL)


def test_a_fork_that_disrupts_has_a_reaper_of_its_own(reaper: Reaper) -> None:
    """As under pytest-forked: each test runs, with its disruption, in a fork."""
    processes = Processes()
    process = processes.spawn(python(SLEEP))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for _ in range(2):
                reaper.release()
            theirs = Processes().spawn(python(SLEEP))
            os.write(writing, f"{parent_of(theirs.pid)} {theirs.pid}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as told:
        their_parent, their_process = map(int, told.read().split())
    assert their_parent != parent_of(process.pid)
    eventually(lambda: not is_running(their_process), "what the fork started is gone", within_s=1)
    with pytest.raises(TimeoutError):
        process.wait(0.1)
    processes.end_all()


def test_what_a_fork_disrupts_ends_with_the_run_that_forked_it(reaper: Reaper) -> None:
    """The run is killed while the test in its fork goes on."""
    reading, writing = os.pipe()
    run = os.fork()
    if run == 0:
        try:
            fork = os.fork()
            if fork == 0:
                theirs = Processes().spawn(python(SLEEP))
                os.write(writing, f"{os.getpid()} {theirs.pid}\n".encode())
            signal.pause()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        fork, process = map(int, told.readline().split())
    try:
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        eventually(lambda: not is_running(process), "what the fork started is gone", within_s=1)
        assert is_running(fork)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_a_process_without_a_leash_is_ended(reaper: Reaper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may forbid sockets, also when the reaper runs already."""
    processes = Processes()
    program = parent_of(processes.spawn(python(SLEEP)).pid)
    known = family.children_of(program)
    opened = len(list(Path("/proc/self/fd").iterdir()))

    def refuse(*_: object, **__: object) -> socket.socket:
        raise RuntimeError("no sockets here")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", refuse)
        with pytest.raises(RuntimeError, match="no sockets here"):
            processes.spawn(python(SLEEP))
    eventually(lambda: family.children_of(program) == known, "what had no leash is gone", within_s=1)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    processes.end_all()


def test_tests_may_replace_what_starts_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Popen", "run", "call"):
        monkeypatch.setattr(subprocess, name, None)
    processes = Processes()
    assert processes.spawn(python("print('here')")).stdout.read() == b"here\n"
    processes.end_all()


def test_one_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, private: Path) -> None:
    processes = Processes()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(FaultFailed, match="/bin/false ended with 1") as failed:
        processes.spawn(python(SLEEP))
    assert failed.value.kind == "no_reaper"
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FaultFailed, match="No such file"):
        processes.spawn(python(SLEEP))
    assert list(private.iterdir()) == []
    processes.end_all()


def test_one_that_cannot_work_is_told(
    reaper: Reaper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import sys; sys.exit(0)")
    monkeypatch.setattr(client, "_PROGRAM", str(tmp_path / "broken.py"))
    processes = Processes()
    with pytest.raises(FaultFailed, match="was killed"):
        processes.spawn(python(SLEEP))
    processes.end_all()


def test_an_interrupted_request_leaves_no_answer_for_the_next_one(
    reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes()
    first = processes.spawn(python(SLEEP))
    receive: Callable[..., object] = wire.receive

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wire, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        processes.spawn(python("print('first')"))
    monkeypatch.setattr(wire, "receive", receive)
    assert not is_running(first.pid)
    assert processes.spawn(python("print('second')")).stdout.read() == b"second\n"
    processes.end_all()


MANY = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("system", ["waitid", "no waitid"])
def test_the_end_of_a_child_is_told_once_and_noted_last(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS Python had no ``waitid`` before 3.13."""
    if system == "no waitid":
        monkeypatch.delattr(os, "waitid")
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(python(SLEEP))
    child = Child(process.pid, b"", theirs)
    child.tell()
    child.signal(os.kill, signal.SIGTERM)
    child.tell(wait=True)
    child.tell()
    child.close(0)
    told = [ours.recv(8), ours.recv(8), ours.recv(8)]
    ours.close()
    assert [int.from_bytes(one, "little", signed=True) for one in told] == [-signal.SIGTERM, 0, 0]
    assert told[-1] == b""
    assert process.wait() == 0  # it was waited for already
    child.signal(os.kill, signal.SIGKILL)


@pytest.mark.parametrize("flag", [True, False], ids=["flag", "no flag"])
def test_descriptors_that_are_received_are_not_handed_on(flag: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not flag:
        monkeypatch.setattr(wire, "_CLOSE_ON_EXEC", 0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(theirs, {"a": [b"b", None, 1]}, [0, 1])
        message, descriptors = wire.receive(ours, 2)
        assert message == {"a": [b"b", None, 1]}
        assert [os.get_inheritable(one) for one in descriptors] == [False, False]
        for one in descriptors:
            os.close(one)
        theirs.send(b"\x05\0\0\0cut")
        theirs.close()
        with pytest.raises(EOFError):
            wire.receive(ours)


def test_ending_is_quick_even_if_much_is_left(reaper: Reaper) -> None:
    processes = Processes()
    process = processes.spawn(python(MANY))
    for _ in range(32):
        assert process.stdout.readline() == b"up\n"
    began = time.monotonic()
    processes.end_all()
    assert processes.failure == ""
    assert time.monotonic() - began < 1
