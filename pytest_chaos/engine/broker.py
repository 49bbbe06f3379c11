"""The broker: one target, one disruption, on one host, across processes that know nothing of each other."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from json import dumps, loads
from os import getpid
from pathlib import Path
from typing import Any, Final, NamedTuple

from pytest_chaos import clocks
from pytest_chaos.engine.private import folder
from pytest_chaos.errors import Cancelled, ChaosError
from pytest_chaos.scrub import clean

_POLL_S: Final = 0.02
_TELL_AFTER_S: Final = 5.0
_OUT_OF_ORDER_S: Final = 5.0


class _Deadline(NamedTuple):
    """A moment of ``clocks.monotonic()``, and in words how it came about."""

    at: float
    words: str


class LockTimeout(ChaosError):
    """A target was not free in time."""


class Lock:
    """A lock that is held. It is a lock of the kernel's, so it is free as soon as its process is gone."""

    def __init__(self, key: str, path: Path, descriptor: int, *, shared: bool = False) -> None:
        self.key = key
        self._path = path
        self._descriptor = descriptor
        self._shared = shared
        self._id = f"{getpid()}.{clocks.monotonic()}"
        _held.add(self)

    def say(self, who: str) -> None:
        """Note in the file who holds it, as a courtesy to those who wait: a full disk is no reason to fail."""
        if not self._shared:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        self._note({"key": self.key, "process": getpid(), "who": who, "since": clocks.wall()})

    def _note(self, about: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            os.write(self._descriptor, dumps({**about, "id": self._id}).encode() + b"\n")

    def release(self) -> None:
        """Let it go. Its file is removed by whoever holds it alone, so that files do not pile up."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if self._shared:
                self._note({"left": True})
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(
                self._descriptor
            ).st_nlink:  # else somebody was faster, and the name is somebody else's
                self._path.unlink()
        self.forget()

    def forget(self) -> None:
        """Close the descriptor. In a process that was forked this leaves the lock with the parent, whose it is."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


# A fork of a test must not keep the locks of its parent, which may die first.
os.register_at_fork(after_in_child=_forget_all)


class Broker:
    """Take locks by name, in an order that everybody keeps, and say who holds one that is waited for."""

    def __init__(self, *, timeout_s: float, tell: Callable[[str], None]) -> None:
        self._timeout_s = timeout_s
        self._tell = tell
        self._swept = False
        self._waiting: list[tuple[str, Path]] = []

    def waiting(self) -> list[str]:
        """Return in words what is waited for right now, and who holds it."""
        return [f"waits for {key}: {_holder(path)}" for key, path in tuple(self._waiting)]

    def take(
        self,
        keys: Iterable[str],
        *,
        who: str,
        shared: bool = False,
        holding: Iterable[str] = (),
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Lock]:
        """Take all ``keys``, or none. ``shared`` locks go together with each other, not with one that is held alone.

        Everybody takes locks in the order of their keys. What comes before something in ``holding`` is out of order:
        two who do so may wait for each other, so it is not waited for long.

        Raises:
            LockTimeout: one was not free within the time that the settings allow for all of them.
            Cancelled: nobody wants them any more.
        """
        wanted = sorted(set(keys))
        if not wanted:
            return []
        directory = folder("locks")
        patience_s, why = self._timeout_s, "chaos_lock_timeout"
        if wanted[0] < max(holding, default="") and patience_s > _OUT_OF_ORDER_S:
            patience_s = _OUT_OF_ORDER_S
            why = "the test holds other locks, and two such tests could wait for each other: name all with lock=[...] on its mark"
        deadline = _Deadline(clocks.monotonic() + patience_s, f"within {patience_s:g} s ({why})")
        taken: list[Lock] = []
        try:
            if not self._swept:
                _sweep(directory)
                self._swept = True
            for key in wanted:
                path = directory / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
                taken.append(self._take(key, path, who, shared, deadline, cancelled))
        except BaseException as error:
            for lock in taken:
                lock.release()
            if isinstance(error, OSError):
                raise ChaosError(f"the locks in {directory} cannot be used: {error}") from None
            raise
        return taken

    def _take(
        self, key: str, path: Path, who: str, shared: bool, deadline: _Deadline, cancelled: Callable[[], bool]
    ) -> Lock:
        """Queue up first: else those who share a lock could keep out for ever whoever wants it alone."""
        tell_at = clocks.monotonic() + _TELL_AFTER_S
        queue = path.with_suffix(".next")
        turn: Lock | None = None
        lock = None if queue.exists() else _try(key, path, shared=shared)
        waited = (key, path)
        self._waiting.append(waited)
        try:
            while lock is None:
                turn = turn or _try(key, queue)
                if turn is not None and (lock := _try(key, path, shared=shared)) is not None:
                    break
                now = clocks.monotonic()
                if cancelled():
                    raise Cancelled("asked to stop while waiting for a lock")
                if now >= deadline.at:
                    raise LockTimeout(
                        f"{key} was not free {deadline.words}: {_holder(path)}; "
                        "if both may be disrupted at once, say shared=True on the mark"
                    )
                if now >= tell_at:
                    tell_at = now + 12 * _TELL_AFTER_S
                    self._tell(f"chaos: {who} waits for {key}: {_holder(path)}")
                clocks.sleep(_POLL_S)
        finally:
            self._waiting.remove(waited)
            if turn is not None:
                turn.release()
        lock.say(who)
        return lock


def _try(key: str, path: Path, *, shared: bool = False, create: bool = True) -> Lock | None:
    """Return the lock; None if it is held by somebody else."""
    while True:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return Lock(key, path, descriptor, shared=shared)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has just removed the file: this lock is nobody's


def _sweep(directory: Path) -> None:
    """Remove what killed processes have left behind: the files of locks that nobody holds."""
    for path in list(directory.iterdir()):
        with contextlib.suppress(OSError):
            if (lock := _try("", path, create=False)) is not None:
                lock.release()


def _holder(path: Path) -> str:
    """Return in words who says to hold the lock."""
    held: dict[str, str] = {}
    with contextlib.suppress(
        OSError, ValueError, LookupError, TypeError, AttributeError
    ):  # it is just being written
        for line in path.read_text(encoding="utf-8").splitlines():
            about: dict[str, Any] = loads(line)
            if about.get("left") or not _is_alive(about["process"]):
                held.pop(about["id"], None)
            else:
                told = f"{clean(about['who'], 200)} (process {about['process']}) for {clocks.wall() - about['since']:.0f} s"
                held[about["id"]] = told
    return f"held by {' and by '.join(held.values()) or 'somebody who does not say more'}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
