"""The ``checkpoint`` trigger: fire when the body says that it has come to a certain point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_chaos.base import TRIGGERS, TimedTrigger
from pytest_chaos.context import RunContext
from pytest_chaos.milestones import Milestone
from pytest_chaos.notation import Plain


@TRIGGERS.register("checkpoint")
class CheckpointTrigger(TimedTrigger):
    """Fire when the body calls ``chaos_injector.checkpoint(name)``, which returns once the disruption is active."""

    type: Literal["checkpoint"] = "checkpoint"
    name: Annotated[
        str,
        Field(min_length=1, max_length=200, description="The checkpoint to wait for.", examples=["half way"]),
        Plain,
    ]

    def milestone(self) -> Milestone:
        """Return the checkpoint."""
        return "checkpoint", self.name

    def watch(self, ctx: RunContext, until: float) -> bool:
        """Wait for the checkpoint."""
        try:
            return ctx.milestones.wait(self.milestone(), until=until, stop=ctx.stop)
        finally:
            reached = ", ".join(map(repr, ctx.milestones.names("checkpoint")))
            ctx.seen = f"checkpoints that were reached: {reached or 'none'}"

    def in_words(self) -> str:
        """Return the checkpoint in words."""
        return f"when the body reaches the checkpoint {self.name!r}"
