"""Start processes that are certain to be ended: each in its own session, killed as a group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

from pytest_chaos.errors import Cancelled

_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT")


class OwnedProcess:
    """A child in a session of its own. Its standard input is empty, its outputs are pipes."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._popen = subprocess.Popen(  # noqa: S603 - a fault's own command line, built by code; no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, **(env or {})},
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        assert self._popen.stdout is not None  # noqa: S101 - both were asked for as pipes
        assert self._popen.stderr is not None  # noqa: S101
        self.pid = self._popen.pid
        self.stdout: IO[bytes] = self._popen.stdout
        self.stderr: IO[bytes] = self._popen.stderr
        self._lock = threading.Lock()
        self._reaped = False

    def interrupt(self) -> None:
        """Send one SIGINT to the process alone."""
        self._signal(os.kill, signal.SIGINT)

    def kill(self) -> None:
        """Kill the whole group."""
        self._signal(os.killpg, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status (negative: ended by that signal). What it left in its group lives on.

        Raises:
            TimeoutError: it is still running.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.001
        while (status := self._status()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"process {self.pid} is still running")
            time.sleep(pause)
            pause = min(0.02, 2 * pause)
        return status

    def end(self) -> None:
        """Kill the group, and only then take note of the end: from then on its number may be somebody else's."""
        self.kill()
        with self._lock, contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(2)
            self._reaped = True

    def _status(self) -> int | None:
        """Return the exit status without taking note of the end; None while it runs."""
        with self._lock:
            if self._reaped:
                return self._popen.returncode
            if not hasattr(
                os, "waitid"
            ):  # macOS before Python 3.13: its number is free once its end is known
                self._reaped = self._popen.poll() is not None
                return self._popen.returncode
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        with self._lock:
            if not self._reaped:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    send(self.pid, number)


class Processes:
    """The processes of one disruption. Once ended, it starts no more."""

    def __init__(self) -> None:
        self._all: list[OwnedProcess] = []
        self._lock = threading.Lock()
        self._closed = False

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> OwnedProcess:
        """Start ``argv``. Raises ``OSError`` if it cannot be started, ``Cancelled`` after ``end_all``."""
        with self._lock:
            if self._closed:
                raise Cancelled("the disruption is over; no process is started any more")
            process = OwnedProcess(argv, env)
            self._all.append(process)
            return process

    def end_all(self) -> None:
        """Kill whatever is left, and refuse to start more."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.end()
