"""The reaper itself: one loop that starts, signals and ends processes, and watches those for whom it works."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NoReturn

from pytest_chaos.engine.reaper import family, wire
from pytest_chaos.engine.reaper.family import Seen
from pytest_chaos.engine.reaper.starting import adopt_orphans, settle_signals, start

_END_S = 0.8
_LOOK_MS = 100


class Child:
    """A process that was asked for.

    Its end is noted last of all: until then its number stays its own, and that of its session.
    """

    def __init__(self, pid: int, mark: bytes, leash: socket.socket) -> None:
        self.pid = pid
        self.mark = mark
        self.leash = leash
        self._told = False
        self._noted = False

    def signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        """Signal it, or its group."""
        if not self._noted:
            with suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def tell(self, *, wait: bool = False) -> None:
        """Tell the exit status (negative: ended by that signal), once, as soon as there is one; or wait for it."""
        if self._told:
            return
        options = 0 if wait else os.WNOHANG
        if hasattr(os, "waitid"):
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | options)
            if ended is None:
                return
            status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        else:  # macOS before Python 3.13: who asks has noted it
            pid, raw = os.waitpid(self.pid, options)
            if not pid:
                return
            self._noted = True
            status = os.waitstatus_to_exitcode(raw)
        self._told = True
        self.say(status)

    def close(self, left: int) -> None:
        """Note its end, and tell how many could not be ended; if it is one of them, it counts as killed."""
        self.tell(wait=not left)
        if not self._told:
            self.say(-signal.SIGKILL)
        if not self._noted:
            os.waitpid(self.pid, os.WNOHANG)
        self.say(left)
        self.leash.close()

    def say(self, number: int) -> None:
        """Put a number on the leash."""
        with suppress(OSError):  # whoever asked for it may be gone
            self.leash.send(number.to_bytes(8, "little", signed=True))


class Program:
    """Serve one pytest process until it ends, or whoever else is watched.

    A leash is a socket for one process. Its other end sends ``i`` to interrupt it, ``k`` to kill it and all
    that descends from it; closing it does the same and ends the matter. What comes back are eight bytes of
    exit status, then the number of those who could not be ended, then the end.
    """

    def __init__(self, path: str, control: int, ledger: int, *watched: int) -> None:
        for descriptor in (control, ledger, *(one for one in watched if one > 0)):
            os.set_inheritable(descriptor, False)
        self._path = path
        self._control = socket.socket(fileno=control)
        self._ledger = ledger
        self._header = os.fstat(ledger).st_size
        self._children: list[Child] = []
        self._poll = select.poll()
        self._called: dict[int, Callable[[], None]] = {}
        self._on(control, self._serve)
        for one in watched:
            if one > 0:
                self._on(one, self._leave)
        # Where there are no descriptors for processes, their numbers are given, as negative ones.
        self._numbers = [-one for one in watched if one < 0]

    def run(self) -> NoReturn:
        """Serve. Whatever happens here, nothing is left behind."""
        try:
            self._loop()
        finally:
            self._leave()

    def _loop(self) -> NoReturn:
        adopt_orphans()
        settle_signals()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._on(reading, lambda: self._look(reading))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        while True:
            for descriptor, _ in self._poll.poll(_LOOK_MS if self._numbers else None):
                self._called.get(descriptor, _nothing)()
            if not all(map(family.exists, self._numbers)):
                self._leave()

    def _on(self, descriptor: int, call: Callable[[], None]) -> None:
        self._called[descriptor] = call
        self._poll.register(descriptor, select.POLLIN)

    def _serve(self) -> None:
        try:
            (argv, env, folder, digest), _ = wire.receive(self._control)
        except (EOFError, OSError):
            self._leave()
        try:
            started = start(argv, env, folder, lambda pid: self._write_down(pid, digest))
        except OSError as error:
            wire.send(self._control, (0, (error.errno, error.strerror, os.fsencode(error.filename or b""))))
            return
        leash, theirs = socket.socketpair()
        leash.setblocking(False)
        mark = family.MARK.encode()
        child = Child(started.pid, mark + b"=" + env[mark] + b"\0", leash)
        self._children.append(child)
        self._on(leash.fileno(), lambda: self._obey(child))
        wire.send(self._control, (child.pid, None), [started.stdout, started.stderr, theirs.fileno()])
        theirs.close()
        os.close(started.stdout)
        os.close(started.stderr)

    def _write_down(self, pid: int, digest: str) -> None:
        seen = family.see(pid)
        start = seen.start if seen else 0
        os.write(self._ledger, b'{"pid": %d, "start": %d, "argv": "%s"}\n' % (pid, start, digest.encode()))
        os.fsync(self._ledger)

    def _look(self, wakeups: int) -> None:
        """See who has ended."""
        with suppress(BlockingIOError):
            os.read(wakeups, 4096)
        for child in self._children:
            child.tell()
        self._orphans()

    def _obey(self, child: Child) -> None:
        try:
            orders = child.leash.recv(64)
        except BlockingIOError:
            return
        except OSError:
            orders = b""
        if b"i" in orders:
            child.signal(os.kill, signal.SIGINT)
        if b"k" in orders:
            self._kill([child])
        if not orders:
            self._end(child)

    def _kill(self, children: Collection[Child]) -> set[Seen]:
        """Kill them and all that descends from them; return who could not be killed."""
        if not family.HAS_PROC:
            for child in children:
                child.signal(os.killpg, signal.SIGKILL)
        left = family.end(lambda: self._family(children), within_s=_END_S)
        for child in children:
            child.tell()
        return left

    def _end(self, child: Child) -> None:
        left = self._kill([child])
        self._children.remove(child)
        if not self._children and not left:
            os.ftruncate(self._ledger, self._header)
        self._poll.unregister(child.leash)
        del self._called[child.leash.fileno()]
        child.close(len(left))

    def _family(self, children: Collection[Child]) -> set[Seen]:
        """Return who of ``children`` and of their descendants is alive.

        Orphans are told by their session and their environment. Those who have changed both belong to
        whoever is the last.
        """
        last = len(children) == len(self._children)
        orphans = {pid for pid in self._orphans() if last or _descends(pid, children)}
        seen = [family.see(pid) for pid in {child.pid for child in children} | orphans]
        return family.with_descendants(one for one in seen if one is not None)

    def _orphans(self) -> set[int]:
        """Return the orphans that we have adopted; take note of the end of those that have ended."""
        found = family.children_of(os.getpid()) - {child.pid for child in self._children}
        for pid in found:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return found

    def _leave(self) -> NoReturn:
        """End everything, and ourselves. What could not be ended stays in the ledger."""
        try:
            if not self._kill(self._children):
                os.unlink(self._path)
        finally:
            os._exit(0)


def _descends(pid: int, children: Collection[Child]) -> bool:
    stat = family.stat_of(pid)
    session = None if stat is None else stat.session
    return any(session == child.pid or family.carries(pid, child.mark) for child in children)


def _nothing() -> None:
    pass
