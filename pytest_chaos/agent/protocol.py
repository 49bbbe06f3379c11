"""What a client of the loop is: it starts conversations, and a conversation answers messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One thing the model may do: a pydantic model of its arguments, a function, and how often it may run.

    ``run`` gets validated arguments and returns plain numbers and words of our own.
    """

    name: str
    description: str
    args: type[BaseModel]
    run: Callable[[Any], Mapping[str, Any]]
    max_calls: int = 1


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model made it. ``args`` is whatever arrived: the loop checks it."""

    name: str
    args: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one call: ``output``, or ``error`` if the call was refused."""

    call: ToolCall
    output: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a client answered: text, calls, tokens used, and in ``blocked`` why it would not answer."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    tokens: int = 0
    blocked: str | None = None


class Conversation(Protocol):
    """One conversation. It owns the provider's history; the loop never sees it."""

    def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply | None:
        """Send the goal, or one result for each call of the last reply, in their order.

        Returns None instead of waiting any longer once ``over()`` is true. Raises ``ModelError``.
        """

    def close(self) -> None:
        """End it, without waiting for an answer that is still on its way."""


class Client(Protocol):
    """A source of plans: a model behind an API, or a plan made from the spec alone."""

    name: str
    model: str | None

    def start(self, system: str, tools: Sequence[Tool]) -> Conversation:
        """Begin a conversation. Raises ``ModelError``."""


class Stop(StrEnum):
    """Why a loop ended."""

    done = "done"
    turns = "turns"
    deadline = "deadline"
    blocked = "blocked"
    cancelled = "cancelled"
