"""Who descends from whom, and signals that reach nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator

import pytest

from pytest_chaos import clocks
from pytest_chaos.engine.reaper import family
from tests.support.processes import is_running
from tests.support.survivors import SLEEP, python
from tests.support.waiting import eventually

PARENT = f"import subprocess, sys\nwith subprocess.Popen({python(SLEEP)}) as child:\n    print(child.pid, flush=True)"


@pytest.fixture
def pair() -> Generator[tuple[int, int], None, None]:
    """Yield the numbers of a process and of its child."""
    with subprocess.Popen(python(PARENT), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        yield parent.pid, child
        for pid in (child, parent.pid):
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=[True, False], ids=["children", "no children"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for children as the kernel lists them, and again as where it does not."""
    monkeypatch.setattr(family, "_HAS_CHILDREN", request.param)


@pytest.fixture(params=[True, False], ids=["descriptors", "numbers"])
def each_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signal through descriptors of processes, and again as where there are none."""
    if not request.param:
        monkeypatch.delattr(os, "pidfd_open")


def seen(pid: int) -> family.Seen:
    found = family.see(pid)
    assert found is not None
    return found


@pytest.mark.usefixtures("each_way")
def test_descendants_are_found(pair: tuple[int, int]) -> None:
    parent, child = map(seen, pair)
    assert child.pid in family.children_of(parent.pid)
    assert family.with_descendants([parent]) == {parent, child}
    assert family.with_descendants([seen(os.getpid())]) >= {parent, child}


def test_children_of_a_number_that_was_given_out_again_are_nobody(pair: tuple[int, int]) -> None:
    parent, _ = map(seen, pair)
    earlier = parent._replace(start=parent.start - 1)
    assert family.with_descendants([earlier]) == {earlier}


@pytest.mark.usefixtures("each_kernel")
def test_a_signal_reaches_this_very_process_or_nobody() -> None:
    with subprocess.Popen(python(SLEEP)) as process:
        one = seen(process.pid)
        family.send(one._replace(start=one.start - 1), signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        family.send(one, signal.SIGTERM)
        assert process.wait(5) == -signal.SIGTERM
    family.send(one, signal.SIGKILL)


def test_one_that_only_waits_to_be_waited_for_is_no_more() -> None:
    process = subprocess.Popen(python("pass"))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert family.stat_of(process.pid) is not None
    assert family.see(process.pid) is None
    process.wait()
    assert family.see(process.pid) is None


HEADLESS = """
import ctypes, os, threading, time
threading.Thread(target=lambda: (print("up", flush=True), time.sleep(60))).start()
ctypes.CDLL(None).syscall(60, 0)  # ends this thread alone
"""


def test_one_whose_first_thread_has_ended_lives() -> None:
    with subprocess.Popen(python(HEADLESS), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        while (stat := family.stat_of(process.pid)) is not None and stat.state != "Z":
            pass
        one = seen(process.pid)
        assert family.end(lambda: {one} if family.lives(one) else set(), within_s=1) == set()
        assert process.wait(1) == -signal.SIGKILL


def test_what_cannot_be_ended_is_told() -> None:
    with subprocess.Popen(python(SLEEP)) as process:
        one = seen(process.pid)
        earlier = one._replace(start=one.start - 1)  # nothing reaches it
        assert family.end(lambda: {earlier}, within_s=0.05) == {earlier}
        process.kill()


def test_a_machine_that_stood_still_is_no_reason_to_call_anybody_left() -> None:
    """The one round that there was time for ends with the signal: nobody has seen yet what came of it."""
    rounds = 0

    def members() -> set[family.Seen]:
        nonlocal rounds
        rounds += 1
        time.sleep(0.1 if rounds == 1 else 0)
        return {one} if family.lives(one) else set()

    with subprocess.Popen(python(SLEEP)) as process:
        one = seen(process.pid)
        assert family.end(members, within_s=0.05) == set()


def test_only_who_becomes_another_program_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the kernel never have an environment; there are hundreds, and each look at them must be cheap."""
    waited: list[float] = []
    monkeypatch.setattr(clocks, "sleep", waited.append)
    kernels = [
        pid
        for pid in family.all_pids()
        if (stat := family.stat_of(pid)) and stat.flags & family._KERNEL_THREAD
    ]
    ended = subprocess.Popen(python("pass"))
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert not any(family.carries(pid, b"NAME=") for pid in [*kernels, ended.pid])
    ended.wait()
    assert not family.carries(ended.pid, b"NAME=")
    assert waited == []
    with subprocess.Popen(["/bin/sleep", "60"], env={}) as bare:  # looks just as one does for a moment
        assert not family.carries(bare.pid, b"NAME=")
        bare.kill()
    assert len(waited) > 1


def test_a_variable_is_found_by_its_whole_name_and_how_its_value_begins() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], env={"XNAME": "one.1", "NAME": "two.12"}) as process:
        told = {
            mark: family.carries(process.pid, mark)
            for mark in (b"NAME=two.", b"NAME=two.1\0", b"NAME=two.12\0", b"NAME=one")
        }
        process.kill()
    assert told == {b"NAME=two.": True, b"NAME=two.1\0": False, b"NAME=two.12\0": True, b"NAME=one": False}


def test_all_are_frozen_before_the_first_is_killed(pair: tuple[int, int]) -> None:
    """What is killed before the others are frozen leaves orphans that nothing ties to it."""
    parent, child = map(seen, pair)
    rounds: list[set[str]] = []

    def members() -> set[family.Seen]:
        if len(rounds) == 1:
            eventually(lambda: states() == {"T"}, "both are frozen")
        rounds.append(states())
        return {one for one in (parent, child) if family.lives(one)}

    def states() -> set[str]:
        return {stat.state for stat in map(family.stat_of, pair) if stat is not None}

    assert family.end(members, within_s=5) == set()
    assert rounds[1] == {"T"}
