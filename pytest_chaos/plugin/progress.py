"""Live progress: what is disrupted right now, told at most five times a second to a terminal; a worker tells its controller."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

from pytest_chaos import clocks
from pytest_chaos.plugin.liverow import Terminal, behind, below
from pytest_chaos.plugin.telling import uncaptured
from pytest_chaos.scrub import clean

if TYPE_CHECKING:
    from pytest_chaos.engine.disruption import Disruption
    from pytest_chaos.engine.run import Run

_EVERY_S: Final = 0.2
_TO_CONTROLLER: Final = "chaos_progress"


class Sink(Protocol):
    """Where it is shown."""

    def show(self, parts: Sequence[str]) -> None:
        """Show ``parts`` instead of those before; without any nothing is left."""

    def close(self) -> None:
        """Leave nothing behind."""


class Controller:
    """The controller of a worker of xdist, at the other end of ``channel``."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._told: list[str] = []

    def show(self, parts: Sequence[str]) -> None:
        """Tell what is new."""
        if (told := list(parts)) != self._told:
            self._told = told
            with contextlib.suppress(OSError):  # it has gone
                self._channel.send(told)

    def close(self) -> None:
        """Tell that nothing is under way any more."""
        self.show(())


class Progress:
    """Show again and again what is under way."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._runs: list[Run] = []
        self._sources: list[Callable[[], Iterable[str]]] = []
        self._workers: dict[str, list[str]] = {}
        self._asleep = False
        self._over = Event()
        self._lock = Lock()
        self._thread = Thread(target=self._run, name="pytest-chaos-progress", daemon=True)

    def watch(self, run: Run) -> None:
        """Show how ``run`` goes, until it is judged."""
        self._runs = [*(one for one in self._runs if not one.outcomes), run]
        self._start()

    def ask(self, source: Callable[[], Iterable[str]]) -> None:
        """Show what ``source`` says, too."""
        self._sources.append(source)
        self._start()

    def hear(self, node: Any) -> None:
        """Show what a worker of xdist, which is about to start, is going to tell."""

        def heard(told: list[str]) -> None:
            self._workers[node.gateway.id] = told
            self._start()

        channel = node.workerinput[_TO_CONTROLLER] = node.gateway.newchannel()
        channel.setcallback(heard, endmarker=[])

    def close(self) -> None:
        """Show nothing any more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(1)
        self._sink.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Be gone before anything is summed up."""
        self.close()

    @pytest.hookimpl
    def pytest_enter_pdb(self) -> None:
        """Keep away from somebody who types."""
        with self._lock:
            self._asleep = True

    @pytest.hookimpl
    def pytest_leave_pdb(self) -> None:
        """Go on."""
        self._asleep = False

    def _start(self) -> None:
        with self._lock:
            if self._thread.ident is None and not self._over.is_set():
                self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            parts = self._parts()
            with self._lock:
                self._sink.show([] if self._asleep else parts)

    def _parts(self) -> list[str]:
        ours = [in_words(one) for run in self._runs if not run.outcomes for one in run.disruptions]
        theirs = [f"{worker} {part}" for worker, told in sorted(self._workers.items()) for part in told]
        asked = [_visible(part) for source in self._sources for part in source()]
        return [part for part in (*asked, *ours, *theirs) if part]


def progress_of(config: pytest.Config, mode: str) -> Progress | None:
    """Return the progress of this process, made if it is wanted; ``mode`` is ``auto``, ``on`` or ``off``.

    It is never shown in a pipe. ``auto`` leaves out dumb terminals, and what tests print themselves on the terminal.
    Workers of xdist tell theirs if their controller listens.
    """
    known: Progress | None = config.pluginmanager.get_plugin("chaos-progress")
    if known is not None:
        return known
    if (sink := _controller(config) if hasattr(config, "workerinput") else _terminal(config, mode)) is None:
        return None
    made = Progress(sink)
    config.pluginmanager.register(made, "chaos-progress")
    config.add_cleanup(made.close)  # of a session that does not come to its finish
    return made


def _controller(config: pytest.Config) -> Sink | None:
    channel = vars(config)["workerinput"].get(_TO_CONTROLLER)
    return None if channel is None else Controller(channel)


def _terminal(config: pytest.Config, mode: str) -> Sink | None:
    is_dumb = os.environ.get("TERM", "") in {"", "dumb"}
    is_open = config.getoption("capture", "no") in {"no", "tee-sys"}
    if mode == "off" or (mode == "auto" and (is_dumb or is_open)):
        return None
    if not config.pluginmanager.has_plugin("terminalreporter"):
        return None
    writer = config.get_terminal_writer()
    with uncaptured(config):
        if not sys.stdout.isatty():
            return None
        return Terminal(sys.stdout, lambda: writer.width_of_current_line, behind if is_dumb else below)


def in_words(one: Disruption) -> str:
    """Return what a disruption does right now: name, state, seconds, and the figures of a load; nothing once it is over."""
    name = _visible(one.redactor.text(one.spec.name))
    if (ended := one.recovering_since) is not None:
        return f"{name}: recovering {clocks.monotonic() - ended:.0f} s"
    if one.finished.is_set() or not one.was_started:
        return ""
    now = clocks.monotonic()
    since = one.moments.get("fired", one.moments.get("planned", now))
    return f"{name}: {one.state} {now - since:.0f} s{_figures(one)}"


def _visible(text: str) -> str:
    """Return ``text`` as one line, without what has no width of its own and makes others wider."""
    seen = (
        char
        for char in clean(text)
        if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f"
    )
    return " ".join("".join(seen).split())


def _figures(one: Disruption) -> str:
    if one.ctx.meter is None or not one.active.is_set():
        return ""
    try:
        live = one.ctx.meter.live()
        errors = f"{live.errors / live.requests:.1%} errors" if live.errors else "no errors"
        return f", {live.requests} requests, {live.delivered_qps:.0f} / {live.asked_qps:g} qps, {errors}"
    except Exception:  # noqa: BLE001 - a fault may bring a meter of its own, which is no reason to fail
        return ""
