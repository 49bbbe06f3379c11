"""How a body ended, told from the exception that left it."""

from __future__ import annotations

import pytest

from pytest_chaos.engine.verdict import Body


def body_of(error: BaseException) -> Body:
    """Return ``skipped`` for pytest's skip, else ``failed``."""
    return Body.skipped if isinstance(error, pytest.skip.Exception) else Body.failed
