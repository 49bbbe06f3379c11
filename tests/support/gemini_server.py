"""Gemini: a strict local server that speaks the real protocol over real HTTP, and answers from a script.

It refuses what the service refuses, in the same words: see ``gemini_rules``. What it answers is data: a list of
``Answer``, made with the functions below. The last one is given again and again; a new conversation, once the one
before has had an answer of the model, begins the list anew.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support import gemini_rules as rules

KEY = "AIzaSy-sentinel_0123456789-abcdefghijklmn"
MODEL = "gemini-9-test"

# What google-genai and its transports read from the environment.
VARIABLES = (
    *("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
    *("GOOGLE_GENAI_API_VERSION", "GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI"),
    *("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_HTTP_CLIENT"),
    *("GOOGLE_GENAI_CLIENT_MODE", "GOOGLE_GENAI_REPLAYS_DIRECTORY", "GOOGLE_GENAI_REPLAY_ID"),
    *(
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GOOGLE_APPLICATION_CREDENTIALS"),
)


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete everything from the environment that google-genai would read, and keep system proxies off loopback."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


# ---------------------------------------------------------------------- what it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer.

    ``drip_s``: send the body byte by byte, with that pause. ``hang``: never answer. ``drop``: hang up instead.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drip_s: float | None = None
    hang: bool = False
    drop: bool = False

    @property
    def turn(self) -> Any:
        """The model's turn in it, which must come back as it is; None if there is none."""
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            return rules.normal(json.loads(self.body)["candidates"][0]["content"])
        return None


def answer(*parts: Mapping[str, Any], finish: str = "STOP", tokens: int = 10, **candidate: Any) -> Answer:
    """Return an answer with one candidate of these parts; without parts its content has none at all."""
    content = {"role": "model", **({"parts": parts} if parts else {})}
    candidate = {"content": content, "finishReason": finish, "index": 0, **candidate}
    used = {"promptTokenCount": tokens - 1, "totalTokenCount": tokens}
    return raw({"candidates": [candidate], "usageMetadata": used, "modelVersion": MODEL, "responseId": "r"})


def says(text: str, **more: Any) -> Answer:
    """Return an answer of nothing but text."""
    return answer({"text": text}, **more)


def thinks(text: str, **more: Any) -> Answer:
    """Return an answer of nothing but thoughts."""
    return answer({"text": text, "thought": True}, **more)


def asks(*args: Any, tool: str = "generate_load", **more: Any) -> Answer:
    """Return an answer that calls a tool once for each of ``args``, in parallel; the first call is signed."""
    return answer(
        *(call(one, tool, call_id=f"call-{n}", signed=n == 1) for n, one in enumerate(args, 1)), **more
    )


def call(
    args: Any = ..., tool: str = "generate_load", *, call_id: str | None = "call-1", signed: bool = True
) -> dict[str, Any]:
    """Return a part with a call: without arguments if ``args`` is an ellipsis, without an id if that is None."""
    inner: dict[str, Any] = {"name": tool}
    if args is not ...:
        inner["args"] = args
    if call_id is not None:
        inner["id"] = call_id
    # These bytes have two spellings in base64; google-genai sends the other one back.
    return {"functionCall": inner, **({"thoughtSignature": "+/+/c2ln"} if signed else {})}


def raw(body: Any, **more: Any) -> Answer:
    """Return an answer with this very body: bytes, text, or what becomes JSON."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    return Answer(body=body.encode() if isinstance(body, str) else body, **more)


def fails(status: int, reason: str = "", message: str = "no", details: Any = ()) -> Answer:
    """Return an error as the service words it."""
    error = {"code": status, "message": message, "status": reason, "details": details}
    return raw({"error": error}, status=status)


def redirects(url: str, status: int = 307) -> Answer:
    """Return a redirect."""
    return Answer(status=status, headers={"Location": url})


# ---------------------------------------------------------------------- what it was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived, its names in camelCase and lower case. ``refused`` is what was wrong with it."""

    path: str
    headers: Mapping[str, str]
    body: Any
    at: float
    refused: str | None = None

    @property
    def results(self) -> list[Any]:
        """The function responses in its last turn."""
        parts = self.body["contents"][-1]["parts"]
        return [part["functionResponse"] for part in parts if "functionResponse" in part]


