"""The ``after`` trigger: fire when another disruption of the same test has come to a certain state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_chaos.base import TRIGGERS, TimedTrigger
from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled
from pytest_chaos.milestones import Milestone, Milestones
from pytest_chaos.notation import Plain


@TRIGGERS.register("after")
class AfterTrigger(TimedTrigger):
    """Fire when the disruption that is named is ``active``, or ``finished``."""

    type: Literal["after"] = "after"
    disruption: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="Name of another disruption of the same test.",
            examples=["lunch rush"],
        ),
        Plain,
    ]
    state: Annotated[
        Literal["active", "finished"],
        Field(description="What the other disruption must have come to.", examples=["active"]),
    ] = "finished"

    def milestone(self) -> Milestone:
        """Return the state of the other disruption."""
        return self.state, self.disruption

    def watch(self, ctx: RunContext, until: float) -> bool:
        """Wait for the other disruption."""
        try:
            came = ctx.milestones.wait(self.milestone(), until=until, stop=ctx.stop)
        finally:
            ctx.seen = self._seen(ctx.milestones)
        if ctx.stop.is_set():  # the other one may be finished because everything is
            raise Cancelled("asked to stop while waiting")
        return came

    def _seen(self, milestones: Milestones) -> str:
        if self.state == "finished":
            was = "was active" if self.disruption in milestones.names("active") else "was never active"
        else:
            was = "is over" if self.disruption in milestones.names("finished") else "is not over"
        return f"{self.disruption!r} {was}"

    def in_words(self) -> str:
        """Return the state in words."""
        return f"when {self.disruption!r} is {self.state}"
