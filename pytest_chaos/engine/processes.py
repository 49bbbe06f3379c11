"""Start processes that are certain to be ended: each in its own session, killed as a group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
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
        self._killed = False

    def interrupt(self) -> None:
        """Send one SIGINT to the process alone."""
        self._popen.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the whole group, once. The leader is not reaped before, so its number is still ours."""
        with self._lock:
            if not self._killed:
                self._killed = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises ``TimeoutError``."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"process {self.pid} is still running") from None


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
                process.kill()
                with contextlib.suppress(TimeoutError):
                    process.wait(2)
