"""The Gemini client and its surroundings: the network, time, event loops, logs, pytest's own output."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from pytest_chaos.errors import ModelError
from tests.support.asking import ask, begin, failure, never
from tests.support.gemini_server import KEY, MODEL, Answer, Gemini, fails, redirects, says
from tests.support.server import unused_port
from tests.support.waiting import eventually

Start = Callable[..., Gemini]


def sdk() -> tuple[int, ...]:
    """Return the version of the SDK; nothing if there is none."""
    try:
        return tuple(int(part) for part in version("google-genai").split(".")[:2])
    except PackageNotFoundError:
        return ()


def test_a_service_that_is_not_there_is_told(gemini: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gemini()
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"http://127.0.0.1:{unused_port()}")
    assert "cannot connect" in failure()


def test_a_service_that_hangs_up_is_told(gemini: Start) -> None:
    gemini(Answer(drop=True))
    assert "the request failed: RemoteProtocolError" in failure()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_takes_no_key_along(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    other = gemini()
    first = gemini(redirects(f"{other.url}/v1/models/{MODEL}:generateContent", status))
    first.be_in(monkeypatch)
    assert f"redirected ({status}" in failure()
    assert len(first.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize(
    "late",
    [Answer(hang=True), Answer(body=says("x" * 500).body, drip_s=0.02)],
    ids=["nothing", "drops"],
)
class TestLate:
    """An answer that does not come, or comes in drops that never let the socket time out."""

    def test_one_answer_has_its_time(self, gemini: Start, late: Answer) -> None:
        gemini(late)
        began = time.monotonic()
        assert "no complete answer within 0.3 s" in failure(timeout_s=0.3)
        assert time.monotonic() - began < 5

    def test_who_is_over_leaves(self, gemini: Start, late: Answer) -> None:
        server = gemini(late)
        conversation = begin()
        assert conversation.send("Break it.", lambda: server.requests) is None
        with pytest.raises(ModelError, match="over"):
            conversation.send("And now?", never)
        conversation.close()

    def test_nothing_is_tried_again_once_nobody_waits(self, gemini: Start, late: Answer) -> None:
        server = gemini(late)
        conversation = begin(timeout_s=0.5)
        assert conversation.send("Break it.", lambda: server.requests) is None
        conversation.close()
        if late.hang:  # then the socket does time out, and the SDK would try again
            eventually(lambda: not conversation._thread.is_alive(), "the request has timed out")
        assert len(server.requests) == 1


def test_proxies_count_as_the_environment_says(gemini: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    target, proxy = gemini(), gemini(says("from the proxy"))
    target.be_in(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert ask().text == "There is nothing to do."  # NO_PROXY names loopback
    monkeypatch.delenv("NO_PROXY")
    assert "404" in failure()  # it is no proxy, but it was asked to be one
    assert [request.path for request in proxy.requests] == [f"{target.url}/v1/models/{MODEL}:generateContent"]
    assert len(target.requests) == 1


@pytest.mark.skipif(
    sdk() < (3, 4),
    reason="older SDKs start a task in whatever event loop is running when a client of theirs is collected",
)
def test_it_works_while_an_event_loop_is_running_and_leaves_nothing_in_it(gemini: Start) -> None:
    gemini()

    async def test_body() -> set[asyncio.Task[Any]]:
        assert ask().text
        gc.collect()  # the SDK's own clean-up of its asynchronous half would begin here
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(test_body()) == set()


def test_what_is_logged_does_not_have_the_key(
    gemini: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gemini(fails(503, "BAD", f"the key {KEY} is fine"), says("Fine."))
    monkeypatch.setenv("GOOGLE_API_KEY", f"{KEY}-2")
    with caplog.at_level("DEBUG"):
        assert ask().text == "Fine."
    assert "generateContent" in caplog.text
    assert "the key <the key> is fine" in caplog.text
    assert KEY not in caplog.text
    assert not logging.getLogger("google_genai._api_client").filters
