"""Start processes that are certain to be ended: the reaper is their parent, and ends them with all they have started."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from os import getpid
from threading import Lock
from typing import IO, Final

from pytest_chaos.engine.reaper.client import Reaper, Spawned, killed, reaper_of_this_process
from pytest_chaos.errors import Cancelled

_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT")
_END_S: Final = 2.0
_NUMBER: Final = 8
"""The bytes of a number on the leash: first the exit status, then how many could not be ended."""


class OwnedProcess:
    """A process in a session of its own. Its standard input is empty, its outputs are pipes.

    What is said of it comes on its leash and is left there to be read again: a thread that was interrupted
    while it read has lost nothing.
    """

    def __init__(self, spawned: Spawned) -> None:
        self.pid = spawned.pid
        self.stdout: IO[bytes] = os.fdopen(spawned.stdout, "rb")
        self.stderr: IO[bytes] = os.fdopen(spawned.stderr, "rb")
        self._owner = getpid()
        self._leash = spawned.leash
        self._lost = spawned.lost
        self._lock = Lock()
        self._said: bytes | None = None

    def interrupt(self) -> None:
        """Send one SIGINT to the process alone."""
        self._tell(lambda leash: leash.send(b"i"))

    def kill(self) -> None:
        """Kill the process and everything that it has started."""
        self._tell(lambda leash: leash.send(b"k"))

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status (negative: ended by that signal). What it has started lives on.

        Raises:
            TimeoutError: it is still running.
            FaultFailed: the reaper was killed, and the process with it.
        """
        said = self._listen(select.POLLIN, timeout)
        if said is None:
            raise TimeoutError(f"process {self.pid} is still running")
        if len(said) < _NUMBER:
            raise killed()
        return int.from_bytes(said[:_NUMBER], "little", signed=True)

    def leave(self) -> None:
        """Ask for its end, and for that of everything that it has started, without waiting."""
        # Not only closed: a fork of this process has a copy.
        self._tell(lambda leash: leash.shutdown(socket.SHUT_WR))

    def end(self) -> str:
        """End it with everything that it has started; return what went wrong with that, if anything did."""
        self.leave()
        said = self._listen(0, _END_S)
        if said is None:
            return f"process {self.pid} could not be ended within {_END_S:g} s"
        with self._lock:
            if self._said is None:
                self._said = said
                self._leash.close()
        failure = ""
        if len(said) < 2 * _NUMBER:
            self._lost()
            failure = str(killed())
        elif left := int.from_bytes(said[_NUMBER:], "little"):
            return f"{left} of process {self.pid} and those that it has started could not be ended"
        self.stdout.close()  # nobody is left to write, so no reader can hold it for long
        self.stderr.close()
        return failure

    def _tell(self, order: Callable[[socket.socket], object]) -> None:
        """Give an order, unless it is over. A fork of the process that owns it has no say."""
        if getpid() != self._owner:
            return
        with self._lock, contextlib.suppress(OSError):
            if self._said is None:
                order(self._leash)

    def _listen(self, event: int, timeout: float | None) -> bytes | None:
        """Return what was said once there is something (``POLLIN``), or all of it once there will be no more (0)."""
        with self._lock:
            if self._said is not None:
                return self._said
            leash = self._leash.dup()  # or it might be closed, and its number given out again, while we wait
        with leash:
            poll = select.poll()
            poll.register(leash, event)
            if not poll.poll(None if timeout is None else 1000 * max(0.0, timeout)):
                return None
            try:
                return leash.recv(2 * _NUMBER, socket.MSG_PEEK)
            except ConnectionResetError:  # said once, of an end that did not read our last order
                return leash.recv(2 * _NUMBER, socket.MSG_PEEK)


class Processes:
    """The processes of one disruption. Once ended, it starts no more.

    Attributes:
        failure: what went wrong with ending them, if anything did.
    """

    def __init__(self) -> None:
        self.failure = ""
        self._all: list[OwnedProcess] = []
        self._lock = Lock()
        self._closed = False
        self._owner = getpid()
        self._reaper: Reaper | None = None

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> OwnedProcess:
        """Start ``argv``.

        Raises:
            OSError: it cannot be started.
            ChaosError: the reaper cannot run, or was killed.
            Cancelled: it is after ``end_all``.
        """
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with self._lock:
            if self._closed:
                raise Cancelled("the disruption is over; no process is started any more")
            if self._reaper is None:
                self._reaper = reaper_of_this_process()
                self._reaper.hold()
            process = OwnedProcess(self._reaper.spawn(argv, {**kept, **(env or {})}))
            self._all.append(process)
            return process

    def end_all(self) -> None:
        """End whatever is left, and refuse to start more. In a fork of the process that started them it does nothing."""
        if getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            for process in self._all:
                process.leave()
            for process in self._all:
                self.failure = process.end() or self.failure
            reaper, self._reaper = self._reaper, None
        if reaper is not None:
            reaper.release()
