"""Keep secrets out of everything that is written down."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK: Final = "***"
SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_SECRET_QUERY: Final = frozenset({"access_token", "api_key", "apikey", "password", "secret", "token"})
_KEY_VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
# What is shorter stands in too many words; a value that nobody calls secret must look like more than a word.
_SHORTEST: Final = 4
_SHORTEST_UNNAMED: Final = 8
_PARAMETER: Final = re.compile(r"([?&;])([^=&;?#\s\"'<>]+)=([^&#\s\"<>]+)")
# Greedy: whoever forgets to encode a password may have an @ or a / in it.
_USER: Final = re.compile(r"(//)[^\s\"'<>]*@")
_CUT: Final = re.compile(r"\.\.\. \(\d+ more characters\)")


class Redactor:
    """Replace secret values in text and in plain JSON.

    ``named`` are the names of headers and query parameters that a project calls secret, ``values`` are known secrets.
    The keys of the model's provider are always among them.
    """

    def __init__(self, named: Iterable[str], values: Iterable[str] = ()) -> None:
        self._query = _SECRET_QUERY | {name.lower() for name in named}
        keys = [os.environ[name] for name in _KEY_VARIABLES if name in os.environ]
        known = {form for value in (*values, *keys) for form in _forms(value)}
        self._known = sorted((form for form in known if len(form) >= _SHORTEST), key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, self._known))) if self._known else None

    def text(self, text: str) -> str:
        """Return ``text`` without secrets, also where one was cut off in its middle."""
        if "@" in text:
            text = _USER.sub(rf"\1{MASK}@", text)
        if "=" in text:
            text = _PARAMETER.sub(self._parameter, text)
        if self._values is None:
            return text
        text = self._values.sub(MASK, text)
        return self._uncut(text) if "more characters)" in text else text

    def json(self, value: Any) -> Any:
        """Return plain JSON without secrets, in keys as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        return [self.json(item) for item in value] if isinstance(value, list | tuple) else value

    def fields(self, document: Mapping[str, Any], *names: str) -> dict[str, Any]:
        """Return ``document`` with those of its fields that hold free text redacted; the others are ours."""
        return {name: self.json(value) if name in names else value for name, value in document.items()}

    def _parameter(self, found: re.Match[str]) -> str:
        start, name, _ = found.groups()
        return f"{start}{name}={MASK}" if unquote(name).lower() in self._query else found[0]

    def _uncut(self, text: str) -> str:
        """Return ``text`` without the beginnings of secrets that stand where something was cut off."""
        parts = []
        at = 0
        for cut in _CUT.finditer(text):
            before = text[at : cut.start()]
            begun = self._begun(before)
            parts += [before[: len(before) - begun], MASK if begun else "", cut[0]]
            at = cut.end()
        return "".join([*parts, text[at:]])

    def _begun(self, text: str) -> int:
        """Return how much of a secret ``text`` ends with."""
        return next(
            (
                length
                for value in self._known
                for length in range(len(value) - 1, _SHORTEST - 1, -1)
                if text.endswith(value[:length])
            ),
            0,
        )


def is_secret_header(name: str, named: Iterable[str]) -> bool:
    """Tell whether the value of a header is secret; ``named`` are the names that a project calls secret."""
    return name.lower() in SECRET_HEADERS or name.lower() in {one.lower() for one in named}


def secrets_of_headers(headers: Mapping[str, str], named: Iterable[str]) -> Iterator[str]:
    """Yield the values of headers, and the words in them that may be secrets by themselves, such as a token."""
    for name, value in headers.items():
        if is_secret_header(name, named):
            yield value
            yield from _credentials(value)
        yield from filter(_may_be_secret, (value, *re.split(r"[\s,;=\"']+", value)))


def _credentials(value: str) -> Iterator[str]:
    """Yield what is secret by itself in the value of a secret header: all but a scheme in front, and the names of pairs."""
    first, *others = re.split(r"[\s,;]+", value.strip())
    for part in [*others, *([first] if "=" in first or not others else [])]:
        _, equals, paired = part.partition("=")
        token = (paired if equals and paired.strip("=") else part).strip("\"'")
        yield from {token, *token.split(":")}


def _forms(value: str) -> set[str]:
    """Return a secret as it is, and as others may write it: in a URL, in JSON, in a ``repr``."""
    in_urls = {quote(value, safe, errors="replace") for safe in ("", "/")}
    return {value, value.strip(), unquote(value), json.dumps(value)[1:-1], repr(value)[1:-1]} | in_urls


def bare(url: str) -> str:
    """Return what was meant to be a URL without what may be secret in it: what stands before an @, and the query."""
    if "@" in url:
        before, _, url = url.rpartition("@")
        scheme, separator, _ = before.partition("://")
        url = f"{scheme}{separator}{MASK}@{url}" if separator else f"{MASK}@{url}"
    path, _, query = url.partition("?")
    return f"{path}?{MASK}" if "=" in query else url


def _may_be_secret(text: str) -> bool:
    """Tell whether ``text`` looks like more than a word: a token has digits or capital letters in it."""
    return len(text) >= _SHORTEST_UNNAMED and re.search(r"[0-9A-Z]", text) is not None


def secrets_of_url(url: str, named: Iterable[str]) -> Iterator[str]:
    """Yield the values of the query parameters that are called secret."""
    secret = _SECRET_QUERY | {name.lower() for name in named}
    query = urlsplit(url).query
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if unquote(name).lower() in secret:
            yield value
    yield from (value for name, value in parse_qsl(query) if name.lower() in secret)
