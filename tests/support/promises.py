"""Run the tests of a contract on subjects that break it."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any, Final
from unittest import SkipTest

from pytest_chaos.testing.contract import Contract

SLEEPER: Final = [sys.executable, "-c", "import time; time.sleep(600)"]
LIT: Final = threading.Event()
"""The effect of faults, and the reason that triggers wait for."""
RELEASE: Final = threading.Event()
"""Lets go what a test has left hanging."""
COUNTER: Final = itertools.count()

ROUND_TRIP = "its_spec_survives_a_round_trip"
SCHEMA = "its_schema_describes_it"
PLAN = "its_plan_touches_nothing"


def failures(contract: type[Contract], **attributes: object) -> dict[str, str]:
    """Run each test of a contract on an instance of its own, and return what those said that did not pass."""
    cls: Any = type("Tried", (contract,), attributes)
    said = {}
    for name in sorted(name for name in dir(cls) if name.startswith("test_")):
        LIT.clear()
        try:
            getattr(cls(), name)()
        except (AssertionError, NotImplementedError, SkipTest) as error:
            said[name.removeprefix("test_it_").removeprefix("test_")] = str(error)
    return said
