"""One row on a terminal that comes and goes, below what pytest writes.

It goes to a copy of the descriptor of pytest's own output, made while nothing is captured, so nothing of it is ever in what
a test prints. Whoever writes to that output takes the row away first.
"""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import RLock
from typing import Final, TextIO

_BETWEEN: Final = "  |  "
_SHORTEST_PART: Final = 24
_SHORTEST_NAME: Final = 6
# Make room below without leaving the column, which scrolls on the last row; then remember the place, write, come back.
_BELOW: Final = ("\x1bD\x1b[A\x1b7\x1b[B\r", "\x1b8")
_CLEAR: Final = "\x1b[J"


class Terminal:
    """The terminal that ``stream`` writes to.

    ``position`` tells how much stands on its current row; ``draw`` is ``below`` or ``behind``.
    """

    def __init__(
        self,
        stream: TextIO,
        position: Callable[[], int],
        draw: Callable[[Sequence[str], int, int], tuple[str, str]],
    ) -> None:
        self._stream = stream
        self._position = position
        self._draw = draw
        self._descriptor = os.dup(stream.fileno())
        self._process = os.getpid()
        self._lock = RLock()
        self._clear = ""
        self._write = stream.write
        stream.write = self._write_in_peace  # type: ignore[method-assign] # the one door that all writers use

    def show(self, parts: Sequence[str]) -> None:
        """Show one row, whatever the width of the terminal."""
        with self._lock:
            columns, position = self._columns(), self._position()
            # Behind a row that is just full the cursor hangs in a place that cannot be remembered.
            hangs = position and position % columns == 0
            shown, clear = self._draw(parts, columns, position % columns) if parts and not hangs else ("", "")
            self._put(self._clear + shown)
            self._clear = clear

    def close(self) -> None:
        """Take the row away, for good."""
        with self._lock:
            if self._descriptor >= 0:
                self.show(())
                os.close(self._descriptor)
                self._descriptor = -1
                if self._stream.write == self._write_in_peace:  # else somebody else stands before us
                    self._stream.write = self._write  # type: ignore[method-assign] # what it was

    def _write_in_peace(self, text: str) -> int:
        if os.getpid() != self._process:  # a fork: nobody shows anything here, but the lock may be taken
            return self._write(text)
        with self._lock:
            self.show(())
            return self._write(text)

    def _put(self, text: str) -> None:
        if text and self._descriptor >= 0:
            with contextlib.suppress(OSError):  # the terminal has gone; the tests have not
                os.write(self._descriptor, text.encode(self._stream.encoding, "replace"))

    def _columns(self) -> int:
        with contextlib.suppress(OSError):
            if columns := os.get_terminal_size(self._descriptor).columns:
                return columns
        return 80


def below(parts: Sequence[str], columns: int, _at: int) -> tuple[str, str]:
    """Return what shows ``parts`` on the row below, and what takes them away again."""
    return row(parts, columns - 1).join(_BELOW), _CLEAR


def behind(parts: Sequence[str], columns: int, at: int) -> tuple[str, str]:
    """Return the same for a dumb terminal: what is left of the row itself, and backspaces."""
    text = row(parts, columns - 1 - at).encode("ascii", "replace").decode()
    back = "\b" * len(text)
    return text, f"{back}{' ' * len(text)}{back}"


def row(parts: Sequence[str], columns: int) -> str:
    """Return ``parts`` side by side, at most ``columns`` wide. What is too long shares the room, and names get less of it first."""
    together = _BETWEEN.join(parts)
    if sum(map(cells, together)) <= columns:
        return together
    share = (columns + len(_BETWEEN)) // len(parts) - len(_BETWEEN)
    each = min(columns, max(share, _SHORTEST_PART))
    return cut(_BETWEEN.join(_shorter(part, each) for part in parts), columns)


def _shorter(part: str, columns: int) -> str:
    name, colon, does = part.rpartition(": ")
    return cut(f"{cut(name, max(_SHORTEST_NAME, columns - len(colon + does)))}{colon}{does}", columns)


def cut(text: str, columns: int) -> str:
    """Return ``text``, its end replaced by two dots if it takes more than ``columns``."""
    ends = list(accumulate(map(cells, text)))
    if not ends or ends[-1] <= columns:
        return text
    kept = (char for char, end in zip(text, ends, strict=True) if end <= columns - 2)
    return f"{''.join(kept)}.."[: max(0, columns)]


def cells(char: str) -> int:
    """Return how many cells of a terminal ``char`` takes at most: terminals do not agree about all of them."""
    return 2 if char > "\uffff" or unicodedata.east_asian_width(char) in "WFA" else 1
