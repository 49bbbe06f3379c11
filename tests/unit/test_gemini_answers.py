"""What the Gemini client makes of each answer: a reply, or one ``ModelError`` with the cause in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_chaos.agent.protocol import Reply
from tests.support.asking import ask, failure
from tests.support.gemini_server import (
    KEY,
    MODEL,
    Answer,
    Gemini,
    answer,
    asks,
    call,
    fails,
    raw,
    says,
    thinks,
)

Start = Callable[..., Gemini]


@pytest.mark.parametrize(
    ("status", "words", "tries"),
    [
        (400, "the request was refused (400 BAD): no", 1),
        (401, "the key in GEMINI_API_KEY was refused (401 BAD): no", 1),
        (403, "the key in GEMINI_API_KEY was refused (403 BAD): no", 1),
        (404, f"no model '{MODEL}' (404 BAD): no", 1),
        (408, "the request was refused (408 BAD): no", 3),
        (429, "the quota is used up (429 BAD): no", 3),
        (500, "the service failed (500 BAD): no", 3),
        (501, "the service failed (501 BAD): no", 1),
        (503, "the service failed (503 BAD): no", 3),
        (204, "the request was refused (204 No Content): no message", 1),
    ],
)
def test_each_status_is_told(gemini: Start, status: int, words: str, tries: int) -> None:
    server = gemini(fails(status, "BAD") if status != 204 else Answer(status=204))
    assert words in failure()
    assert len(server.requests) == tries


def test_what_passes_at_the_third_try_is_an_answer(gemini: Start) -> None:
    server = gemini(fails(503), fails(429), says("At last."))
    assert ask().text == "At last."
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "body",
    [
        "<html>" + "x" * 5000,
        b"\xff\xfe",
        '{"error": "plain"}',
        '{"error": {"message": {"a": [1]}, "status": 7, "code": "x"}}',
        '[{"error": 1}, 2]',
        "null",
    ],
)
def test_an_error_without_the_usual_form_is_still_told(gemini: Start, body: bytes | str) -> None:
    gemini(raw(body, status=500))
    assert len(failure()) < 500


@pytest.mark.parametrize(
    "echo",
    [f"Consumer 'api_key:{KEY}' has been suspended.", f"{'x' * 290} {KEY}", f"\x1b[{KEY}m", f"a\n{KEY}\nb"],
)
def test_a_service_that_repeats_the_key_is_not_quoted(gemini: Start, echo: str) -> None:
    gemini(fails(403, KEY, echo))
    assert KEY[:12] not in failure()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "it holds no candidate"),
        ("null", "it holds no candidate"),
        ("[]", "it holds no candidate"),
        ("{}", "it holds no candidate"),
        ('{"candidates": []}', "it holds no candidate"),
        ("<html>", "not JSON"),
        ('{"candidates": [', "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"candidates": 3}', "gemini: "),
        ('{"candidates": [{"content": {"parts": [{"functionCall": {"args": [1]}}]}}]}', "not of the types"),
        ('{"candidates": [{"content": {"parts": [{"functionCall": {"args": "x"}}]}}]}', "not of the types"),
        ('{"candidates": [{"content": {"parts": [{"text": 3}]}}]}', "not of the types"),
        (
            '{"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"totalTokenCount": "x"}}',
            "types",
        ),
    ],
)
def test_a_malformed_answer_is_told(gemini: Start, body: bytes | str, words: str) -> None:
    gemini(raw(body))
    assert words in failure()


def test_a_value_that_the_sdk_does_not_know_is_an_error_where_warnings_are(gemini: Start) -> None:
    gemini(says("Fine.", finish="FROM_THE_FUTURE"))
    assert failure().startswith("gemini: ")  # the words depend on the versions of the SDK and of pydantic


@pytest.mark.filterwarnings("ignore:FROM_THE_FUTURE")
@pytest.mark.parametrize(
    "turn", [says("Fine.", finish="FROM_THE_FUTURE"), asks({"qps": 1}, finish="FROM_THE_FUTURE")]
)
def test_a_value_that_the_sdk_does_not_know_ends_it_otherwise(gemini: Start, turn: Answer) -> None:
    gemini(turn)
    assert ask() == Reply(blocked="the model stopped: FROM_THE_FUTURE", tokens=10)


@pytest.mark.parametrize(
    "reason", ["SAFETY", "MALFORMED_FUNCTION_CALL", "RECITATION", "OTHER", "MALFORMED_RESPONSE"]
)
@pytest.mark.parametrize("parts", [[], [{"text": "half"}], [call({"qps": 1})]])
def test_a_model_that_was_stopped_is_blocked(gemini: Start, reason: str, parts: list[dict[str, Any]]) -> None:
    gemini(answer(*parts, finish=reason))
    assert ask() == Reply(blocked=f"the model stopped: {reason}", tokens=10)


def test_nothing_is_continued_behind_our_back(gemini: Start) -> None:
    server = gemini(
        answer({"text": "half"}, finish="CONTINUATION", continuationToken="YWI="), says("the rest")
    )
    assert ask() == Reply(blocked="the model stopped: CONTINUATION", tokens=10)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("turn", "reply"),
    [
        (answer(finish="MAX_TOKENS"), Reply(blocked="the model stopped: MAX_TOKENS", tokens=10)),
        (thinks("hm", finish="MAX_TOKENS"), Reply(blocked="the model stopped: MAX_TOKENS", tokens=10)),
        (says("half", finish="MAX_TOKENS"), Reply(text="half", tokens=10)),
        (thinks("hm"), Reply(tokens=10)),
        (answer(), Reply(tokens=10)),
        (answer({"text": "a"}, {"text": "b", "thought": True}, {"text": "c"}), Reply(text="ac", tokens=10)),
        (raw({"promptFeedback": {"blockReason": "SAFETY"}}), Reply(blocked="the prompt was blocked: SAFETY")),
        (raw({"candidates": [{}]}), Reply()),
    ],
)
def test_an_answer_without_a_call_is_read(gemini: Start, turn: Answer, reply: Reply) -> None:
    gemini(turn)
    assert ask() == reply


@pytest.mark.parametrize(
    ("used", "tokens"),
    [
        ({"totalTokenCount": 7}, 7),
        ({"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 5}, 10),
        ({"totalTokenCount": 1, "promptTokenCount": 30}, 30),
        ({"totalTokenCount": -5}, 0),
        (None, 0),
    ],
)
def test_tokens_are_counted(gemini: Start, used: Any, tokens: int) -> None:
    gemini(
        raw({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}], "usageMetadata": used})
    )
    assert ask().tokens == tokens
