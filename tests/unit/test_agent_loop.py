"""The tool loop: every limit holds against a client that does whatever it likes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pytest_chaos.agent.chaos_agent import ChaosAgent
from pytest_chaos.agent.loop import LoopReport, run_tool_loop
from pytest_chaos.agent.planned import PlannedClient
from pytest_chaos.agent.protocol import Reply, Stop, Tool, ToolCall, ToolResult
from pytest_chaos.base import SPEC_CONFIG, Integral
from pytest_chaos.errors import ModelError, ToolRefused


class Script:
    """A client that answers with the given replies, and then for ever with the last one."""

    name = "script"
    model: str | None = "one"

    def __init__(self, *replies: Reply) -> None:
        self._replies = replies
        self.got: list[str | Sequence[ToolResult]] = []
        self.closed = 0
        self.started_with: tuple[str, tuple[str, ...]] | None = None

    def start(self, system: str, tools: Sequence[Tool]) -> Script:
        self.started_with = (system, tuple(tool.name for tool in tools))
        return self

    def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply | None:
        assert not over()
        assert not self.closed
        self.got.append(message)
        return self._replies[min(len(self.got), len(self._replies)) - 1]

    def close(self) -> None:
        self.closed += 1

    @property
    def results(self) -> list[ToolResult]:
        return [result for message in self.got if not isinstance(message, str) for result in message]


class Args(BaseModel):
    model_config = SPEC_CONFIG

    qps: Annotated[int, Field(ge=1, le=100), Integral]
    note: str = ""


class Recorder:
    """A tool's function that keeps what it was called with."""

    def __init__(self, do: Callable[[], None] = lambda: None) -> None:
        self.calls: list[Args] = []
        self._do = do

    def __call__(self, args: Args) -> Mapping[str, Any]:
        self.calls.append(args)
        self._do()
        return {"delivered": args.qps}


def call(name: Any = "load", **args: Any) -> ToolCall:
    return ToolCall(name, args, id="c1")


def load(run: Callable[[Any], Mapping[str, Any]], max_calls: int = 3) -> Tool:
    return Tool(name="load", description="Load it.", args=Args, run=run, max_calls=max_calls)


DONE = Reply(text="finished")


def run(client: Script, *tools: Tool, **limits: Any) -> LoopReport:
    return run_tool_loop(client, "break it", tools, "be careful", **limits)


def test_a_call_runs_its_tool_and_the_result_goes_back() -> None:
    tool = Recorder()
    client = Script(Reply(text="let me", calls=(call(qps=7),), tokens=5), Reply(text="finished", tokens=3))
    report = run(client, load(tool))
    assert tool.calls == [Args(qps=7)]
    assert client.started_with == ("be careful", ("load",))
    assert client.got[0] == "break it"
    assert client.results == [ToolResult(call(qps=7), {"delivered": 7})]
    assert client.closed == 1
    assert report.to_json() == {
        "client": "script",
        "model": "one",
        "turns": 2,
        "calls_total": 1,
        "calls": [{"tool": "load", "args": {"qps": 7}, "accepted": True, "output": {"delivered": 7}}],
        "tokens": 8,
        "stop": "done",
        "model_text": "finished",
    }


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (call("unload", qps=7), "no such tool; there is: load"),
        (call(None, qps=7), "no such tool"),
        (call(["load"], qps=7), "no such tool"),
        (ToolCall("load", None), "must be an object"),
        (ToolCall("load", "qps=7"), "must be an object"),
        (ToolCall("load", [7]), "must be an object"),
        (call(), "qps: Field required"),
        (call(qps=0), "qps: .*greater than or equal to 1"),
        (call(qps=101), "qps: .*less than or equal to 100"),
        (call(qps="7"), "qps: .*valid integer"),
        (call(qps=True), "qps: .*valid integer"),
        (call(qps=7.5), "qps: .*valid integer"),
        (call(qps=float("nan")), "qps: "),
        (call(qps=float("inf")), "qps: "),
        (call(qps=7, target="http://10.0.0.1/"), "target: .*not permitted"),
        (call(qps=7, note=None), "note: "),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_words_and_runs_nothing(bad: ToolCall, why: str) -> None:
    tool = Recorder()
    client = Script(Reply(calls=(bad,)), DONE)
    report = run(client, load(tool, max_calls=1))
    assert tool.calls == []
    (result,) = client.results
    assert result.call is bad
    assert result.output == {}
    assert result.error is not None
    assert re.search(why, result.error), result.error
    assert report.calls[0]["refused"] == result.error
    assert "accepted" not in report.calls[0]
    assert report.stop is Stop.done


