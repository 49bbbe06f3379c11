"""A tool with bounds like those of ``generate_load`` that runs nothing, and takes notes of what it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from pytest_chaos.agent.protocol import Tool
from pytest_chaos.base import SPEC_CONFIG, Integral


class LoadArgs(BaseModel):
    model_config = SPEC_CONFIG

    qps: Annotated[int, Field(ge=1, le=500, description="Requests a second."), Integral]
    duration_s: Annotated[float, Field(ge=0.001, le=60)] | None = None
    concurrency: Annotated[Annotated[int, Field(ge=1, le=64), Integral] | None, Field()] = None


class Noted:
    """What the tool was asked for, and accepted: ``ran`` has the arguments of each run."""

    def __init__(self) -> None:
        self.ran: list[dict[str, Any]] = []

    def tool(self, max_calls: int = 1) -> Tool:
        """Return the tool."""
        return Tool(
            name="generate_load",
            description="Send requests.",
            args=LoadArgs,
            run=self._run,
            max_calls=max_calls,
        )

    def _run(self, args: LoadArgs) -> Mapping[str, Any]:
        self.ran.append(args.model_dump(exclude_none=True))
        return {"delivered_qps": args.qps - 0.5, "requests": 10, "errors": 0, "p99_s": None}
