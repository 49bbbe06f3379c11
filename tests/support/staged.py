"""A fault that does what its spec says, for inner runs that are about pytest and not about load.

``STAGED`` is the text of an inner ``conftest.py``. Inner modules take from it: ``staged(...)``, a spec;
``RUNNING``, the names of the faults that are under way at this moment; ``STARTED``, of all that were ever fired.
"""

from __future__ import annotations

STAGED = '''
from typing import Any, Literal

import pytest
from pytest_chaos import FAULTS, ChaosResult, Fault

RUNNING = []
STARTED = []


@FAULTS.register("staged")
class StagedFault(Fault):
    """Active at once and until it is asked to stop, unless ``play`` says otherwise."""

    type: Literal["staged"] = "staged"
    play: Literal["well", "never active", "raises", "fails", "ends at once", "falls short"] = "well"
    label: str = ""
    details: dict[str, Any] = {}

    def ends_by_itself(self):
        return self.play in ("ends at once", "raises", "never active")

    def inject(self, ctx, chaos_active_event=None):
        STARTED.append(self.label)
        if self.play == "raises":
            raise OSError("the disk is on fire")
        if self.play == "never active":
            ctx.stop.wait(0.05)
            return ChaosResult(success=True, injected_fault="staged")
        RUNNING.append(self.label)
        chaos_active_event.set()
        if self.play != "ends at once":
            ctx.stop.wait()
        RUNNING.remove(self.label)
        short = {"shortfall": "half of it got lost"} if self.play == "falls short" else {}
        bad = self.play in ("fails", "falls short")
        return ChaosResult(
            success=not bad,
            injected_fault="staged",
            output="as the spec says",
            error="it is not what it was" if bad else None,
            details={**self.details, **short},
        )


def staged(name="a rush", delay_seconds=0, verify=None, watch=None, **action):
    """Return a spec. Its check is asked afterwards alone, unless ``watch``, keys about the check, says otherwise."""
    return {
        "name": name,
        "trigger": {"type": "time", "delay_seconds": delay_seconds},
        "action": {"type": "staged", "label": name, **action},
        "verify": verify,
        **({"verify_phases": ["after"], **(watch or {})} if verify is not None else {}),
    }
'''
