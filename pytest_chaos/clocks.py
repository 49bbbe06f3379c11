"""The clocks that everything is measured by: those of the machine, whatever a test makes of those of Python.

Tests freeze time (freezegun, time-machine) or replace functions of the module ``time``. fortio, the service and
the disruption go on by the real one; so do we.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any


def _real(name: str) -> Callable[..., Any]:
    """Return a function of the module ``time``, as it is where nothing is frozen.

    It is wrapped, because freezegun replaces whatever it recognises in the names of any module.
    """
    freezegun = sys.modules.get("freezegun.api")  # time may stand still already when this module is loaded
    return partial(getattr(freezegun, f"real_{name}", None) or getattr(time, name))


monotonic: Callable[[], float] = _real("monotonic")
sleep: Callable[[float], None] = _real("sleep")
_wall: Callable[[], float] = _real("time")


def wall() -> float:
    """Return the seconds since 1970."""
    travelling = sys.modules.get("time_machine")
    if travelling is not None:  # it replaces the very function, and hands out the real one
        with suppress(ValueError):  # no time is travelled right now
            real: float = travelling.escape_hatch.time.time()
            return real
    return _wall()
