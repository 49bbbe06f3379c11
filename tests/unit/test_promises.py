"""The page of promises names a test for each, and these tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


def rows() -> list[str]:
    """Return the rows of the tables, without headings and rulers."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [line for line in lines if not line.endswith("| test |")]


def test_every_promise_names_its_test() -> None:
    assert len(rows()) > 15
    assert [row for row in rows() if not re.search(r"`tests/[\w/]+\.py(?:::\w+)?` \|$", row)] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert function in tests if function else any(one.startswith("test_") for one in tests)
