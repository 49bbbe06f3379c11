"""The ``after`` trigger: fire when another disruption of the same test has come to a certain state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_chaos.base import TRIGGERS, TimedTrigger
from pytest_chaos.context import RunContext
from pytest_chaos.milestones import Milestone
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
            return ctx.milestones.wait(self.milestone(), until=until, stop=ctx.stop)
        finally:
            been = [
                state for state in ("active", "finished") if self.disruption in ctx.milestones.names(state)
            ]
            ctx.seen = f"{self.disruption!r} has been {' and '.join(been) or 'neither active nor finished'}"

    def in_words(self) -> str:
        """Return the state in words."""
        return f"when {self.disruption!r} is {self.state}"
