"""What code leaves behind, and what it touches: threads, processes and loggers; files, sockets and processes."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from os import getpid
from pathlib import Path
from typing import Any, Final

from pytest_chaos import clocks
from pytest_chaos.scrub import shown

_PROC: Final = Path("/proc")
_PS: Final = ("ps", "-A", "-o", "pid=,ppid=,stat=,comm=")
_POLL_S: Final = 0.01
# The beginnings of Python's audit events for what a plan must not do. A look at whether a file exists has no event.
_TOUCHING: Final = (
    *("open", "os.", "shutil.", "tempfile.", "subprocess.", "pty.", "sqlite3.connect"),
    *("socket.", "urllib.", "http.client.", "ftplib.", "smtplib."),
)


def _loggers() -> dict[str, tuple[Any, ...]]:
    """Return what can be changed of every logger."""
    known = {"root": logging.root, **logging.root.manager.loggerDict}
    return {
        name: (one.level, one.disabled, one.propagate, [*one.handlers], [*one.filters])
        for name, one in known.items()
        if isinstance(one, logging.Logger)
    }


_NEW_LOGGER: Final[tuple[Any, ...]] = (logging.NOTSET, False, True, [], [])


def _processes() -> Iterator[tuple[int, int, str, str]]:
    """Yield number, parent, state and name of every process."""
    if not (_PROC / "self" / "stat").exists():
        ps = subprocess.Popen(_PS, stdout=subprocess.PIPE, text=True)  # noqa: S603 - no shell, nobody's input
        for line in ps.communicate()[0].splitlines():
            pid, parent, state, name = line.split(None, 3)
            if int(pid) != ps.pid:
                yield int(pid), int(parent), state, name
        return
    for path in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone by now
            text = path.read_text(encoding="utf-8", errors="replace")
            name, _, rest = text.partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            yield int(path.parent.name), int(parent), state, name


def _children() -> dict[int, str]:
    """Return the names of this process's running children by their number; one that only was not waited for has ended."""
    return {
        pid: name for pid, parent, state, name in _processes() if parent == getpid() and state[0] not in "ZX"
    }


@dataclass(frozen=True, slots=True)
class Traces:
    """What is there at one moment of all that can be left behind."""

    threads: list[threading.Thread] = field(default_factory=threading.enumerate)
    children: Mapping[int, str] = field(default_factory=_children)
    loggers: Mapping[str, tuple[Any, ...]] = field(default_factory=_loggers)

    def left(self, until: float) -> list[str]:
        """Return in words what has come since and is still there at ``until`` of ``clocks.monotonic()``."""
        while (found := [*self._new()]) and clocks.monotonic() < until:
            clocks.sleep(_POLL_S)
        return found

    def _new(self) -> Iterator[str]:
        for thread in threading.enumerate():
            if thread not in self.threads:
                yield f"the thread {thread.name!r}"
        for pid, name in _children().items():
            if pid not in self.children:
                yield f"the process {pid} ({name})"
        for name, now in _loggers().items():
            if now != self.loggers.get(name, _NEW_LOGGER):
                yield f"a change of the logger {name!r}"


_here = threading.local()


def _audit(event: str, args: tuple[object, ...]) -> None:
    """Note ``event`` if this thread is being watched. It can never be removed, so otherwise it must do nothing."""
    seen: list[str] | None = getattr(_here, "seen", None)
    if seen is not None and event.startswith(_TOUCHING) and not _importing():
        seen.append(" ".join((event, *map(shown, args[:1]))))


def _importing() -> bool:
    """Tell whether the caller is an import, which reads files for its own sake."""
    frame = sys._getframe()
    while (caller := frame.f_back) is not None:
        if caller.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = caller
    return False


@cache
def _install() -> None:
    sys.addaudithook(_audit)


@contextmanager
def touched() -> Iterator[list[str]]:
    """Yield a list of what this thread touches inside the block: files, sockets, processes."""
    _install()
    seen: list[str] = []
    _here.seen = seen
    try:
        yield seen
    finally:
        _here.seen = None
