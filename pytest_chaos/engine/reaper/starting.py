"""Start one program: fork, let the ledger be written while the child waits, and only then let it become the program."""

from __future__ import annotations

import errno
import marshal
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)

try:
    from ctypes import CDLL

    _prctl: Callable[..., int] = CDLL(None).prctl
except (ImportError, OSError, AttributeError):  # no Linux, or a Python built without ctypes

    def _prctl(*_: int) -> int:
        return -1


class Started(NamedTuple):
    """A program that runs, and our ends of its output."""

    pid: int
    stdout: int
    stderr: int


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def settle_signals() -> None:
    """Ignore what is meant to end pytest, which ends us; handle all others as a program does that was just started."""
    for name in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(name, signal.SIG_IGN if name in _IGNORED else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def start(
    argv: list[bytes], env: Mapping[bytes, bytes], folder: bytes, write_down: Callable[[int], None]
) -> Started:
    """Run ``argv`` in a session of its own, with an empty input and two pipes.

    ``write_down`` is told the number of the process before it runs anything but this module.

    Raises:
        OSError: it cannot be started.
    """
    gate, their_gate = socket.socketpair()
    stdout, their_stdout = os.pipe()
    stderr, their_stderr = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        gate.close()  # or, if the reaper died, nobody would see the gate's end
        _become(argv, env, folder, parent, their_gate, (their_stdout, their_stderr))
    their_gate.close()
    os.close(their_stdout)
    os.close(their_stderr)
    try:
        write_down(pid)
        gate.send(b"go")
        problem = gate.recv(8192)
        if problem:
            raise OSError(*marshal.loads(problem))  # noqa: S302 - from our own fork, over a private pair
    except OSError:
        gate.close()
        os.waitpid(pid, 0)
        os.close(stdout)
        os.close(stderr)
        raise
    gate.close()
    return Started(pid, stdout, stderr)


def _become(
    argv: list[bytes],
    env: Mapping[bytes, bytes],
    folder: bytes,
    parent: int,
    gate: socket.socket,
    outputs: tuple[int, int],
) -> NoReturn:
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for number, descriptor in enumerate(outputs, 1):
            os.dup2(descriptor, number)
        for name in _IGNORED:
            signal.signal(name, signal.SIG_DFL)
        os.chdir(folder)
        if gate.recv(2) and os.getppid() == parent:
            os.execvpe(argv[0], argv, env)  # noqa: S606 - a fault's own command line, built by code; no shell
    except OSError as error:
        gate.send(marshal.dumps((error.errno, error.strerror, os.fsencode(error.filename or b""))))
    except BaseException as error:  # noqa: BLE001 - such as words that no program can be given
        gate.send(marshal.dumps((errno.EINVAL, f"{type(error).__name__}: {error}", b"")))
    finally:
        os._exit(127)
