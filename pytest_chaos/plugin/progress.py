"""Live progress on a terminal: one line below pytest's own, at most five times a second, gone when nothing is under way.

It is written to a copy of standard output's descriptor that was taken before pytest captures anything, so nothing of
it ever is in what a test prints. Cursor movements alone keep pytest's own line as it is.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_EVERY_S: Final = 0.2
# Room for a line below, without leaving the column; then remember the place, write below it, and come back.
_ROOM: Final = "\x1bD\x1b[A"
_WRITE: Final = "\x1b7\x1b[B\r{text}\x1b[K\x1b8"

Source = Callable[[], "str | None"]
"""Returns the line to show, or None if there is nothing to say right now."""


def wanted(mode: str, *, captured: bool) -> bool:
    """Tell whether progress can be shown: ``on``, or ``auto`` on a real terminal while pytest captures."""
    if mode != "auto":
        return mode == "on"
    terminal = os.environ.get("TERM", "dumb") not in {"dumb", ""}
    try:
        return captured and terminal and os.isatty(sys.stdout.fileno())
    except (OSError, ValueError):
        return False


class Progress:
    """Show what ``sources`` say, as long as there are any."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._sources: list[Source] = []
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown = False

    @contextmanager
    def showing(self, source: Source) -> Iterator[None]:
        """Show what ``source`` says as long as the block runs."""
        self.add(source)
        try:
            yield
        finally:
            self.remove(source)

    def add(self, source: Source) -> None:
        """Show what ``source`` says from now on."""
        with self._lock:
            self._sources.append(source)
            if self._thread is None:
                self._changed.clear()
                self._thread = threading.Thread(target=self._run, name="pytest-chaos-progress", daemon=True)
                self._thread.start()

    def remove(self, source: Source) -> None:
        """Say no more of ``source``; with the last one the line is gone."""
        with self._lock:
            if source in self._sources:
                self._sources.remove(source)
            if self._sources or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._changed.set()
        thread.join(1)
        self._clear()

    def close(self) -> None:
        """Show nothing any more."""
        for source in list(self._sources):
            self.remove(source)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _run(self) -> None:
        while not self._changed.wait(_EVERY_S):
            with self._lock:
                said = [line for source in self._sources if (line := source())]
            if said:
                self._show("; ".join(said))

    def _show(self, line: str) -> None:
        line = line[: max(10, self._columns() - 1)]
        self._write((_ROOM if not self._shown else "") + _WRITE.format(text=line))
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._write(_WRITE.format(text=""))
            self._shown = False

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._descriptor).columns or 80
        except OSError:
            return 80

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal has gone; the tests have not
            os.write(self._descriptor, text.encode(errors="replace"))
