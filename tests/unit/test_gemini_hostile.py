"""Whatever a model answers, only loads inside the bounds run, each call gets one result, and it ends."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_chaos.agent.gemini import GeminiClient
from pytest_chaos.agent.loop import LoopReport, run_tool_loop
from pytest_chaos.agent.protocol import Stop
from pytest_chaos.errors import ModelError
from tests.support.gemini_server import KEY, MODEL, Answer, Gemini, answer, asks, call, raw, says, thinks
from tests.support.noted import Noted

Start = Callable[..., Gemini]

FINE = {"qps": 100}


def play(noted: Noted, *, max_calls: int = 1) -> LoopReport:
    """Let the model do what it likes. Its key appears nowhere in the report."""
    client = GeminiClient(model=MODEL, timeout_s=20.0)
    report = run_tool_loop(client, "Break it.", [noted.tool(max_calls)], "Be careful.")
    assert KEY not in json.dumps(report.to_json())
    return report


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is answered, what may run, and the fate of each call: part of its refusal, or None if it is accepted."""

    name: str
    script: tuple[Answer, ...]
    fates: tuple[str | None, ...]
    ran: tuple[dict[str, Any], ...] = ()
    stop: Stop = Stop.done


def one(name: str, turn: Answer, *fates: str | None, ran: tuple[dict[str, Any], ...] = ()) -> Row:
    """Return a row of one bad answer and a good end."""
    return Row(name=name, script=(turn, says("Done.")), fates=fates, ran=ran)


def qps(name: str, value: Any, fate: str) -> Row:
    """Return a row in which the rate is something else."""
    return one(f"qps {name}", asks({"qps": value}), fate)


NO_TOOL = "no such tool"
EXTRA = "Extra inputs are not permitted"
INTEGER = "valid integer"
OBJECT = "arguments must be an object"
BUDGET = "the budget of 1"

