"""What every client of the loop keeps to, the one without a model and the one with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pytest

from pytest_chaos.agent.gemini import GeminiClient
from pytest_chaos.agent.loop import run_tool_loop
from pytest_chaos.agent.planned import PlannedClient
from pytest_chaos.agent.protocol import Client, Reply, Stop, Tool, ToolResult
from tests.support.gemini_server import MODEL, Answer, Gemini, asks, says
from tests.support.noted import Noted

Calls = Sequence[Mapping[str, Any]]


class Make(Protocol):
    """Make a client that will ask for ``calls``, one after another, and then end."""

    def __call__(self, calls: Calls) -> Client: ...


@pytest.fixture(params=["planned", "gemini"])
def make(request: pytest.FixtureRequest, gemini: Callable[..., Gemini]) -> Make:
    def planned(calls: Calls) -> Client:
        return PlannedClient([("generate_load", args) for args in calls])

    def asked(calls: Calls) -> Client:
        script: list[Answer] = [asks(args) for args in calls]
        gemini(*script, says("Both loads were delivered."))
        return GeminiClient(model=MODEL, timeout_s=20)

    return planned if request.param == "planned" else asked


def never() -> bool:
    return False


def answers(client: Client, tool: Tool, calls: Calls) -> list[Reply]:
    """Talk to the client without a loop, each call answered with the same result."""
    conversation = client.start("Be careful.", [tool])
    message: str | Sequence[ToolResult] = "Break it."
    replies = []
    try:
        for _ in range(len(calls) + 1):
            reply = conversation.send(message, never)
            assert reply is not None
            replies.append(reply)
            message = [ToolResult(call, {"requests": 1}) for call in reply.calls]
    finally:
        conversation.close()
    return replies


TWO: Calls = ({"qps": 100, "duration_s": 2.5, "concurrency": 4}, {"qps": 50})


def test_it_has_a_name_and_says_which_model_it_asks(make: Make) -> None:
    client = make(TWO)
    assert client.name
    assert client.model is None or client.model == MODEL


@pytest.mark.parametrize("calls", [(), TWO[:1], TWO])
def test_it_asks_for_one_call_after_another_and_then_ends(make: Make, calls: Calls) -> None:
    replies = answers(make(calls), Noted().tool(), calls)
    assert [[(call.name, call.args) for call in reply.calls] for reply in replies] == [
        *([("generate_load", args)] for args in calls),
        [],
    ]
    assert all(reply.blocked is None for reply in replies)
    assert replies[-1].text
    assert all(reply.tokens >= 0 for reply in replies)


def test_the_loop_carries_both_out_alike(make: Make) -> None:
    noted = Noted()
    report = run_tool_loop(make(TWO), "Break it.", [noted.tool(2)], "Be careful.")
    assert noted.ran == list(TWO)
    assert (report.stop, report.turns, report.calls_total) == (Stop.done, 3, 2)
    assert [(call["tool"], call["args"], call["accepted"]) for call in report.calls] == [
        ("generate_load", args, True) for args in TWO
    ]


def test_a_refusal_is_taken(make: Make) -> None:
    noted = Noted()
    too_much = {"qps": 501}
    report = run_tool_loop(make([too_much, *TWO]), "Break it.", [noted.tool(1)], "Be careful.")
    assert noted.ran == [TWO[0]]
    assert report.stop is Stop.done
    assert ["accepted" in call for call in report.calls] == [False, True, False]


def test_the_turns_are_bounded(make: Make) -> None:
    noted = Noted()
    report = run_tool_loop(make([{"qps": 5}] * 20), "Break it.", [noted.tool(2)], "Be careful.", max_turns=4)
    assert (report.stop, report.turns, noted.ran) == (Stop.turns, 4, [{"qps": 5}] * 2)


def test_each_conversation_begins_anew(make: Make) -> None:
    client = make(TWO)
    tool = Noted().tool()
    assert answers(client, tool, TWO[:1])[0].calls == answers(client, tool, TWO)[0].calls


def test_who_is_over_before_it_begins_asks_nobody(make: Make) -> None:
    noted = Noted()
    report = run_tool_loop(make(TWO), "Break it.", [noted.tool()], "Be careful.", cancelled=lambda: True)
    assert (report.stop, report.turns, noted.ran) == (Stop.cancelled, 0, [])


def test_it_can_be_closed_at_any_time_and_twice(make: Make) -> None:
    unused = make(TWO).start("Be careful.", [Noted().tool()])
    unused.close()
    unused.close()
    used = make(TWO).start("Be careful.", [Noted().tool()])
    used.send("Break it.", never)
    used.close()
    used.close()


def test_it_leaves_no_thread(make: Make) -> None:
    client = make(TWO)
    before = set(threading.enumerate())
    run_tool_loop(client, "Break it.", [Noted().tool(2)], "Be careful.")
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("pytest-chaos")]
