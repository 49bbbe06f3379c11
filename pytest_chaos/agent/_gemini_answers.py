"""What came back from Gemini, in our words: replies, failures, and never the key."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from pytest_chaos.agent.protocol import Reply, ToolCall
from pytest_chaos.scrub import clean

if TYPE_CHECKING:
    from google.genai import types

_MAX_WORDS: Final = 300
_NORMAL_ENDS: Final = {"STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"}


@dataclass(frozen=True, slots=True)
class Key:
    """The API key, and the environment variable that it came from. Its ``repr`` does not tell it."""

    variable: str
    secret: SecretStr

    def redact(self, value: Any) -> Any:
        """Return ``value``, plain JSON, without the key: the other side knows it and may have put it anywhere."""
        if isinstance(value, str):
            return value.replace(self.secret.get_secret_value(), "<the key>")
        if isinstance(value, dict):
            return {self.redact(name): self.redact(item) for name, item in value.items()}
        return [self.redact(item) for item in value] if isinstance(value, list) else value

    def hide_in(self, record: logging.LogRecord) -> bool:
        """Take the key out of what is about to be logged. A filter of a logger."""
        record.msg, record.args = self.redact(record.getMessage()), ()
        return True

    def short(self, said: object) -> str:
        """Return the words of an error or of the service on one line, cut short, without the key."""
        text: str = self.redact(" ".join(str(said).split()))
        return clean(text, _MAX_WORDS)


class NoCandidate(Exception):
    """An answer without an answer in it."""


def reply_from(response: types.GenerateContentResponse, key: Key) -> Reply:
    """Read an answer. If the model was kept from answering, ``blocked`` says why; an empty answer is just empty.

    Raises:
        NoCandidate: it is no answer.
    """
    tokens = _tokens(response.usage_metadata)
    if not response.candidates:
        feedback = response.prompt_feedback
        if feedback is None or feedback.block_reason is None:
            raise NoCandidate
        return Reply(
            blocked=key.redact(f"the prompt was blocked: {feedback.block_reason.value}"), tokens=tokens
        )
    candidate = response.candidates[0]
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    asked = [part.function_call for part in parts if part.function_call]
    end = candidate.finish_reason.value if candidate.finish_reason else "STOP"
    if end not in _NORMAL_ENDS or (end == "MAX_TOKENS" and not text and not asked):
        return Reply(blocked=key.redact(f"the model stopped: {end}"), tokens=tokens)
    calls = (ToolCall(key.redact(call.name or ""), key.redact(call.args), call.id) for call in asked)
    return Reply(text=key.redact(text), calls=tuple(calls), tokens=tokens)


def _tokens(used: types.GenerateContentResponseUsageMetadata | None) -> int:
    if used is None:
        return 0
    parts = (used.prompt_token_count, used.candidates_token_count, used.thoughts_token_count)
    return max(0, used.total_token_count or 0, sum(count or 0 for count in parts))


def in_words(error: Exception, key: Key, *, model: str, timeout_s: float) -> str:
    """Say why there is no answer. Errors of the transports are told by name: which transport it is depends."""
    kind = type(error).__name__
    if kind in {"APIError", "ClientError", "ServerError"}:
        return _refusal(error, key, model)
    if isinstance(error, Warning):
        return f"google-genai warns about the answer, and warnings are errors here: {key.short(error)}"
    if isinstance(error, NoCandidate):
        return "malformed answer: it holds no candidate"
    if kind == "ValidationError":
        return "malformed answer: its parts are not of the types that google-genai knows"
    if isinstance(error, UnicodeError | RecursionError) or kind in {
        "JSONDecodeError",
        "UnknownApiResponseError",
    }:
        return f"malformed answer: it is not JSON that can be read ({kind})"
    if "Timeout" in kind:
        return no_answer_within(timeout_s)
    if "Connect" in kind or "Proxy" in kind:
        return f"cannot connect ({key.short(error)}); check the network, proxies and GOOGLE_GEMINI_BASE_URL"
    return f"the request failed: {kind}: {key.short(error)}"


def no_answer_within(timeout_s: float) -> str:
    """Say that it took too long."""
    return f"no complete answer within {timeout_s:g} s (--chaos-model-timeout)"


def _refusal(error: Any, key: Key, model: str) -> str:
    """Say what a status other than 200 means. An unknown key is a 400 here, told by its details."""
    code = error.code if isinstance(error.code, int) else 0
    said = f"{code} {key.short(error.status or '')}".strip()
    message = key.short(error.message or "no message")
    if code in {401, 403} or (code == 400 and "API_KEY_INVALID" in str(error.details)):
        return f"the key in {key.variable} was refused ({said}): {message}"
    if code == 404:
        return f"no model {model!r} ({said}): {message}; see --chaos-model and --chaos-api-version"
    if code == 429:
        return f"the quota is used up ({said}): {message}"
    if 300 <= code < 400:
        return f"redirected ({said}), and redirects are not followed; check GOOGLE_GEMINI_BASE_URL"
    if code >= 500:
        return f"the service failed ({said}): {message}"
    return f"the request was refused ({said}): {message}"
