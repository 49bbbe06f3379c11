"""The ``time`` trigger: fire a number of seconds after its clock started."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_chaos.base import TRIGGERS, Trigger
from pytest_chaos.context import RunContext


@TRIGGERS.register("time")
class TimeTrigger(Trigger):
    """Fire ``delay_seconds`` after the disruption was started.

    The clock starts in setup, or with the body under ``wait="none"``.
    """

    type: Literal["time"] = "time"
    delay_seconds: Annotated[
        float, Field(ge=0, le=3600, description="Seconds to wait before the fault fires.", examples=[0.5])
    ] = 0.0

    def wait(self, ctx: RunContext) -> None:
        """Sleep the delay, unless the disruption is stopped first."""
        ctx.sleep(self.delay_seconds)

    def in_words(self) -> str:
        """Return the delay in words."""
        return f"{self.delay_seconds:g} s after the start" if self.delay_seconds else "at once"
