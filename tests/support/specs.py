"""Specs to put into inner test modules."""

from __future__ import annotations

from typing import Any


def load_spec(
    url: str, *, delay_seconds: float = 0, name: str = "load", verify: str | None = None, **target: Any
) -> dict[str, Any]:
    """Return a spec that puts ``url`` under load; its ``repr`` is what an inner module's mark takes."""
    spec: dict[str, Any] = {
        "name": name,
        "trigger": {"type": "time", "delay_seconds": delay_seconds},
        "action": {"type": "generate_load", "target": {"service_url": url, **target}},
    }
    if verify is not None:
        spec["verify"] = verify
    return spec


INSTANT_FAULT = '''
import threading
from typing import Literal

import pytest
from pytest_chaos import FAULTS, ChaosResult, Fault


@FAULTS.register("instant")
class InstantFault(Fault):
    """Active at once, until it is asked to stop. It needs no process and no target."""

    type: Literal["instant"] = "instant"

    def ends_by_itself(self):
        return False

    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        ctx.stop.wait()
        return ChaosResult(success=True, injected_fault=self.type)


INSTANT = {"trigger": {"type": "time"}, "action": {"type": "instant"}}
'''
"""The head of an inner module or conftest that defines a fault without load: ``INSTANT`` is a spec that uses it."""
