"""The Gemini client alone: what it sends, which key it takes, and what it needs to begin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from pytest_chaos.agent.gemini import GeminiClient
from pytest_chaos.agent.protocol import Tool, ToolCall, ToolResult
from pytest_chaos.errors import ModelError
from tests.support.asking import ask, begin, failure, never
from tests.support.gemini_server import KEY, MODEL, Gemini, answer, asks, call, fails, says

Start = Callable[..., Gemini]

# ---------------------------------------------------------------------- what is sent


def test_a_request_says_what_it_should(gemini: Start) -> None:
    server = gemini()
    ask(max_output_tokens=99, timeout_s=20.0)
    (request,) = server.requests
    assert request.path == f"/v1/models/{MODEL}:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["x-server-timeout"] == "20"
    (declared,) = request.body["tools"][0].pop("functionDeclarations")
    assert request.body == {
        "contents": [{"role": "user", "parts": [{"text": "Break it."}]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "Be careful."}]},
        "tools": [{}],
        "generationConfig": {"temperature": 0.0, "seed": 0, "maxOutputTokens": 99},
    }
    assert (declared["name"], declared["description"]) == ("generate_load", "Send requests.")
    assert declared["parametersJsonSchema"]["properties"]["qps"] == {
        "title": "Qps",
        "description": "Requests a second.",
        "type": "integer",
        "minimum": 1,
        "maximum": 500,
    }
    assert declared["parametersJsonSchema"]["required"] == ["qps"]
    assert declared["parametersJsonSchema"]["additionalProperties"] is False


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_the_version_is_the_one_asked_for(gemini: Start, version: str) -> None:
    server = gemini()
    ask(api_version=version)
    assert server.requests[0].path.startswith(f"/{version}/models/")


def test_a_schema_is_sent_without_what_the_service_does_not_document(gemini: Start) -> None:
    class Inner(BaseModel):
        title: Annotated[str, Field(pattern="^a", max_length=3)] = "a"

    class Args(BaseModel):
        above: Annotated[float, Field(gt=0, multiple_of=0.5)]
        default: int = 3
        pattern: Annotated[list[Inner], Field(min_length=1)]
        either: Annotated[int, Field(ge=1)] | None = None

    server = gemini()
    tool = Tool(name="load", description="Load.", args=Args, run=lambda _args: {})
    conversation = GeminiClient(model=MODEL).start("", [tool])
    conversation.send("Break it.", never)
    conversation.close()
    assert not server.refused
    sent = server.requests[0].body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert sent["properties"] == {  # the properties that are named like keywords are still there
        "above": {"title": "Above", "type": "number"},
        "default": {"title": "Default", "type": "integer"},
        "pattern": {"title": "Pattern", "type": "array", "items": {"$ref": "#/$defs/Inner"}, "minItems": 1},
        "either": {"title": "Either", "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    }
    assert sent["$defs"]["Inner"]["properties"] == {"title": {"title": "Title", "type": "string"}}


def test_the_history_goes_back_as_it_came_with_one_result_for_each_call(gemini: Start) -> None:
    thought = {"text": "Half first.", "thought": True, "thoughtSignature": "YWI="}
    turn = answer(
        thought,
        {"text": "Go."},
        call({"qps": 1}, call_id="x"),
        call({"qps": 2.0}, call_id=None, signed=False),
    )
    server = gemini(turn, asks({"qps": 3}), says("Done."))
    conversation = begin()
    first = conversation.send("Break it.", never)
    assert first is not None
    assert first.calls == (
        ToolCall("generate_load", {"qps": 1}, "x"),
        ToolCall("generate_load", {"qps": 2.0}, None),
    )
    assert first.text == "Go."
    results = [
        ToolResult(first.calls[0], {"p99_s": float("nan")}),
        ToolResult(first.calls[1], {}, error="too much"),
    ]
    second = conversation.send(results, never)
    assert second is not None
    conversation.send([ToolResult(second.calls[0], {"requests": 7})], never)
    conversation.close()
    assert server.refused == []
    assert server.requests[1].results == [
        {"id": "x", "name": "generate_load", "response": {"output": {"p99_s": None}}},
        {"name": "generate_load", "response": {"error": "too much"}},
    ]
    assert server.requests[2].results == [
        {"id": "call-1", "name": "generate_load", "response": {"output": {"requests": 7}}}
    ]
    assert len(server.requests[2].body["contents"]) == 5


def test_a_history_that_was_changed_would_be_refused(gemini: Start) -> None:
    """The strict server is one: what the tests above rely on."""
    server = gemini(asks({"qps": 1}, {"qps": 2}), says("Done."))
    for results in ([], ["call-2", "call-1"], ["call-1", "other"]):
        conversation = begin()
        conversation.send("Break it.", never)
        with pytest.raises(ModelError, match="refused"):
            conversation.send(
                [ToolResult(ToolCall("generate_load", {}, name), {}) for name in results], never
            )
        conversation.close()
    assert len(server.refused) == 3


def test_what_the_environment_says_of_vertex_does_not_count(
    gemini: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = gemini()
    for name in ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-central1")
    assert ask().text
    assert server.requests[0].headers["x-goog-api-key"] == KEY


# ---------------------------------------------------------------------- the key


@pytest.mark.parametrize(
    ("environment", "wins"),
    [
        ({"GEMINI_API_KEY": KEY}, "GEMINI_API_KEY"),
        ({"GOOGLE_API_KEY": KEY}, "GOOGLE_API_KEY"),
        ({"GEMINI_API_KEY": KEY, "GOOGLE_API_KEY": "for-maps"}, "GEMINI_API_KEY"),
        ({"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": KEY}, "GOOGLE_API_KEY"),
        ({"GEMINI_API_KEY": f"\t{KEY}\n"}, "GEMINI_API_KEY"),
    ],
)
def test_which_key_wins(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], wins: str
) -> None:
    server = gemini(fails(401, "UNAUTHENTICATED"))
    monkeypatch.delenv("GEMINI_API_KEY")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert f"the key in {wins} was refused (401 UNAUTHENTICATED)" in failure()
    assert server.requests[0].headers["x-goog-api-key"] == KEY


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_nothing_begins(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    gemini()
    monkeypatch.delenv("GEMINI_API_KEY")
    if value is not None:
        monkeypatch.setenv("GOOGLE_API_KEY", value)
    assert "set GEMINI_API_KEY (or GOOGLE_API_KEY)" in failure()


@pytest.mark.parametrize("between", ["\n", " ", "\x7f", "é"])
def test_a_key_that_cannot_be_sent_is_not_shown(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    server = gemini()
    monkeypatch.setenv("GEMINI_API_KEY", f"{KEY}{between}{KEY}")
    assert "GEMINI_API_KEY holds white space" in failure()
    assert not server.requests


def test_a_wrong_key_is_told_as_one(gemini: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gemini()
    monkeypatch.setenv("GEMINI_API_KEY", "wrong")
    assert "the key in GEMINI_API_KEY was refused (400 INVALID_ARGUMENT): API key not valid." in failure()


# ---------------------------------------------------------------------- what cannot be begun


@pytest.mark.parametrize("missing", ["google", "google.genai"])
def test_a_missing_extra_is_told_with_the_remedy(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    gemini()
    for name in [name for name in sys.modules if name.startswith("google.genai")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert "google-genai is not installed; pip install 'pytest-chaos[gemini]'" in failure()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GOOGLE_GENAI_HTTP_CLIENT", "httpx", "ImportError"),
        ("SSL_CERT_FILE", "/nowhere", "FileNotFoundError"),
    ],
)
def test_an_sdk_that_cannot_be_set_up_is_told(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    gemini()
    monkeypatch.setenv(name, value)
    assert f"google-genai cannot be used, it should be version 3: {words}" in failure()


def test_a_stray_variable_that_breaks_the_sdk_is_told(gemini: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gemini()
    monkeypatch.setenv("GOOGLE_GENAI_CLIENT_MODE", "replay")
    assert "gemini: " in failure()


def test_a_name_that_is_no_model_is_told(gemini: Start) -> None:
    gemini()
    assert "invalid model parameter" in failure(model="../files?x=1")
    assert f"no model '{MODEL}-2' (404 NOT_FOUND)" in failure(model=f"{MODEL}-2")
    assert "see --chaos-model and --chaos-api-version" in failure(api_version="v9")
