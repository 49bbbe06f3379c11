"""This process's side of the reaper: started when first needed, gone when nobody needs it any more."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import select
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import getpid
from pathlib import Path
from subprocess import DEVNULL, Popen  # by name: tests replace them in their module
from threading import RLock
from typing import Final, NamedTuple

from pytest_chaos.engine.private import folder
from pytest_chaos.engine.reaper import family, ledger, wire
from pytest_chaos.engine.reaper.ledger import Left
from pytest_chaos.errors import Cancelled, FaultFailed

_PROGRAM: Final = str(Path(__file__).with_name("__main__.py"))
_NEEDED: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""What an interpreter may need to find its own libraries. The reaper gets nothing else of the environment."""
_LEAVES_WITHIN_S: Final = 2.0

log = logging.getLogger("pytest_chaos")


class Spawned(NamedTuple):
    """A process that the reaper started: the descriptors of its output, its leash, and whom to tell of a killed reaper."""

    pid: int
    stdout: int
    stderr: int
    leash: socket.socket
    lost: Callable[[], None]


class _Running(NamedTuple):
    """A reaper that was started."""

    control: socket.socket
    ledger: str


class Reaper:
    """The reaper of this process. It runs from the first ``spawn`` until nobody holds it any more.

    Attributes:
        found: what reapers that were killed have left, in sentences. It was ended as far as possible.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._owner = getpid()
        self._lock = RLock()
        self._holders = 0
        self._running: _Running | None = None
        self._watched: dict[int, int] = {}
        self._spawned = 0

    def hold(self) -> None:
        """Keep it running, once it runs, until ``release``."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Let it go. The last one to do so ends it, with all that is left. In a fork of its owner this does nothing."""
        if getpid() != self._owner:
            return
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._stop()
                self.found = []
                while self._watched:
                    _let_go(self._watched.popitem()[1])

    def watch(self, pid: int) -> None:
        """End everything when ``pid`` ends, and not only when this process does. To be called before ``spawn``."""
        with self._lock:
            if pid not in self._watched:
                self._watched[pid] = _handle(pid)

    def spawn(self, argv: Sequence[str], env: Mapping[str, str]) -> Spawned:
        """Start ``argv`` as a child of the reaper, in the directory for temporary files.

        Raises:
            OSError: it cannot be started.
            ChaosError: it cannot run, or was killed.
            Cancelled: a process that is watched beside this one has ended.
        """
        words = [os.fsencode(word) for word in argv]
        with self._lock:
            self._check_watched()
            if self._running is not None and _hung_up(self._running.control):
                self._lost(self._running)
            running = self._running or self._start()
            self._spawned += 1
            owned = {**env, family.MARK: f"{os.path.basename(running.ledger)}.{self._spawned}"}
            variables = {os.fsencode(name): os.fsencode(value) for name, value in owned.items()}
            digest = hashlib.sha256(b"\0".join(words)).hexdigest()
            try:
                wire.send(running.control, (words, variables, os.fsencode(tempfile.gettempdir()), digest))
                (pid, problem), received = wire.receive(running.control, 3)
            except (EOFError, OSError):
                self._lost(running)
                self._check_watched()
                raise killed() from None
            except BaseException:  # or its answer would be taken for that to the next request
                self._stop()
                raise
        if problem:
            number, words_for_it, name = problem
            raise OSError(number, words_for_it, os.fsdecode(name))
        try:
            stdout, stderr, leash = received
            return Spawned(pid, stdout, stderr, socket.socket(fileno=leash), partial(self._lost, running))
        except BaseException:  # sockets may be forbidden; without its leash the process is ended
            for descriptor in received:
                os.close(descriptor)
            raise

    def _lost(self, running: _Running) -> None:
        """End what a reaper that was killed has left. The next ``spawn`` starts another one."""
        with self._lock:
            if self._running is running:
                self._running = None
                running.control.close()
                self._report(ledger.settle(running.ledger, within_s=_LEAVES_WITHIN_S))

    def _check_watched(self) -> None:
        if not all(map(_lives, self._watched.values())):
            raise Cancelled("the process that this one works for has ended; no fault is started any more")

    def _start(self) -> _Running:
        ledgers = str(folder("ledgers"))
        path, written = ledger.create(ledgers)
        ours, theirs = socket.socketpair()
        own = _handle(getpid())  # opened here, where its number can only mean this process
        handles = [own, *self._watched.values()]
        passed = [theirs.fileno(), written]
        try:
            options = ["-I", "-S", *_python_options()]
            with Popen(  # noqa: S603 - this interpreter and our own file
                [sys.executable, *options, _PROGRAM, path, *map(str, [*passed, *handles])],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                pass_fds=[*passed, *(one for one in handles if one > 0)],
                start_new_session=True,
            ) as starter:
                status = starter.wait()
            problem = f"{sys.executable} ended with {status}" if status else ""
        except OSError as error:
            problem = str(error)
        finally:
            theirs.close()
            os.close(written)
            _let_go(own)
        if problem:
            ours.close()
            Path(path).unlink()
            raise FaultFailed(
                "no_reaper", f"the process that starts and ends fault processes cannot run: {problem}"
            )
        self._running = _Running(ours, path)
        self._report(ledger.left_in(ledgers))
        return self._running

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        with contextlib.suppress(OSError):  # it may be dead, or slow
            running.control.shutdown(socket.SHUT_WR)  # not only closed: a fork of this process has a copy
            running.control.settimeout(_LEAVES_WITHIN_S)
            while running.control.recv(4096):
                pass
        running.control.close()

    def _report(self, left: Iterable[Left]) -> None:
        for one in left:
            unended = f"is still running and cannot be ended: its state is {one.state}"
            what = unended if one.state else "was still running and was ended"
            self.found.append(f"{one.program} (process {one.pid}), left by a reaper that was killed, {what}")
            log.warning(self.found[-1])


def reaper_of_this_process() -> Reaper:
    """Return the reaper of this process. A fork has one of its own: it must never talk to that of its parent.

    One for each process, not for each pytest session, since sessions may run inside each other.
    """
    found = _REAPERS.get(getpid())
    if found is None:
        found = _REAPERS[getpid()] = Reaper()
        if len(_REAPERS) > 1:  # what is forked for a test must not outlive the run
            found.watch(os.getppid())
    return found


_REAPERS: Final[dict[int, Reaper]] = {}


def killed() -> FaultFailed:
    """Return the failure of a fault whose reaper was killed."""
    return FaultFailed(
        "reaper_killed",
        "the reaper, the parent of all fault processes, was killed, and they have ended with it. "
        "Was it killed from outside, or short of memory?",
    )


def _python_options() -> list[str]:
    """Return what keeps byte code where this interpreter keeps it; the reaper reads no environment."""
    options = ["-B"] if sys.dont_write_bytecode else []
    return [*options, "-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else options


def _hung_up(control: socket.socket) -> bool:
    poll = select.poll()
    poll.register(control, 0)
    return bool(poll.poll(0))


def _handle(pid: int) -> int:
    """Return a descriptor of the process ``pid``, or its negative number where there is no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # an old kernel, no Linux, a sandbox; or it is gone
        return -pid


def _lives(handle: int) -> bool:
    if handle < 0:
        return family.exists(-handle)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return not poll.poll(0)


def _let_go(handle: int) -> None:
    if handle > 0:
        os.close(handle)
