"""Patterns that somebody else wrote: looked at when a spec is read, and bounded in time when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pytest_chaos.errors import FaultFailed
from pytest_chaos.notation import Plain
from pytest_chaos.placeholders import PLACEHOLDER

if TYPE_CHECKING:
    import regex

MAX_BYTES: Final = 65_536
"""Of one line, one message or one answer; what is longer is looked at up to here."""

_MATCH_S: Final = 0.5


def compiled(pattern: str) -> regex.Pattern[str]:
    """Return ``pattern`` ready for use. What is raised if it is none is the library's own."""
    import regex  # noqa: PLC0415 - a suite without patterns does not pay for it

    return regex.compile(pattern)


class Search:
    """Look for a pattern anywhere in texts, for half a second of processor time in each."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._search: Any = compiled(pattern).search

    def finds(self, text: str) -> bool:
        """Tell whether ``text`` has it.

        Raises:
            FaultFailed: it takes too long.
        """
        try:
            return self._search(text, timeout=_MATCH_S) is not None
        except TimeoutError:
            raise FaultFailed(
                "slow_pattern",
                f"the pattern {self._pattern!r} took longer than {_MATCH_S:g} s on a text of {len(text)} characters; "
                "write it without repetitions inside repetitions",
            ) from None


def _usable(pattern: str) -> str:
    if not PLACEHOLDER.search(pattern):
        try:
            compiled(pattern)
        except Exception as error:  # noqa: BLE001 - not only regex.error: RecursionError, ValueError and what else may come
            raise PydanticCustomError(
                "bad_pattern", "not a regular expression: {why}", {"why": str(error)}
            ) from None
    return pattern


Pattern = Annotated[str, Field(min_length=1, max_length=1000), Plain, AfterValidator(_usable)]
"""A regular expression of the library ``regex``; with placeholders it is looked at once they are filled."""
