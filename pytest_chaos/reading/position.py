"""Where something stands: offsets in a text as file, line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_chaos.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file, or the file as a whole; lines and columns count from 1.

    ``note`` leads on where the place cannot be named exactly, such as inside a folded string.
    """

    file: str
    line: int | None = None
    column: int | None = None
    note: str = ""

    def __str__(self) -> str:
        place = "" if self.line is None else f":{self.line}:{self.column}"
        return f"{self.file}{place}{self.note}"


class SourceError(SpecError):
    """A place in a file of specs, or the file as a whole, that cannot be used. ``where`` leads to it."""

    def __init__(self, message: str, where: Where) -> None:
        super().__init__(f"{where}: {message}")
        self.message = message
        self.where = where


class Unreadable(SourceError):
    """A file of specs that cannot even be read as text."""


class Document:
    """A text, and where it came from.

    ``origin`` tells, for a text that is itself a string in another one, where a line and a column of
    it (both from 0) stand in the file.
    """

    def __init__(self, text: str, file: str, *, origin: Callable[[int, int], Where] | None = None) -> None:
        self.text = text
        self.file = file
        self._origin = origin

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _BREAK.finditer(self.text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return the line and the column of a character, both from 0."""
        line = bisect_right(self._starts, offset) - 1
        return line, offset - self._starts[line]

    def line(self, number: int) -> str:
        """Return a line (from 0) without its break; an empty one where there is none."""
        if number >= len(self._starts):
            return ""
        end = self._starts[number + 1] if number + 1 < len(self._starts) else None
        return self.text[self._starts[number] : end].rstrip("\r\n")

    def at(self, offset: int) -> Where:
        """Return where a character stands in the file."""
        line, column = self.line_and_column(offset)
        return self._origin(line, column) if self._origin else Where(self.file, line + 1, column + 1)

    def error(self, offset: int, message: str) -> SourceError:
        """Return an error about this place, to be raised."""
        return SourceError(message, self.at(offset))
