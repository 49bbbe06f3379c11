"""Make text and JSON safe to carry: across processes, into XML, onto a terminal."""

from __future__ import annotations

import math
import re
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
MAX_ITEMS = 1_000
MAX_DEPTH = 12


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return ``text`` without escape sequences, control characters and lone surrogates, cut to ``limit`` characters.

    Tabs and line feeds stay; a cut is marked with how much is missing.
    """
    if len(text) > 4 * limit + 1_000:  # bound the work on hostile input before any pattern sees it
        text = text[: 4 * limit + 1_000]
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text) - limit} more characters)"
    return text


def clean_json(value: Any, *, depth: int = MAX_DEPTH) -> JsonValue:
    """Return ``value`` as plain JSON: cleaned strings, finite numbers (others become null), bounded size and depth.

    Values that JSON does not know (paths, dates, models) become their cleaned ``str``.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return clean(str(value))
    if depth == 0:
        return "..."
    if isinstance(value, dict):
        pairs = list(value.items())[:MAX_ITEMS]
        return {clean(str(key), 200): clean_json(item, depth=depth - 1) for key, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_json(item, depth=depth - 1) for item in list(value)[:MAX_ITEMS]]
    return clean(str(value))
