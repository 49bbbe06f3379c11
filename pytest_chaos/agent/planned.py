"""The keyless client: it carries out a plan that was made from the spec alone. No network, always the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_chaos.agent.protocol import Reply, Tool, ToolCall, ToolResult


class PlannedClient:
    """Make the given calls one after another, then end. An ordinary client of the loop."""

    def __init__(
        self,
        calls: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        name: str = "planned",
        model: str | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self._calls = tuple(calls)

    def start(self, system: str, tools: Sequence[Tool]) -> _Plan:
        """Begin at the first call; the prompt and the tools have no influence."""
        del system, tools
        return _Plan(self._calls)


class _Plan:
    def __init__(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._left = [ToolCall(name, dict(args), id=f"plan-{n}") for n, (name, args) in enumerate(calls, 1)]

    def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply:
        del message, over
        if self._left:
            return Reply(calls=(self._left.pop(0),))
        return Reply(text="The plan was carried out as written.")

    def close(self) -> None:
        self._left.clear()
