"""The library that draws the charts, as it stands in a report: plotly.js (MIT licence), packed."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache

from plotly.offline import get_plotlyjs, get_plotlyjs_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Its version, its text as base64 of gzip, and what lets a browser run exactly this text."""

    version: str
    packed: str
    hash: str


@cache
def library() -> Library:
    """Return the library. It ships with plotly, so no network is needed."""
    text = get_plotlyjs()
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return Library(version=get_plotlyjs_version(), packed=packed, hash=source_hash(text))


def source_hash(text: str) -> str:
    """Return the source expression by which a content security policy allows one script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
