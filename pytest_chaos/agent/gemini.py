"""The Gemini client: a conversation with a model, over google-genai. Whatever fails is one ``ModelError``.

The SDK is only ever asked in a thread of its own. Its timeout bounds single socket operations, so an answer may
drip in for ever, and nothing can interrupt a request: whoever waits must be able to walk away. And its frames hold
the API key, and ``pytest --showlocals`` prints every frame that an exception leads to: so no exception of the SDK
leaves that thread, only words.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from pytest_chaos import clocks
from pytest_chaos.agent._gemini_answers import Key, in_words, no_answer_within, reply_from
from pytest_chaos.agent.protocol import Reply, Tool, ToolResult
from pytest_chaos.errors import ModelError
from pytest_chaos.scrub import clean_json

if TYPE_CHECKING:
    from google.genai import Client as Sdk
    from google.genai import types

_KEY_VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_RETRY: Final[dict[str, float]] = {"attempts": 3, "initial_delay": 1.0, "max_delay": 8.0}
_LOOK_UP_S: Final = 0.05
_SDK_LOG: Final = "google_genai._api_client"  # tells of each retry, with all that the service said

# What the service documents of JSON Schema for functions. Whatever else a schema says, the loop checks anyway.
_SCHEMA_WORDS: Final = {
    *(
        "$defs",
        "$ref",
        "title",
        "description",
        "type",
        "format",
        "enum",
        "anyOf",
        "oneOf",
        "minimum",
        "maximum",
    ),
    *("items", "minItems", "maxItems", "properties", "additionalProperties", "required"),
}


class GeminiClient:
    """Ask a Gemini model what to do.

    The key is read from ``GEMINI_API_KEY`` when a conversation starts, or from ``GOOGLE_API_KEY`` if the first is
    not set. (The SDK on its own prefers the second, and logs so.) Proxies and ``GOOGLE_GEMINI_BASE_URL`` count as
    the environment says; what it says of Vertex AI does not.

    Args:
        model: the model's name, as the service spells it.
        api_version: ``v1`` or ``v1beta``, say; None leaves it to the SDK.
        timeout_s: seconds that one answer may take, its up to three attempts and the pauses between them included.
        max_output_tokens: tokens that one answer may have, thoughts included.
    """

    name: str = "gemini"

    def __init__(
        self,
        *,
        model: str,
        api_version: str | None = None,
        timeout_s: float = 30.0,
        max_output_tokens: int = 8192,
    ) -> None:
        self.model: str | None = model
        self._model = model
        self._api_version = api_version
        self._timeout_s = timeout_s
        self._max_output_tokens = max_output_tokens

    def start(self, system: str, tools: Sequence[Tool]) -> GeminiConversation:
        """Begin a conversation; nothing is sent yet.

        Raises:
            ModelError: google-genai is missing or unfit, or there is no usable key.
        """
        made = self._open(_key(), system, tools)
        if isinstance(made, ModelError):
            raise made
        return made

    def _open(self, key: Key, system: str, tools: Sequence[Tool]) -> GeminiConversation | ModelError:
        """Return the conversation, or why there is none. The frames that see the key end here."""
        closed = Event()
        try:
            config = _config(system, tools, self._max_output_tokens)
            sdk = _connect(key, closed, api_version=self._api_version, timeout_s=self._timeout_s)
        except Exception as error:  # noqa: BLE001 - from a missing extra to a broken file of certificates
            if isinstance(error, ImportError) and error.name in {"google", "google.genai"}:
                return ModelError("gemini: google-genai is not installed; pip install 'pytest-chaos[gemini]'")
            why = f"{type(error).__name__}: {key.short(error)}"
            return ModelError(f"gemini: google-genai cannot be used, it should be version 3: {why}")
        return GeminiConversation(
            sdk, key, closed, model=self._model, config=config, timeout_s=self._timeout_s
        )


class GeminiConversation:
    """One conversation, and the thread that owns its SDK client: it asks, keeps the history, closes in the end."""

    def __init__(
        self,
        sdk: Sdk,
        key: Key,
        closed: Event,
        *,
        model: str,
        config: types.GenerateContentConfig,
        timeout_s: float,
    ) -> None:
        self._sdk = sdk
        self._key = key
        self._closed = closed
        self._model = model
        self._config = config
        self._timeout_s = timeout_s
        self._history: list[types.Content] = []
        self._messages: SimpleQueue[str | Sequence[ToolResult] | None] = SimpleQueue()
        self._answers: SimpleQueue[Reply | ModelError] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="pytest-chaos-gemini", daemon=True)
        self._thread.start()

    def send(self, message: str | Sequence[ToolResult], over: Callable[[], object]) -> Reply | None:
        """Send ``message`` and all that was said before; return the answer, or None once ``over()`` is true.

        Without an answer the conversation cannot be continued.

        Raises:
            ModelError: there is no answer in time, or none that can be understood.
        """
        if self._closed.is_set():
            raise ModelError("gemini: this conversation is over")
        self._messages.put(message)
        answer = self._answer(over)
        if not isinstance(answer, Reply):
            self._closed.set()
        if isinstance(answer, ModelError):
            raise answer
        return answer

    def _answer(self, over: Callable[[], object]) -> Reply | ModelError | None:
        limit = clocks.monotonic() + self._timeout_s
        while not over():
            left = limit - clocks.monotonic()
            if left <= 0:
                return ModelError(f"gemini: {no_answer_within(self._timeout_s)}")
            with suppress(Empty):
                return self._answers.get(timeout=min(left, _LOOK_UP_S))
        return None

    def close(self) -> None:
        """Have the connections closed, at once if no answer is on its way, else when it is here."""
        idle = not self._closed.is_set()
        self._closed.set()
        self._messages.put(None)
        if idle:
            self._thread.join(5.0)

    def _serve(self) -> None:
        log = logging.getLogger(_SDK_LOG)
        log.addFilter(self._key.hide_in)
        while (message := self._messages.get()) is not None:
            try:
                answer: Reply | ModelError = self._ask(message)
            except Exception as error:  # noqa: BLE001 - the boundary to the SDK, whose transports and errors vary
                words = in_words(error, self._key, model=self._model, timeout_s=self._timeout_s)
                answer = ModelError(f"gemini: {words}")
            self._answers.put(answer)
        log.removeFilter(self._key.hide_in)
        with suppress(Exception):  # nobody is left to be told
            self._sdk.close()
            # Else a garbage collector does it, as a task of whatever event loop it happens to run in.
            asyncio.run(self._sdk.aio.aclose())

    def _ask(self, message: str | Sequence[ToolResult]) -> Reply:
        self._history.append(_content(message))
        response = self._sdk.models.generate_content(
            model=self._model, contents=list(self._history), config=self._config
        )
        if response.candidates and response.candidates[0].content:
            self._history.append(response.candidates[0].content)  # verbatim: ids, thoughts, signatures
        return reply_from(response, self._key)


def _key() -> Key:
    """Return the key from the environment. Raises ``ModelError`` if there is none, or none that can be sent."""
    variable = next((name for name in _KEY_VARIABLES if os.environ.get(name, "").strip()), None)
    if variable is None:
        raise ModelError(f"gemini: there is no API key; set {_KEY_VARIABLES[0]} (or {_KEY_VARIABLES[1]})")
    secret = SecretStr(os.environ[variable].strip())
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ModelError(f"gemini: {variable} holds white space or a character outside of ASCII; no key does")
    return Key(variable, secret)


def _connect(key: Key, closed: Event, *, api_version: str | None, timeout_s: float) -> Sdk:
    from google.genai import Client, types  # noqa: PLC0415 - half a second and an extra, for who asks a model

    def refuse_when_closed(_request: object) -> None:
        if closed.is_set():  # the SDK retries, and nobody waits any more
            raise RuntimeError("the conversation is closed")

    return Client(
        vertexai=False,
        api_key=key.secret.get_secret_value(),
        http_options=types.HttpOptions(
            api_version=api_version,
            timeout=max(1, round(timeout_s * 1000)),
            client_args={"follow_redirects": False, "event_hooks": {"request": [refuse_when_closed]}},
            retry_options=types.HttpRetryOptions.model_validate(_RETRY),
        ),
    )


def _config(system: str, tools: Sequence[Tool], max_output_tokens: int) -> types.GenerateContentConfig:
    from google.genai import types  # noqa: PLC0415 - as in _connect

    declarations = [
        types.FunctionDeclaration(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=_documented(tool.args.model_json_schema()),
        )
        for tool in tools
    ]
    return types.GenerateContentConfig(
        system_instruction=system,
        temperature=0.0,
        seed=0,
        max_output_tokens=max_output_tokens,
        tools=[types.Tool(function_declarations=declarations)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )


def _documented(schema: Any) -> Any:
    """Return ``schema`` with the documented keywords alone."""
    if isinstance(schema, list):
        return [_documented(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = {word: schema[word] for word in ("properties", "$defs") if word in schema}
    plain = {
        word: _documented(value) for word, value in schema.items() if word in _SCHEMA_WORDS - named.keys()
    }
    return plain | {word: {name: _documented(one) for name, one in named[word].items()} for word in named}


def _content(message: str | Sequence[ToolResult]) -> types.Content:
    from google.genai import types  # noqa: PLC0415 - as in _connect

    if isinstance(message, str):
        return types.Content(role="user", parts=[types.Part(text=message)])
    responses = (
        types.FunctionResponse(
            id=result.call.id,
            name=result.call.name,
            response={"error": result.error} if result.error else {"output": clean_json(result.output)},
        )
        for result in message
    )
    return types.Content(role="user", parts=[types.Part(function_response=one) for one in responses])
