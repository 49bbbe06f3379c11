"""The notations that specs use for text, durations, URLs and headers: one pattern each, shared by validation and JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pytest_chaos.placeholders import PLACEHOLDER

# `(?![\s\S])` ends a pattern in every dialect; `$` would let a trailing line feed pass in some.
_END: Final = r"(?![\s\S])"
_DURATION: Final = (
    r"(?=[0-9.hms]*[1-9])(?:([0-9]{1,3})h)?(?:([0-9]{1,4})m(?!s))?(?:([0-9]{1,5}(?:\.[0-9]{1,3})?)s)?(?:([0-9]{1,7})ms)?"
    + _END
)
_PORT: Final = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9][0-9]|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_URL: Final = (
    r"[Hh][Tt][Tt][Pp][Ss]?://(?:\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9._~-]+)(?::" + _PORT + r")?"
    r"(?:[/?](?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?" + _END
)
_HOLE: Final = rf"(?![^/?#]*//[^/?#]*@)[ -~]*{PLACEHOLDER.pattern}[ -~]*{_END}"
# Names of headers that belong to the connection, in any case.
_FRAMING: Final = "|".join(
    "".join(f"[{char.upper()}{char}]" if char.isalpha() else char for char in name)
    for name in ("content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")
)
_HEADER: Final = rf"(?!(?:{_FRAMING}){_END})[A-Za-z0-9!#$%&'*+.^_`|~-]{{1,100}}{_END}"


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
    if re.match(_URL, text) or re.match(_HOLE, text):
        return text
    scheme, separator, rest = text.partition("://")
    if "@" in re.split(r"[/?#]", rest)[0]:
        raise ValueError("a URL with user information is refused; put credentials into `headers`")
    if not PLACEHOLDER.search(text):
        if not separator or scheme.lower() not in {"http", "https"}:
            raise ValueError("only http:// and https:// URLs are allowed")
        if "#" in rest:
            raise ValueError("a URL with a fragment is refused; a fragment is never sent")
    raise ValueError("not a plain ASCII URL such as http://127.0.0.1:8080/path")


def _header_name(text: str) -> str:
    if re.fullmatch(_FRAMING, text):
        raise ValueError("this header belongs to the connection; it cannot be set")
    if not re.match(_HEADER, text):
        raise ValueError("not the name of an HTTP header")
    return text


@dataclass(frozen=True, slots=True)
class _Written:
    """Check text against its notation, and tell the JSON Schema the pattern of it; what else both say stays.

    ``check`` raises ``ValueError`` for exactly what ``pattern`` does not match.
    """

    pattern: str
    check: Callable[[str], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})"}


@dataclass(frozen=True, slots=True)
class _NoOtherKeys:
    """Tell the JSON Schema of a mapping that a key which does not fit its pattern is an error."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "additionalProperties": False}


def _like(pattern: str, message: str) -> _Written:
    compiled = re.compile(pattern + _END)

    def check(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(message)
        return text

    return _Written(pattern + _END, check)


Plain = _like(r"[^\u0000\ud800-\udfff]*", "text cannot hold NUL or half a surrogate pair")
"""Mark text as fit for a command line and a report."""

HeaderName = Annotated[str, _Written(_HEADER, _header_name)]
HeaderValue = Annotated[str, _like(r"[\t -~]{0,4096}", "a header value is one line of plain ASCII text")]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=50), _NoOtherKeys()]
"""Request headers, without those that frame a message."""

Duration = Annotated[str, _Written(f"{_DURATION}|{PLACEHOLDER.pattern}{_END}", _duration)]
"""A duration as text; a placeholder may stand for the whole of it."""

Url = Annotated[str, Field(max_length=2000), _Written(f"{_URL}|{_HOLE}", _url)]
"""An absolute http or https URL without user information or fragment; with placeholders it is checked once filled."""
