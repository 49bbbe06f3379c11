"""Ask the Gemini client one thing, and look closely at how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.agent.gemini import GeminiClient, GeminiConversation
from pytest_chaos.agent.protocol import Reply
from pytest_chaos.errors import ModelError
from tests.support.gemini_server import KEY, MODEL
from tests.support.noted import Noted


def never() -> bool:
    """Tell that it is not over."""
    return False


def begin(**more: Any) -> GeminiConversation:
    """Begin a conversation about one tool; ``more`` are arguments of the client."""
    client = GeminiClient(**{"model": MODEL, "timeout_s": 20.0, **more})
    return client.start("Be careful.", [Noted().tool()])


def ask(**more: Any) -> Reply:
    """Send one message, and return the answer."""
    conversation = begin(**more)
    try:
        reply = conversation.send("Break it.", never)
    finally:
        conversation.close()
    assert reply is not None
    return reply


def failure(**more: Any) -> str:
    """Return the words of the one error: it leads to no other, to no frame but ours, and nowhere to the key."""
    with pytest.raises(ModelError) as caught:
        ask(**more)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = [entry for entry in caught.traceback if not Path(str(entry.path)).samefile(__file__)]
    assert {Path(str(entry.path)).name for entry in frames} == {"gemini.py"}
    shown = [f"{name} = {value!r}" for entry in frames for name, value in entry.frame.f_locals.items()]
    assert shown
    assert KEY not in "\n".join([str(error), *shown])
    return str(error)