def test_a_whole_float_is_taken_as_the_number_it_is() -> None:
    tool = Recorder()
    run(Script(Reply(calls=(call(qps=7.0),)), DONE), load(tool))
    assert [type(args.qps) for args in tool.calls] == [int]


def test_each_call_of_a_reply_gets_one_result_in_its_place() -> None:
    tool = Recorder()
    calls = (call(qps=1), call("other"), call(qps=0), call(qps=2), call(qps=3))
    client = Script(Reply(calls=calls), DONE)
    run(client, load(tool, max_calls=2))
    assert [result.call for result in client.results] == list(calls)
    assert [result.error is None for result in client.results] == [True, False, False, True, False]
    assert [args.qps for args in tool.calls] == [1, 2]


def test_the_budget_of_a_tool_holds_over_all_turns() -> None:
    tool = Recorder()
    client = Script(Reply(calls=(call(qps=1),)))
    report = run(client, load(tool, max_calls=2), max_turns=5)
    assert len(tool.calls) == 2
    assert client.results[2].error == "the budget of 2 for load is used up"
    assert report.stop is Stop.turns
    assert report.turns == 5


def test_refused_calls_cost_no_budget() -> None:
    tool = Recorder()
    client = Script(Reply(calls=(call(qps=0), call(qps=0), call(qps=5))), DONE)
    run(client, load(tool, max_calls=1))
    assert [args.qps for args in tool.calls] == [5]


def test_a_tool_may_refuse_a_call_itself() -> None:
    def refuse(_args: Args) -> Mapping[str, Any]:
        raise ToolRefused("12 s are left, 60 were asked")

    client = Script(Reply(calls=(call(qps=5),)), DONE)
    report = run(client, load(refuse))
    assert client.results[0].error == "12 s are left, 60 were asked"
    assert report.calls == [{"tool": "load", "args": {"qps": 5}, "refused": "12 s are left, 60 were asked"}]


def test_what_a_tool_breaks_is_not_hidden() -> None:
    def broken(_args: Args) -> Mapping[str, Any]:
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        run(Script(Reply(calls=(call(qps=5),)), DONE), load(broken))


def test_what_a_client_cannot_answer_is_not_hidden() -> None:
    class Silent(Script):
        def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply | None:
            raise ModelError(f"quota used up, {len(message)} not sent, {over()}")

    client = Silent(DONE)

    with pytest.raises(ModelError, match="quota"):
        run(client, load(Recorder()))
    assert client.closed == 1


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_the_number_of_turns_is_bounded(turns: int) -> None:
    client = Script(Reply(calls=(call(qps=1),)))
    report = run(client, load(Recorder(), max_calls=100), max_turns=turns)
    assert (report.turns, len(client.got), report.stop) == (turns, turns, Stop.turns)


def test_a_thousand_calls_get_an_answer_each_but_no_place_in_the_report() -> None:
    client = Script(Reply(calls=tuple(call("nothing", n=n) for n in range(1000))), DONE)
    report = run(client, load(Recorder()))
    assert len(client.results) == report.to_json()["calls_total"] == 1000
    assert 1 <= len(report.calls) <= 64


def test_after_the_deadline_nothing_is_sent_and_nothing_run() -> None:
    client = Script(DONE)
    report = run(client, load(Recorder()), deadline=time.monotonic() - 1)
    assert (client.got, report.stop, report.turns) == ([], Stop.deadline, 0)


def test_an_answer_that_does_not_come_in_time_ends_the_loop() -> None:
    """A conversation returns nothing once it is told that the time is over."""

    class Slow(Script):
        def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply | None:
            self.got.append(message)
            while not over():
                time.sleep(0.005)
            return None

    late, cancelled = Slow(DONE), Slow(DONE)
    assert run(late, load(Recorder()), deadline=time.monotonic() + 0.05).stop is Stop.deadline
    assert run(cancelled, load(Recorder()), cancelled=lambda: bool(cancelled.got)).stop is Stop.cancelled
    assert late.closed == cancelled.closed == 1


