"""Make text and JSON safe to carry: across processes, into XML, onto a terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import JsonValue

# Whole escape sequences go (CSI, OSC with its terminator, two-byte ones); then lone control characters, which
# include the C1 block, and what XML 1.0 or UTF-8 cannot hold (lone surrogates, U+FFFE, U+FFFF).
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)

MAX_TEXT = 4_000
MAX_DEPTH = 12
MAX_DOCUMENT = 200_000
"""Characters of text in one document, keys included; each item without text counts for ten."""


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return ``text`` without escape sequences, control characters and lone surrogates, cut to ``limit`` characters.

    Tabs and line feeds stay; a cut is marked with how much is missing.
    """
    if (
        len(text) <= limit and text.isascii() and text.isprintable()
    ):  # most are, and thousands stand in a plan
        return text
    before = len(text)
    text = text[: 4 * limit + 1_000]  # bound the work on hostile input before any pattern sees it
    unseen = before - len(text)
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    if len(text) + unseen > limit:
        tail = f"... ({len(text) + unseen - limit} more characters)"
        text = text[: max(0, limit - len(tail))] + tail[:limit]
    return text


def shown(value: Any, limit: int = 120) -> str:
    """Return the cleaned ``repr`` of whatever somebody has written; what has none is named by its type."""
    try:
        return clean(repr(value), limit)
    except Exception:  # noqa: BLE001 - foreign __repr__, whole numbers of many digits, nesting without end
        return f"a value of type {type(value).__name__}"


def clean_json(value: Any) -> JsonValue:
    """Return ``value`` as plain JSON: cleaned strings, finite numbers (others become null), bounded size and depth.

    Values that JSON does not know (paths, dates, models) become their cleaned ``str``. What goes beyond
    the budget of the whole document is left out.
    """
    return _Cleaner().clean(value, MAX_DEPTH)


class _Cleaner:
    def __init__(self) -> None:
        self.left = MAX_DOCUMENT

    def clean(self, value: Any, depth: int) -> JsonValue:
        self.left -= 10
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return (
                int(value)
                if abs(value) < 2**63
                else self.text(str(value) if value.bit_length() < 4_000 else "huge")
            )
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, Mapping):
            return self.members(value, depth - 1) if depth else self.text("...")
        if isinstance(value, list | tuple | set | frozenset):
            return self.items(value, depth - 1) if depth else self.text("...")
        return self.text(value if isinstance(value, str) else str(value))

    def text(self, text: str, limit: int = MAX_TEXT) -> str:
        cleaned = clean(str(text), limit)
        self.left -= len(cleaned)
        return cleaned

    def members(self, value: Mapping[Any, Any], depth: int) -> dict[str, JsonValue]:
        kept: dict[str, JsonValue] = {}
        for key, item in value.items():
            if self.left <= 0:
                break
            kept[self.text(str(key), 200)] = self.clean(item, depth)
        return kept

    def items(self, value: Iterable[Any], depth: int) -> list[JsonValue]:
        kept: list[JsonValue] = []
        for item in value:
            if self.left <= 0:
                break
            kept.append(self.clean(item, depth))
        return kept