class _Refused(Exception):
    def __init__(self, status: int, reason: str, message: str, details: Any = ()) -> None:
        super().__init__(message)
        self.answer = fails(status, reason, message, details)


class Gemini:
    """A local Gemini on ``url``. It knows one key and one model, and holds one conversation at a time.

    Attributes:
        requests: every request, in the order of arrival.
        closed: set when it is closed; whatever hangs or drips ends then.
    """

    def __init__(self, *script: Answer, key: str = KEY, model: str = MODEL) -> None:
        self.script = script or (says("There is nothing to do."),)
        self.requests: list[Request] = []
        self.closed = threading.Event()
        self._key = key
        self._path = re.compile(rf"/(v1|v1beta|v1alpha)/models/{re.escape(model)}:generateContent")
        self._said: list[Any] = []
        self._next = 0
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gemini = self
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="gemini", daemon=True
        )
        self._thread.start()

    @property
    def refused(self) -> list[str]:
        """What was wrong with the requests that it refused."""
        return [request.refused for request in self.requests if request.refused is not None]

    def be_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the environment point google-genai here, with the right key, and nowhere else."""
        forget_environment(monkeypatch)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", self.url)
        monkeypatch.setenv("GEMINI_API_KEY", self._key)

    def wait_for(self, count: int, *, within_s: float = 10.0) -> None:
        """Return once ``count`` requests have arrived."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, within_s):
                raise AssertionError(f"only {len(self.requests)} of {count} requests within {within_s:g} s")

    def close(self) -> None:
        """End it."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer_to(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Record the request; return the next answer of the script, or what is wrong with the request."""
        document: Any = None
        refused: _Refused | None = None
        try:
            document = self._checked(path, headers, body)
        except _Refused as error:
            refused = error
        with self._arrived:
            why = None if refused is None else str(refused)
            self.requests.append(
                Request(path=path, headers=headers, body=document, at=time.monotonic(), refused=why)
            )
            self._arrived.notify_all()
        if refused:
            return refused.answer
        if self._said and len(document["contents"]) == 1:
            self._said, self._next = [], 0
        scripted = self.script[min(self._next, len(self.script) - 1)]
        self._next += 1
        if scripted.turn is not None:
            self._said = [*document["contents"], scripted.turn]
        return scripted

    def _checked(self, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        if "x-goog-api-key" not in headers:
            raise _Refused(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        if headers["x-goog-api-key"] != self._key:
            raise _Refused(400, "INVALID_ARGUMENT", "API key not valid.", [{"reason": "API_KEY_INVALID"}])
        if not self._path.fullmatch(path):
            raise _Refused(404, "NOT_FOUND", f"{path} is not found for this API version.")
        try:
            document = rules.read(body)
        except ValueError as error:
            raise _Refused(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from None
        if fault := rules.fault_in(document, self._said):
            raise _Refused(400, "INVALID_ARGUMENT", fault)
        return document


# ---------------------------------------------------------------------- HTTP


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    gemini: Gemini

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about connections that break: breaking them is what some answers do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer takes 44 ms
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        gemini = self.server.gemini
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        scripted = gemini.answer_to(self.path, headers, body)
        if scripted.hang or scripted.drop:
            self.close_connection = True
            if scripted.hang:
                gemini.closed.wait()
            return
        self.send_response(scripted.status)
        for name, value in {"Content-Type": "application/json", **scripted.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(scripted.body)))
        self.end_headers()
        with suppress(OSError):  # who asked may be gone
            self._write(scripted, gemini.closed)

    def do_GET(self) -> None:  # which a redirect may make of the other
        self.do_POST()

    def _write(self, scripted: Answer, closed: threading.Event) -> None:
        if scripted.drip_s is None:
            self.wfile.write(scripted.body)
            self.wfile.flush()
            return
        self.close_connection = True
        for at in range(len(scripted.body)):
            self.wfile.write(scripted.body[at : at + 1])
            self.wfile.flush()
            if closed.wait(scripted.drip_s):
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""
