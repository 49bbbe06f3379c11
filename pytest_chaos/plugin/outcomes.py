"""How a body ended, told from the exception that left it."""

from __future__ import annotations

import unittest

import pytest

from pytest_chaos.engine.verdict import Body

INTERRUPTS = (KeyboardInterrupt, pytest.exit.Exception)
"""What ends a run, not a test: pytest makes no report of it."""


def body_of(error: BaseException) -> Body:
    """Return ``skipped`` for pytest's skip, ``interrupted`` for Ctrl-C and the like, else ``failed``."""
    if isinstance(error, pytest.skip.Exception | unittest.SkipTest):
        return Body.skipped
    return Body.interrupted if isinstance(error, INTERRUPTS) else Body.failed


def kept_error(item: pytest.Item) -> BaseException | None:
    """Return the exception of a unittest body, which pytest keeps on the item (a private place) instead of raising it."""
    kept: list[pytest.ExceptionInfo[BaseException]] = getattr(item, "_excinfo", None) or []
    return kept[0].value if kept else None
