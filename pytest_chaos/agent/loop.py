"""The tool loop. A client asks, this code decides: known tool, strict arguments, budgets, deadline, cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pytest_chaos import clocks
from pytest_chaos.agent.protocol import Client, Conversation, Reply, Stop, Tool, ToolCall, ToolResult
from pytest_chaos.errors import ModelError, ToolRefused
from pytest_chaos.scrub import clean, clean_json

MAX_TURNS = 8
MAX_RECORDED = 32
MAX_MODEL_TEXT = 2_000


@dataclass(slots=True)
class LoopReport:
    """What happened in a loop: why it ended, the client's last words, and the first calls with their fate."""

    client: str
    model: str | None
    stop: Stop = Stop.turns
    text: str = ""
    turns: int = 0
    tokens: int = 0
    calls_total: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that results carry. ``model_text`` is the model's, and proves nothing."""
        return {
            "client": self.client,
            "model": self.model,
            "turns": self.turns,
            "calls_total": self.calls_total,
            "calls": self.calls,
            "tokens": self.tokens,
            "stop": self.stop.value,
            "model_text": self.text,
        }


def run_tool_loop(
    client: Client,
    goal: str,
    tools: Sequence[Tool],
    system: str,
    *,
    max_turns: int = MAX_TURNS,
    max_tokens: int | None = None,
    deadline: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> LoopReport:
    """Let ``client`` use ``tools`` until it is done, or one of the limits is reached.

    Every call gets exactly one result, refused ones too; only accepted ones count against a tool's
    budget. ``deadline`` is a moment on the monotonic clock; it and ``cancelled`` are looked at before
    each call, and all the time that an answer is awaited.

    Raises:
        ModelError: the client could not answer.
    """
    report = LoopReport(client=client.name, model=client.model)
    known = {tool.name: tool for tool in tools}
    used: Counter[str] = Counter()
    message: str | Sequence[ToolResult] = goal

    def over() -> Stop | None:
        if cancelled():
            return Stop.cancelled
        return Stop.deadline if deadline is not None and clocks.monotonic() >= deadline else None

    with closing(client.start(system, tools)) as conversation:
        while report.turns < max_turns:
            reply = None if over() else _ask(conversation, message, over, report)
            if reply is None:
                report.stop = over() or Stop.cancelled
                return report
            report.turns += 1
            report.tokens += reply.tokens
            report.text = clean(reply.text, MAX_MODEL_TEXT) or report.text
            if reply.blocked is not None:
                report.stop = Stop.blocked
                report.text = clean(reply.blocked, MAX_MODEL_TEXT)
                return report
            if not reply.calls:
                report.stop = Stop.done
                return report
            if max_tokens is not None and report.tokens > max_tokens:
                report.stop = Stop.blocked
                report.text = f"stopped by the budget of {max_tokens} tokens, after {report.tokens}"
                return report
            message = [_carry_out(call, known, used, over) for call in reply.calls]
            report.calls_total += len(message)
            for result in message:
                if result.error is None or len(report.calls) < MAX_RECORDED:
                    report.calls.append(_record(result))
    return report


def _ask(
    conversation: Conversation,
    message: str | Sequence[ToolResult],
    over: Callable[[], object],
    report: LoopReport,
) -> Reply | None:
    try:
        return conversation.send(message, over)
    except ModelError as error:
        error.report = report
        raise


def _carry_out(
    call: ToolCall, known: Mapping[str, Tool], used: Counter[str], over: Callable[[], Stop | None]
) -> ToolResult:
    """Run one call if everything about it is allowed; otherwise refuse it in words."""

    def refuse(reason: str) -> ToolResult:
        return ToolResult(call, {}, error=reason)

    tool = known.get(call.name) if isinstance(call.name, str) else None
    if tool is None:
        return refuse(f"no such tool; there is: {', '.join(known)}")
    if used[tool.name] >= tool.max_calls:
        return refuse(f"the budget of {tool.max_calls} for {tool.name} is used up")
    if not isinstance(call.args, Mapping):
        return refuse("arguments must be an object")
    try:
        args = tool.args.model_validate(dict(call.args))
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)
        )
        return refuse(clean("; ".join(wrong), 500))
    if stop := over():
        return refuse(f"not run: {stop.value}")
    try:
        output = tool.run(args)
    except ToolRefused as refusal:
        return refuse(str(refusal))
    used[tool.name] += 1
    return ToolResult(call, output)


def _record(result: ToolResult) -> dict[str, Any]:
    fate = (
        {"refused": result.error} if result.error else {"accepted": True, "output": clean_json(result.output)}
    )
    return {"tool": clean(str(result.call.name), 100), "args": clean_json(result.call.args), **fate}
