"""The broker: one target, one disruption, on one host, across processes that know nothing of each other."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from pytest_chaos.engine.private import folder
from pytest_chaos.errors import Cancelled, ChaosError

_POLL_S: Final = 0.02
_TELL_AFTER_S: Final = 5.0


class LockTimeout(ChaosError):
    """A target was not free in time."""


class Lock:
    """A lock that is held. It is a lock of the kernel's, so it is free as soon as its process is gone."""

    def __init__(self, key: str, path: Path, descriptor: int, *, who: str, shared: bool) -> None:
        self.key = key
        self._path = path
        self._descriptor = descriptor
        self._shared = shared
        _held.add(self)
        if not shared:
            os.ftruncate(descriptor, 0)
        about = {"key": key, "process": os.getpid(), "who": who, "since": time.time()}
        os.write(descriptor, json.dumps(about).encode() + b"\n")

    def release(self) -> None:
        """Let it go. Its file is removed by whoever holds it alone, so that files do not pile up."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if self._shared:
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

    def take(
        self,
        keys: Iterable[str],
        *,
        who: str,
        shared: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Lock]:
        """Take all ``keys``, or none. ``shared`` locks go together with each other, not with one that is held alone.

        Raises:
            LockTimeout: one was not free within the time that the settings allow for all of them.
            Cancelled: nobody wants them any more.
        """
        wanted = sorted(set(keys))
        if not wanted:
            return []
        directory = folder("locks")
        deadline = time.monotonic() + self._timeout_s
        taken: list[Lock] = []
        try:
            for key in wanted:
                path = directory / hashlib.sha256(key.encode()).hexdigest()[:32]
                taken.append(self._take(key, path, who, shared, deadline, cancelled))
        except BaseException:
            for lock in taken:
                lock.release()
            raise
        return taken

    def _take(
        self, key: str, path: Path, who: str, shared: bool, deadline: float, cancelled: Callable[[], bool]
    ) -> Lock:
        tell_at = time.monotonic() + _TELL_AFTER_S
        while (descriptor := _try(path, shared)) is None:
            now = time.monotonic()
            if cancelled():
                raise Cancelled("asked to stop while waiting for a lock")
            if now >= deadline:
                raise LockTimeout(
                    f"{key} was not free within {self._timeout_s:g} s (chaos_lock_timeout): {_holder(path)}; "
                    "if both may be disrupted at once, say shared=True on the mark"
                )
            if now >= tell_at:
                tell_at = now + 12 * _TELL_AFTER_S
                self._tell(f"chaos: {who} waits for {key}: {_holder(path)}")
            time.sleep(_POLL_S)
        return Lock(key, path, descriptor, who=who, shared=shared)


def _try(path: Path, shared: bool) -> int | None:
    """Return a descriptor that holds the lock; None if it is held by somebody else."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has just removed the file: this lock is nobody's


def _holder(path: Path) -> str:
    """Return in words who says to hold the lock."""
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        return f"held by {about['who']} (process {about['process']}) for {time.time() - about['since']:.0f} s"
    except (OSError, ValueError, LookupError, TypeError):  # it was let go, or is just being written
        return "held by somebody who does not say more"
