"""Fixtures that all tests share."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.base import FAULTS, TRIGGERS
from pytest_chaos.engine.reaper import client
from tests.support.fake_fortio import write_fake_fortio
from tests.support.gemini_server import Answer, Gemini, forget_environment
from tests.support.inner import InnerPytest
from tests.support.processes import assert_none_left
from tests.support.server import Shop
from tests.support.waiting import eventually

# Modules that start hundreds of runs, browsers or terminals: `make test` leaves them out, `make test-all` does not.
_SLOW = frozenset(
    f"test_{name}"
    for name in (
        "benchmarks",
        "docs",
        "failure_texts",
        "progress",
        "read",
        "report_in_browser",
        "secrets",
        "triggers_docs",
        "triggers_timeouts",
        "verify_hostile",
        "write_a_fault",
    )
)


# Whoever runs the suite under nohup, or in the background of a script, has these ignored; what it starts would be deaf, too.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long."""
    for item in items:
        if item.path.stem in _SLOW:
            item.add_marker("slow")


@pytest.fixture
def own_reaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test have a reaper that nobody else holds: examples run in the same session, and hold the one of the process."""
    monkeypatch.setattr(client, "_REAPERS", {})


@pytest.fixture
def shop() -> Generator[Shop, None, None]:
    """Yield a healthy server; afterwards no fortio that had it as target may be left."""
    server = Shop()
    yield server
    server.close()
    assert_none_left(f":{server.port}")


@pytest.fixture
def fake_fortio(tmp_path: Path) -> Callable[[str], Path]:
    """Return a factory: it writes a script as an executable that stands where fortio should."""
    made = 0

    def make(script: str) -> Path:
        nonlocal made
        made += 1
        return write_fake_fortio(tmp_path / f"fake-fortio-{made}", script)

    return make


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> InnerPytest:
    """Return what runs inner test modules with the real plugin."""
    return InnerPytest(pytester, monkeypatch)


@pytest.fixture
def gemini(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., Gemini], None, None]:
    """Return a factory: it starts a local Gemini with a script, the only one that google-genai then sees.

    What is tried again follows at once. Afterwards no thread of a conversation may be left.
    """
    started: list[Gemini] = []
    at_once = {"attempts": 3, "initial_delay": 0.0, "max_delay": 0.0, "jitter": 0.0}
    monkeypatch.setattr("pytest_chaos.agent.gemini._RETRY", at_once)

    def start(*script: Answer, **more: Any) -> Gemini:
        started.append(Gemini(*script, **more))
        started[-1].be_in(monkeypatch)
        return started[-1]

    forget_environment(monkeypatch)
    yield start
    for server in started:
        server.close()

    def left() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "pytest-chaos-gemini"]

    eventually(lambda: not left(), "no thread of a conversation is left")


@pytest.fixture(autouse=True)
def _same_types_afterwards() -> Generator[None, None, None]:
    """Forget the faults and triggers that a test (or an inner run in this process) has registered."""
    before = {registry: registry.items() for registry in (FAULTS, TRIGGERS)}
    yield
    for registry, known in before.items():
        for tag in set(registry.keys()) - {tag for tag, _ in known}:
            registry.unregister(tag)
