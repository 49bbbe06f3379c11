"""The HTML report: outcomes in, one file out. It knows neither pytest nor the engine.

This module is cheap to import; all others here need what the extra ``report`` installs.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_NEEDED: Final = ("jinja2", "plotly")


def missing() -> str | None:
    """Return in words what has to be installed before a report can be written; None if nothing is missing."""
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if not absent:
        return None
    return f'an HTML report needs {" and ".join(absent)}: pip install "pytest-chaos[report]"'
