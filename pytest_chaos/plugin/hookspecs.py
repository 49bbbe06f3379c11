"""The hooks of pytest-chaos. Implement them in a ``conftest.py`` or a plugin.

Mark an implementation with ``@pytest.hookimpl(optionalhook=True)`` if it must also work where
pytest-chaos is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_chaos.outcome import ChaosOutcome


@pytest.hookspec(firstresult=True)
def pytest_chaos_verifier(name: str, request: pytest.FixtureRequest) -> Callable[..., Any] | None:
    """Return the check that a spec names in ``verify``, or None to leave it to others.

    Asked once for each spec with a ``verify`` key that the fixture ``chaos_verifiers`` does not have,
    after the test's fixtures are up and before anything is started. A check takes nothing or the
    disruption; it holds by returning None or True and fails by returning False or raising.

    Example::

        def pytest_chaos_verifier(name, request):
            if name.startswith("metric "):
                return lambda: metric_is_sane(name.removeprefix("metric "))
    """


def pytest_chaos_outcome(item: pytest.Item, outcome: ChaosOutcome) -> None:
    """Look at the outcome of one disruption of ``item``, right after it was judged.

    Called in the process that ran the test (under xdist: the worker). Raising here makes the test fail.
    """
