"""Specs as files hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.reading.position import SourceError
from pytest_chaos.sources import read_file

Write = Callable[..., Path]
"""Write a file: its text or bytes, and its name, by default ``chaos.yaml``."""

ENTRY: dict[str, Any] = {
    "name": "rush",
    "trigger": {"type": "time", "delay_seconds": 5},
    "action": {"type": "generate_load", "target": {"service_url": "{{URL}}/x", "qps": 300}},
    "verify": "orders add up",
}
YAML_ENTRY = """\
name: rush
trigger: {type: time, delay_seconds: 5}
action:
  type: generate_load
  target:
    service_url: {{URL}}/x
    qps: 300
verify: orders add up
"""


def refusal(path: Path) -> str:
    """Return how the only error of a file reads, without the directory."""
    with pytest.raises(SourceError) as caught:
        read_file(path, shown=path.name)
    return str(caught.value)


def indented(text: str, by: int) -> str:
    """Return ``text`` with each line ``by`` columns further to the right."""
    return "".join(" " * by + line for line in text.splitlines(keepends=True))
