"""Run a command in a pseudo-terminal and keep what somebody who looks at it would have seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped] # it comes without types
import pyte

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was on a screen.

    Attributes:
        frames: what stood there after each piece of output, rows without trailing blanks; neighbours differ.
        end: all rows at the end, with those that had scrolled away.
        pieces: what was written, and when.
        status: how the command ended: its exit status, or a negative signal.
    """

    frames: list[list[str]]
    end: list[str]
    pieces: list[tuple[float, bytes]]
    status: int

    @property
    def written(self) -> bytes:
        """Everything that was written."""
        return b"".join(piece for _, piece in self.pieces)

    def rows(self, word: str) -> list[str]:
        """Return every different row that held ``word`` at any time."""
        return list(dict.fromkeys(row for frame in self.frames for row in frame if word in row))


def look(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    columns: int,
    rows: int,
    react: Callable[[Any, list[str]], None] = lambda _child, _frame: None,
) -> Seen:
    """Run ``command`` to its end. ``react`` is told the child and each new frame, and may type.

    Raises:
        AssertionError: it did not end in time.
    """
    child = pexpect.spawn(
        command[0], list(command[1:]), cwd=str(cwd), env=dict(environment), dimensions=(rows, columns)
    )
    screen = pyte.HistoryScreen(columns, rows, history=10_000)
    stream = pyte.ByteStream(screen)
    frames: list[list[str]] = [[]]
    pieces: list[tuple[float, bytes]] = []
    deadline = time.monotonic() + LIMIT_S
    try:
        while True:
            assert time.monotonic() < deadline, f"still running: {frames[-1]}"
            try:
                piece = child.read_nonblocking(65_536, 0.05)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            pieces.append((time.monotonic(), piece))
            stream.feed(piece)
            frame = _stripped(screen.display)
            if frame != frames[-1]:
                frames.append(frame)
                react(child, frame)
        child.wait()
    finally:
        child.close(force=True)
    history = ["".join(row[at].data for at in range(columns)) for row in screen.history.top]
    return Seen(
        frames=frames[1:],
        end=_stripped([*history, *screen.display]),
        pieces=pieces,
        status=child.exitstatus if child.exitstatus is not None else -(child.signalstatus or 0),
    )


def _stripped(rows: Sequence[str]) -> list[str]:
    found = [row.rstrip() for row in rows]
    while found and not found[-1]:
        found.pop()
    return found
