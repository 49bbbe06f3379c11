"""``{{NAME}}`` in the strings of a spec: find them, and fill them in one pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_.-]*) *\}\}")


def names(value: Any) -> list[str]:
    """Return the placeholder names in a JSON-like value, in order of appearance, each once."""
    found: dict[str, None] = {}
    _walk(value, lambda match: found.setdefault(match[1]) or match[0])
    return list(found)


def fill(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a copy of ``value`` with every known placeholder replaced.

    Only values are touched, never keys, and a filled-in value is not looked at again: it cannot
    bring in another placeholder or change the structure. Unknown placeholders stay as they are.
    """
    return _walk(value, lambda match: variables.get(match[1], match[0]))


def _walk(value: Any, replace: Any) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(replace, value)
    if isinstance(value, dict):
        return {key: _walk(item, replace) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(item, replace) for item in value]
    return value
