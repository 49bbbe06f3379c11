"""A fault that does nothing at once, so that what is left is our own cost."""

from __future__ import annotations

import threading
from typing import Any, Literal

from pytest_chaos import FAULTS, ChaosResult, Fault
from pytest_chaos.context import RunContext


@FAULTS.register("bench_instant")
class Instant(Fault):
    """Be active at once, and over as soon as that is asked."""

    type: Literal["bench_instant"] = "bench_instant"

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        """Wait for the stop."""
        assert chaos_active_event is not None
        chaos_active_event.set()
        ctx.stop.wait()
        return ChaosResult(success=True, injected_fault=self.type)


def spec(delay_seconds: float = 0.0) -> dict[str, Any]:
    """Return a spec that fires the instant fault after ``delay_seconds``."""
    return {
        "name": f"nothing after {delay_seconds}",
        "trigger": {"type": "time", "delay_seconds": delay_seconds},
        "action": {"type": "bench_instant"},
    }
