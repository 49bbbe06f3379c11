"""ChaosAgent: a client with its prompt and its limits, ready to be given a goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_chaos.agent.loop import MAX_TURNS, LoopReport, run_tool_loop
from pytest_chaos.agent.protocol import Client, Tool

SYSTEM = (
    "You plan one load test inside fixed bounds. Use only the tools you are given, with the numbers you choose. "
    "The target is fixed and is none of your concern. When the goal is reached, answer with one short summary."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosAgent:
    """Drive one client towards one goal. Whatever it says, only what the tools measured counts."""

    client: Client
    system: str = SYSTEM
    max_turns: int = MAX_TURNS
    max_tokens: int | None = None

    def run(
        self,
        goal: str,
        tools: Sequence[Tool],
        *,
        deadline: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> LoopReport:
        """Run the loop to its end. Raises ``ModelError`` if the client could not answer."""
        return run_tool_loop(
            self.client,
            goal,
            tools,
            self.system,
            max_turns=self.max_turns,
            max_tokens=self.max_tokens,
            deadline=deadline,
            cancelled=cancelled,
        )
