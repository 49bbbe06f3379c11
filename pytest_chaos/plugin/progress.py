"""Live progress on a terminal: one line below pytest's own, at most five times a second, gone when nothing is under way.

It is written to a copy of standard output's descriptor that was taken while nothing was captured, so nothing of it ever is
in what a test prints. A worker of xdist writes its line into a file, which its controller shows.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from pytest_chaos.engine.disruption import Disruption, State
from pytest_chaos.engine.private import folder
from pytest_chaos.engine.run import Run
from pytest_chaos.errors import ChaosError

_EVERY_S: Final = 0.2
_STDOUT: Final = 1
_WORKER_FILE: Final = "chaos_progress"
# Room for a line below, without leaving the column; then remember the place, write below it, and come back.
_ROOM: Final = "\x1bD\x1b[A"
_WRITE: Final = "\x1b7\x1b[B\r{text}\x1b[K\x1b8"


class Sink(Protocol):
    """Where the line goes."""

    def show(self, line: str) -> None:
        """Show ``line`` instead of the one before; an empty one leaves nothing."""


class Terminal:
    """The line below the cursor of a terminal, whose own line stays as it is."""

    def __init__(self) -> None:
        self._descriptor = os.dup(_STDOUT)
        self._shown = ""

    def show(self, line: str) -> None:
        """Write ``line``, cut to the terminal's width, below the cursor."""
        line = line[: max(10, self._columns() - 1)]
        if line != self._shown:
            text = ("" if self._shown else _ROOM) + _WRITE.format(text=line)
            self._shown = line
            with contextlib.suppress(OSError):  # the terminal has gone; the tests have not
                os.write(self._descriptor, text.encode(errors="replace"))

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._descriptor).columns or 80
        except OSError:
            return 80


class Handed:
    """The file in which a worker says what it does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = ""

    def show(self, line: str) -> None:
        """Put ``line`` into the file."""
        if line == self._shown:
            return
        self._shown = line
        draft = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            draft.write_text(line, encoding="utf-8")
            draft.replace(self._path)


class Progress:
    """Show what is under way. Registered as a plugin, it keeps out of pytest's own writing."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._runs: list[Run] = []
        self._workers: list[Callable[[], str]] = []
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pytest-chaos-progress", daemon=True)

    def watch(self, run: Run) -> None:
        """Show how ``run`` goes, until its test is over."""
        with self._lock:
            self._runs.append(run)
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()

    def _lines(self) -> Iterator[str]:
        for run in self._runs:
            if not run.outcomes:
                yield "; ".join(filter(None, map(in_words, run.disruptions)))
        for worker in self._workers:
            yield worker()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            with self._lock:
                self._sink.show("  |  ".join(filter(None, self._lines())))

    @contextlib.contextmanager
    def _aside(self) -> Generator[None, None, None]:
        """Show nothing while pytest writes."""
        with self._lock:
            self._sink.show("")
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, None, None]:
        """Keep out of the way."""
        with self._aside():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """Keep out of the way, and forget what belongs to a test that is over."""
        with self._aside():
            if report.when == "teardown":
                self._runs.clear()
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Show nothing any more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(1)
        self._sink.show("")

    def serve(self, node: Any) -> None:
        """Tell a worker of xdist that is about to start where to say what it does, and show that."""
        try:
            path = folder("progress") / f"{os.getpid()}-{node.gateway.id}"
        except ChaosError:
            return
        node.workerinput[_WORKER_FILE] = str(path)
        self._workers.append(lambda: _handed(path, node.gateway.id))
        self._start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Remove the file of a worker that has ended."""
        if (path := node.workerinput.get(_WORKER_FILE)) is not None:
            Path(path).unlink(missing_ok=True)


def progress_of(config: pytest.Config, mode: str) -> Progress | None:
    """Return the progress of this process, made if it is wanted; ``mode`` is ``auto``, ``on`` or ``off``.

    ``auto`` is: on a terminal that is no dumb one, while pytest captures what tests print. Workers show what their controller
    asks for.
    """
    known: Progress | None = config.pluginmanager.get_plugin("chaos-progress")
    if known is not None:
        return known
    sink: Sink
    if hasattr(config, "workerinput"):
        handed: dict[str, Any] = config.workerinput
        if _WORKER_FILE not in handed:
            return None
        sink = Handed(Path(handed[_WORKER_FILE]))
    elif mode == "off" or (mode == "auto" and not _is_terminal(config)):
        return None
    else:
        sink = Terminal()
    made = Progress(sink)
    config.pluginmanager.register(made, "chaos-progress")
    return made


def in_words(one: Disruption) -> str:
    """Return what a disruption does right now: name, state, seconds, and the figures of a load; nothing once it is judged."""
    if one.recovering_since is not None:
        return f"{one.spec.name}: recovering for {time.monotonic() - one.recovering_since:.0f} s"
    if one.state is State.finished or not one.was_started:
        return ""
    since = one.moments["fired"] if one.was_fired else one.moments["planned"]
    words = f"{one.spec.name}: {one.state} for {time.monotonic() - since:.0f} s"
    if one.state is not State.active or one.ctx.meter is None:
        return words
    live = one.ctx.meter.live()
    share = live.errors / live.requests if live.requests else 0.0
    return f"{words}, {live.requests} requests, {live.delivered_qps:.0f} / {live.asked_qps:g} qps, {share:.0%} errors"


def _is_terminal(config: pytest.Config) -> bool:
    dumb = os.environ.get("TERM", "dumb") in {"dumb", ""}
    return not dumb and config.getoption("capture", "fd") != "no" and os.isatty(_STDOUT)


def _handed(path: Path, worker: str) -> str:
    try:
        line = path.read_text(encoding="utf-8")
    except OSError:
        return ""
    return f"{worker} {line}" if line else ""
