"""The ledger: what a reaper runs, on disk, so that the next session can end what a killed reaper has left.

One file for each reaper, in a directory that is the user's alone. It is locked as long as its reaper lives.
A line says that a process is about to run: its number, its start, a digest of its command line, never that
line itself. The processes carry the file's name in their environment.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from json import dumps, loads
from os import getpid
from typing import Any, NamedTuple

from pytest_chaos import clocks
from pytest_chaos.engine.reaper import family
from pytest_chaos.engine.reaper.family import MARK, Seen

_END_S = 5.0
_PAUSE_S = 0.002


class Left(NamedTuple):
    """A process that outlived its reaper, and the state in which it withstands its end (``D``, say); none if it was ended."""

    pid: int
    program: str
    state: str


def create(directory: str) -> tuple[str, int]:
    """Make a new ledger; return its path, and a descriptor that holds its lock, like every copy of it."""
    while True:
        path = os.path.join(directory, os.urandom(16).hex())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else somebody took it for a left one before it was locked
            os.write(descriptor, dumps(_here()).encode() + b"\n")
            return path, descriptor
        os.close(descriptor)


def left_in(directory: str) -> Iterator[Left]:
    """End what reapers that are dead have left, remove their ledgers, and yield what there was."""
    for name in os.listdir(directory):
        yield from settle(os.path.join(directory, name))


def settle(path: str, *, within_s: float = 0.0) -> list[Left]:
    """Do so for one ledger, if it gets its lock within ``within_s`` seconds: as long as its reaper lives it does not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _locked(descriptor, clocks.monotonic() + within_s):
            return []
        if not os.fstat(descriptor).st_nlink:  # somebody else has just settled it
            return []
        with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as file:
            header, *entries = [_parsed(line) for line in file] or [{}]
        left = _end_all(os.path.basename(path), entries) if header == _here() else []
        if not any(one.state for one in left):  # else it is looked at again
            with suppress(OSError):
                os.unlink(path)
        return left
    finally:
        os.close(descriptor)


def _locked(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clocks.monotonic() >= deadline:
                return False
            clocks.sleep(_PAUSE_S)
        else:
            return True


def _end_all(name: str, entries: list[dict[str, Any]]) -> list[Left]:
    """End the processes of the ledger ``name``: those it lists, those that carry its name, and their descendants."""
    mark = f"{MARK}={name}.".encode()
    listed = {Seen(one["pid"], one["start"]) for one in entries if one.keys() >= {"pid", "start"}}

    def still_there() -> set[Seen]:
        carriers = {family.see(pid) for pid in family.all_pids() if family.carries(pid, mark)}
        ours = {one for one in listed if family.lives(one)} | {one for one in carriers if one}
        return {one for one in family.with_descendants(ours) if one.pid != getpid()}

    programs = {one: family.program_of(one.pid) for one in still_there()}
    unended = family.end(still_there, within_s=_END_S)
    states = {one: stat.state for one in filter(family.lives, unended) if (stat := family.stat_of(one.pid))}
    return [Left(one.pid, program, states.get(one, "")) for one, program in sorted(programs.items())]


def _here() -> dict[str, Any]:
    """Return what tells this boot, and this view of process numbers, from any other."""
    return {"boot": _text("/proc/sys/kernel/random/boot_id"), "pids": _link("/proc/self/ns/pid")}


def _parsed(line: str) -> dict[str, Any]:
    """Return what the line says; nothing if it was cut off by what ended the reaper."""
    try:
        value = loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