ROWS = (
    one("another tool", asks({"command": "rm -rf /"}, tool="run_command"), NO_TOOL),
    one("a tool like ours", asks(FINE, tool="Generate_Load"), NO_TOOL),
    one("a tool without a name", answer({"functionCall": {"args": FINE}}), NO_TOOL),
    one("a call of nothing", answer({"functionCall": {}}), NO_TOOL),
    *(
        one(f"also {extra}", asks({**FINE, extra: "http://10.0.0.1"}), EXTRA)
        for extra in ("url", "target", "service_url", "command", "flags", "headers", "__class__", "")
    ),
    qps("as text", "100", INTEGER),
    qps("as true", True, INTEGER),
    qps("as null", None, INTEGER),
    qps("in a list", [100], INTEGER),
    qps("as an object", {"value": 100}, INTEGER),
    qps("zero", 0, "greater than or equal to 1"),
    qps("negative", -5, "greater than or equal to 1"),
    qps("negative zero", -0.0, "greater than or equal to 1"),
    qps("a fraction", 100.5, INTEGER),
    qps("one too many", 501, "less than or equal to 500"),
    qps("2**63", 2**63, "less than or equal to 500"),
    qps("10**4000", 10**4000, "less than or equal to 500"),
    qps("1e308", 1e308, "less than or equal to 500"),
    one(
        "an integral float",
        asks({"qps": 100.0, "concurrency": 4.0}),
        None,
        ran=({"qps": 100, "concurrency": 4},),
    ),
    one("a duration without end", asks({**FINE, "duration_s": 1e9}), "less than or equal to 60"),
    one("a duration as text", asks({**FINE, "duration_s": "60s"}), "duration_s"),
    one("no rate", asks({}), "Field required"),
    one("arguments null", asks(None), OBJECT),
    one("arguments missing", answer(call()), OBJECT),
    one("no id", answer(call(FINE, call_id=None)), None, ran=(FINE,)),
    one("an empty id", answer(call(FINE, call_id="")), None, ran=(FINE,)),
    one("an endless id", answer(call(FINE, call_id="\u202e\x00" * 9999)), None, ran=(FINE,)),
    one("the same id twice", answer(call(FINE), call({"qps": 5})), None, BUDGET, ran=(FINE,)),
    one("three at once", asks(FINE, {"qps": 5}, {"qps": 6}), None, BUDGET, BUDGET, ran=(FINE,)),
    one("a bad one before a good one", asks({"qps": "5"}, FINE), INTEGER, None, ran=(FINE,)),
    one("a call among its thoughts", answer({**call(FINE), "thought": True}), None, ran=(FINE,)),
    one("text around it", answer({"text": "Now."}, call(FINE), {"text": "Done."}), None, ran=(FINE,)),
    one("a lone surrogate", asks({"qps": 5, "\ud800": "\udfff"}), "unicode"),
    one("a very long name", asks({**FINE, "x" * 100_000: 1}), "more characters"),
    Row(
        name="the same again",
        script=(asks(FINE), asks({"qps": 5}), says("k")),
        fates=(None, BUDGET),
        ran=(FINE,),
    ),
    Row(
        name="endless calls", script=(asks(FINE),), fates=(None, *[BUDGET] * 7), ran=(FINE,), stop=Stop.turns
    ),
    Row(name="endless nonsense", script=(asks({"qps": "no"}),), fates=(INTEGER,) * 8, stop=Stop.turns),
    Row(
        name="it claims success",
        script=(says("I ran 500 qps for 60 s: 30000 requests, no errors."),),
        fates=(),
    ),
    Row(name="it only thinks", script=(thinks("I should call generate_load."),), fates=()),
    Row(name="it says nothing", script=(answer(),), fates=()),
    Row(name="it is cut off", script=(answer(finish="MAX_TOKENS"),), fates=(), stop=Stop.blocked),
    Row(name="it is unsafe", script=(answer(finish="SAFETY"),), fates=(), stop=Stop.blocked),
    Row(name="it garbles", script=(answer(finish="MALFORMED_FUNCTION_CALL"),), fates=(), stop=Stop.blocked),
    Row(
        name="it is unsafe later",
        script=(asks(FINE), answer(finish="SAFETY")),
        fates=(None,),
        ran=(FINE,),
        stop=Stop.blocked,
    ),
    Row(
        name="another candidate calls",
        script=(raw({"candidates": [{}, {"content": {"parts": [call(FINE)]}}]}),),
        fates=(),
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_hostile_answer(gemini: Start, row: Row) -> None:
    server, noted = gemini(*row.script), Noted()
    report = play(noted)
    assert noted.ran == list(row.ran)
    assert report.stop is row.stop
    assert len(report.calls) == report.calls_total == len(row.fates)
    for made, fate in zip(report.calls, row.fates, strict=True):
        assert made.get("accepted") if fate is None else fate in made["refused"]
    assert server.refused == []  # each call got its one result, and all that was said came back
    assert report.turns == len(server.requests) <= 8


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize("name", ["qps", "duration_s"])
def test_a_number_that_is_none_runs_nothing_and_ends_it(gemini: Start, number: str, name: str) -> None:
    """It is refused like any other; but then it would have to be sent back, and it is no JSON."""
    body = asks({**FINE, name: "here"}).body.replace(b'"here"', number.encode())
    noted, server = Noted(), gemini(raw(body))
    with pytest.raises(ModelError, match="Invalid JSON payload"):
        play(noted)
    assert noted.ran == []
    assert len(server.requests) == 2


@pytest.mark.parametrize("args", [[1], "qps=100", 100, True])
def test_arguments_that_the_sdk_cannot_read_run_nothing(gemini: Start, args: Any) -> None:
    gemini(asks(args))
    noted = Noted()
    with pytest.raises(ModelError, match="malformed answer"):
        play(noted)
    assert noted.ran == []


def test_a_thousand_calls_at_once_get_a_result_each(gemini: Start) -> None:
    server, noted = gemini(asks(*[FINE] * 1000), says("Done.")), Noted()
    report = play(noted, max_calls=2)
    assert noted.ran == [FINE] * 2
    assert len(server.requests[1].results) == report.calls_total == 1000
    assert [len(result["response"]) for result in server.requests[1].results] == [1] * 1000


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07", "red link"),
        ("\x9b31mred \x07\x08\x00", "red "),
        ("<b>]]></b> &amp; <script>", "<b>]]></b> &amp; <script>"),
        ("lone \ud800 surrogate \udfff", "lone  surrogate "),
        ("\u202edesrever\u2028", "desrever"),
        (f"your key is {KEY}.", "your key is <the key>."),
    ],
)
def test_what_it_says_is_made_harmless(gemini: Start, said: str, kept: str) -> None:
    gemini(says(said))
    assert play(Noted()).text == kept


def test_two_megabytes_of_text_are_cut(gemini: Start) -> None:
    gemini(says("I did it. " * 200_000 + "\x1b["))
    text = play(Noted()).text
    assert text.startswith("I did it. I did it.")
    assert len(text) < 2_100
    assert not [character for character in text if unicodedata.category(character) == "Cc"]


def test_a_key_in_the_arguments_is_not_kept(gemini: Start) -> None:
    """Whatever stands between us and the model may know the key; no report does."""
    gemini(asks({**FINE, KEY: {"list": [KEY]}}), says("Done."))
    (made,) = play(Noted()).calls
    assert made["args"] == {**FINE, "<the key>": {"list": ["<the key>"]}}
    assert made["refused"] == f"<the key>: {EXTRA}"


def test_a_tool_with_the_name_of_the_key_is_not_kept(gemini: Start) -> None:
    gemini(asks(FINE, tool=KEY), says("Done."))
    with pytest.raises(ModelError, match="ids and names") as caught:
        play(Noted())
    assert KEY not in str(caught.value)
