"""Keep secrets out of everything that is written down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

MASK: Final = "***"
SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_SECRET_QUERY: Final = ("access_token", "api_key", "apikey", "password", "secret", "token")
_KEY_VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
# A shorter value stands in too many words; whoever has such a secret has none.
_SHORTEST: Final = 4


class Redactor:
    """Replace secret values in text and in plain JSON.

    ``named`` are the names of headers and query parameters that a project calls secret, ``values`` are known secrets.
    The keys of the model's provider are always among them.
    """

    def __init__(self, named: Iterable[str], values: Iterable[str] = ()) -> None:
        words = sorted({*_SECRET_QUERY, *(name.lower() for name in named)})
        self._query = re.compile(
            rf"([?&;](?:{'|'.join(map(re.escape, words))})=)[^&;#\s\"'<>]+", re.IGNORECASE
        )
        keys = [os.environ[name] for name in _KEY_VARIABLES if name in os.environ]
        known = {form for value in (*values, *keys) for form in (value, value.strip(), unquote(value))}
        longest_first = sorted((form for form in known if len(form) >= _SHORTEST), key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return ``text`` without secrets."""
        if "=" in text:
            text = self._query.sub(rf"\1{MASK}", text)
        return self._values.sub(MASK, text) if self._values else text

    def json(self, value: Any) -> Any:
        """Return plain JSON without secrets, in keys as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        return [self.json(item) for item in value] if isinstance(value, list) else value


def is_secret_header(name: str, named: Iterable[str]) -> bool:
    """Tell whether the value of a header is secret; ``named`` are the names that a project calls secret."""
    return name.lower() in SECRET_HEADERS or name.lower() in {one.lower() for one in named}