def test_the_deadline_is_looked_at_before_each_call() -> None:
    deadline = time.monotonic() + 0.05

    def until_the_deadline() -> None:
        while time.monotonic() < deadline:
            time.sleep(0.005)

    tool = Recorder(until_the_deadline)
    client = Script(Reply(calls=(call(qps=1), call(qps=2))), DONE)
    report = run(client, load(tool), deadline=deadline)
    assert [args.qps for args in tool.calls] == [1]
    assert [one.get("refused") for one in report.calls] == [None, "not run: deadline"]
    assert report.stop is Stop.deadline
    assert len(client.got) == 1


def test_cancelling_is_looked_at_before_each_call_and_each_turn() -> None:
    tool = Recorder()
    client = Script(Reply(calls=(call(qps=1), call(qps=2))))
    report = run(client, load(tool), cancelled=lambda: len(tool.calls) == 1)
    assert [args.qps for args in tool.calls] == [1]
    assert [one.get("refused") for one in report.calls] == [None, "not run: cancelled"]
    assert report.stop is Stop.cancelled
    assert len(client.got) == 1


def test_cancelled_before_the_first_turn() -> None:
    client = Script(DONE)
    assert run(client, cancelled=lambda: True).stop is Stop.cancelled
    assert client.got == []


def test_a_client_that_will_not_answer_ends_the_loop() -> None:
    client = Script(Reply(blocked="safety", calls=(call(qps=1),)))
    tool = Recorder()
    report = run(client, load(tool))
    assert (report.stop, report.text, tool.calls) == (Stop.blocked, "safety", [])


def test_the_tokens_are_bounded() -> None:
    tool = Recorder()
    client = Script(Reply(calls=(call(qps=1),), tokens=60))
    report = run(client, load(tool, max_calls=9), max_tokens=100)
    assert len(tool.calls) == 1
    assert report.stop is Stop.blocked
    assert "budget of 100 tokens" in report.text


def test_what_the_client_says_is_scrubbed_and_cut() -> None:
    said = "\x1b[31mred\x1b[0m \ud800\x00" + "x" * 10_000
    report = run(Script(Reply(text=said)))
    assert report.text.startswith("red x")
    assert len(report.text) < 2_100
    report.text.encode()


def test_arguments_are_scrubbed_before_they_reach_a_report() -> None:
    client = Script(Reply(calls=(call(qps=1, note="\x1b]0;title\x07\ud800ok"), call("\x1b[2Jx"))), DONE)
    report = run(client, load(Recorder()))
    assert report.calls[0]["args"]["note"] == "ok"
    assert report.calls[1]["tool"] == "x"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(["load", "other", "", None]), anything), max_size=6))
def test_whatever_a_client_calls_the_bounds_hold(wanted: list[tuple[Any, Any]]) -> None:
    tool = Recorder()
    calls = tuple(ToolCall(name, args) for name, args in wanted)
    client = Script(Reply(calls=calls), DONE)
    report = run(client, load(tool, max_calls=2))
    assert len(tool.calls) <= 2
    assert all(1 <= args.qps <= 100 for args in tool.calls)
    assert len(report.calls) == len(calls)
    assert len(client.results) == len(calls)


def test_the_planned_client_makes_its_calls_one_a_turn_and_ends() -> None:
    tool = Recorder()
    planned = PlannedClient([("load", {"qps": 1}), ("load", {"qps": 2})])
    report = ChaosAgent(client=planned).run("break it", [load(tool)])
    assert [args.qps for args in tool.calls] == [1, 2]
    assert (report.client, report.model, report.stop, report.turns) == ("planned", None, Stop.done, 3)
    assert report.text


def test_the_planned_client_is_held_to_the_same_bounds() -> None:
    tool = Recorder()
    report = ChaosAgent(client=PlannedClient([("load", {"qps": 1000})])).run("break it", [load(tool)])
    assert tool.calls == []
    assert "less than or equal to 100" in report.calls[0]["refused"]


def test_the_planned_client_can_be_used_again() -> None:
    planned = PlannedClient([("load", {"qps": 1})])
    first, second = Recorder(), Recorder()
    for tool in (first, second):
        ChaosAgent(client=planned).run("break it", [load(tool)])
    assert first.calls == second.calls == [Args(qps=1)]
