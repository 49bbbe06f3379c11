"""Who descends from whom, as /proc tells; and an end for a family that holds however it forks meanwhile.

Without /proc (macOS) there is nothing to be seen here, and only process groups can be ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pytest_chaos import clocks

MARK = "PYTEST_CHAOS_OWNER"
"""The environment variable of every fault process: the name of its ledger, a dot, a number."""

HAS_PROC = os.path.exists("/proc/self/stat")
_HAS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_TRIES = 3
_PAUSES_S = (0.0005, 0.01)
_ROUNDS = 10
_KERNEL_THREAD = 0x00200000
"""``PF_KTHREAD`` among the flags of a process (Linux, include/linux/sched.h). It has no environment, ever."""


class Seen(NamedTuple):
    """One process: its number, and its start in clock ticks, since numbers are given out again."""

    pid: int
    start: int


class Stat(NamedTuple):
    """What we read of a process."""

    state: str
    parent: int
    session: int
    flags: int
    start: int


def stat_of(pid: int) -> Stat | None:
    """Return what /proc says of ``pid``; None if there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    if text is None:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[6]), int(fields[19]))


def see(pid: int) -> Seen | None:
    """Return the process ``pid`` if it lives; one that only waits to be waited for does not."""
    stat = stat_of(pid)
    if stat is None or (stat.state in "ZX" and not _runs_on(pid)):
        return None
    return Seen(pid, stat.start)


def lives(one: Seen) -> bool:
    """Tell whether this very process still runs."""
    return see(one.pid) == one


def exists(pid: int) -> bool:
    """Tell whether there is a process ``pid`` that lives, as far as this can be told without /proc."""
    if HAS_PROC:
        return see(pid) is not None
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def carries(pid: int, mark: bytes) -> bool:
    """Tell whether the environment that ``pid`` was started with holds ``NAME=value`` as it begins in ``mark``."""
    for _ in range(_TRIES):
        if variables := _read(f"/proc/{pid}/environ"):
            return b"\0" + mark in b"\0" + variables
        if variables is None:  # it is gone, or somebody else's
            return False
        stat = stat_of(pid)
        if stat is None or stat.state in "ZX" or stat.flags & _KERNEL_THREAD:
            return False
        clocks.sleep(_PAUSES_S[0])  # a process that becomes another program has none for a moment
    return False


def program_of(pid: int) -> str:
    """Return the short name of the program that ``pid`` runs."""
    return (_read(f"/proc/{pid}/comm") or b"?").decode(errors="replace").strip()


def all_pids() -> Iterator[int]:
    """Yield the numbers of all processes that can be seen."""
    for name in os.listdir("/proc") if HAS_PROC else ():
        if name.isdigit():
            yield int(name)


def children_of(pid: int) -> set[int]:
    """Return the numbers of the children of ``pid``, whichever of its threads started them."""
    if not _HAS_CHILDREN:
        stats = ((other, stat_of(other)) for other in all_pids())
        return {other for other, stat in stats if stat is not None and stat.parent == pid}
    found: set[int] = set()
    for thread in _threads_of(pid):
        found.update(map(int, (_read(f"/proc/{pid}/task/{thread}/children") or b"").split()))
    return found


def with_descendants(roots: Iterable[Seen]) -> set[Seen]:
    """Return ``roots`` and all that descend from them, as far as their parents are still alive."""
    found: set[Seen] = set()
    left = list(roots)
    while left:
        one = left.pop()
        if one in found:
            continue
        found.add(one)
        below = [see(pid) for pid in children_of(one.pid) if _parent_of(pid) == one.pid]
        if lives(one):  # or its number, and so these children, may be somebody else's
            left += [child for child in below if child is not None]
    return found


def send(one: Seen, number: signal.Signals) -> None:
    """Signal this very process, or nobody."""
    try:
        descriptor = os.pidfd_open(one.pid)
    except (AttributeError, OSError):
        descriptor = None
    try:
        if not lives(one):
            return
        if descriptor is None:
            os.kill(one.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        if descriptor is not None:
            os.close(descriptor)


def end(family: Callable[[], set[Seen]], *, within_s: float) -> set[Seen]:
    """Kill all that ``family`` names, until it names nobody; return who is left after ``within_s`` seconds.

    They are frozen before anybody is killed: what is frozen cannot fork, and as long as every parent is
    alive nobody can be overlooked, not even one with a session and an environment of its own.

    Some rounds there are, however late it is: on a machine that stands still for a while a single one may
    take all of the time, and nobody has been looked at since being killed.
    """
    deadline = clocks.monotonic() + within_s
    pause, longest = _PAUSES_S
    rounds = 0
    while True:
        rounds += 1
        frozen: set[Seen] = set()
        while fresh := family() - frozen:
            for one in fresh:
                send(one, signal.SIGSTOP)
            frozen |= fresh
        for one in frozen:
            send(one, signal.SIGKILL)
        if not frozen or (rounds >= _ROUNDS and clocks.monotonic() > deadline):
            return frozen
        clocks.sleep(pause)
        pause = min(longest, 2 * pause)


def _parent_of(pid: int) -> int | None:
    stat = stat_of(pid)
    return None if stat is None else stat.parent


def _runs_on(pid: int) -> bool:
    """Tell whether threads of ``pid`` have outlived its first one, which then looks dead."""
    return len(_threads_of(pid)) > 1


def _threads_of(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
