"""The notations that specs use for durations and URLs: one pattern each, shared by validation and JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from pytest_chaos.placeholders import PLACEHOLDER

# `(?![\s\S])` ends a pattern in every dialect; `$` would let a trailing line feed pass in some.
_END: Final = r"(?![\s\S])"
_DURATION: Final = (
    r"(?=[0-9.hms]*[1-9])(?:([0-9]{1,3})h)?(?:([0-9]{1,4})m(?!s))?(?:([0-9]{1,5}(?:\.[0-9]{1,3})?)s)?(?:([0-9]{1,7})ms)?"
    + _END
)
_PORT: Final = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9][0-9]|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_URL: Final = (
    r"[Hh][Tt][Tt][Pp][Ss]?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::" + _PORT + r")?"
    r"(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?" + _END
)
_HOLE: Final = r"[\s\S]*" + PLACEHOLDER.pattern


def seconds(text: str) -> float:
    """Return the seconds in a duration such as ``30s``, ``1m30s`` or ``500ms``. Raises ``ValueError``."""
    match = re.match(_DURATION, text)
    if match is None:
        raise ValueError('not a duration; write it like "500ms", "30s" or "1m30s", above zero')
    h, m, s, ms = (float(part or 0) for part in match.groups())
    return h * 3600 + m * 60 + s + ms / 1000


def _duration(text: str) -> str:
    if not PLACEHOLDER.fullmatch(text):
        seconds(text)
    return text


def _url(text: str) -> str:
    if PLACEHOLDER.search(text) or re.match(_URL, text):
        return text
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise ValueError("only http:// and https:// URLs can be put under load")
    if "@" in re.split(r"[/?#]", rest)[0]:
        raise ValueError("a URL with user information is refused; put credentials into `headers`")
    if "#" in rest:
        raise ValueError("a URL with a fragment is refused; a fragment is never sent")
    raise ValueError("not a plain ASCII URL such as http://127.0.0.1:8080/path")


def _like(pattern: str, message: str) -> tuple[AfterValidator, WithJsonSchema]:
    compiled = re.compile(pattern + _END)

    def check(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(message)
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}{_END}"})


Body = Annotated[
    str, *_like(r"[^\u0000]{0,65536}", "a body is text of at most 65536 characters, without NUL")
]
HeaderName = Annotated[str, *_like(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "not an HTTP header name")]
HeaderValue = Annotated[str, *_like(r"[\t -~]{0,4096}", "a header value is one line of plain ASCII text")]

Duration = Annotated[
    str,
    AfterValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_DURATION}|{PLACEHOLDER.pattern}{_END})"}),
]
"""A duration as text; a placeholder may stand for the whole of it."""

Url = Annotated[
    str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": f"^(?:{_URL}|{_HOLE})"})
]
"""An absolute http or https URL without user information or fragment; with placeholders it is checked once filled."""
