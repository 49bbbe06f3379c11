"""What a test may freeze or replace in its own process: the load, the clocks and the verdict go by the real things."""

from __future__ import annotations

import time

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop, unused_port
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """
import contextlib, datetime, json, os, signal, subprocess, threading, time
from unittest import mock
import freezegun, pytest, time_machine

LAST_S = 0.2
LONG_AGO = datetime.datetime(1985, 10, 26, tzinfo=datetime.timezone.utc)
really_sleep = time.sleep

def refuse(*args, **kwargs):
    raise RuntimeError("replaced by the test")

@contextlib.contextmanager
def replaced(module, name, by):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, by)
        yield

@pytest.fixture
def until_teardown():
    with contextlib.ExitStack() as stack:
        yield stack.enter_context

@pytest.fixture
def from_setup_on(way, until_teardown):
    until_teardown(WAYS[way]())

"""

FROZEN = """
WAYS = {
    "freezegun": lambda: freezegun.freeze_time(LONG_AGO),
    "freezegun that ticks": lambda: freezegun.freeze_time(LONG_AGO, tick=True),
    "freezegun that jumps": lambda: freezegun.freeze_time(LONG_AGO, auto_tick_seconds=3600),
    "time-machine": lambda: time_machine.travel(LONG_AGO, tick=False),
}
"""

REPLACED = """
WAYS = {
    "sleep, returns": lambda: replaced(time, "sleep", mock.Mock()),
    "sleep, raises": lambda: replaced(time, "sleep", refuse),
    "monotonic, stands still": lambda: replaced(time, "monotonic", lambda: 5.0),
    "monotonic, raises": lambda: replaced(time, "monotonic", refuse),
    "time, has two answers": lambda: replaced(time, "time", mock.Mock(side_effect=[1, 2])),
    "threads": lambda: replaced(threading, "Thread", mock.Mock()),
    "processes": lambda: replaced(subprocess, "Popen", refuse),
    "own number": lambda: replaced(os, "getpid", lambda: 1),
    "reading JSON": lambda: replaced(json, "loads", refuse),
    "writing JSON": lambda: replaced(json, "dumps", refuse),
    "signal handlers": lambda: replaced(signal, "signal", refuse),
}
"""


def in_three_places(spec: dict[str, object]) -> str:
    """Return tests under ``spec`` with each of ``WAYS``: from setup on, from the body on, around a block."""
    return f"""
every = pytest.mark.parametrize("way", WAYS)

@every
@pytest.mark.chaos({spec!r})
def test_setup(from_setup_on):
    really_sleep(LAST_S)

@every
@pytest.mark.chaos({spec!r})
def test_body(way, until_teardown):
    until_teardown(WAYS[way]())
    really_sleep(LAST_S)

@every
def test_block(way, chaos_injector):
    with WAYS[way](), chaos_injector.inject({spec!r}):
        really_sleep(LAST_S)
"""


@pytest.mark.parametrize("ways", [FROZEN, REPLACED], ids=["frozen", "replaced"])
def test_the_load_goes_by_the_real_things(inner: InnerPytest, shop: Shop, ways: str) -> None:
    began = time.time()
    ended = inner(HEAD + ways + in_three_places(load_spec(shop.url, min_delivered=0.5)), subprocess=True)
    words = ended.words
    assert len(words) == 3 * (ways.count("lambda:") - ways.count("lambda: 5.0") - ways.count("lambda: 1)"))
    assert set(words.values()) == {"passed"}, ended.stdout
    for name in words:
        (outcome,) = ended.test(name).chaos
        assert outcome["verdict"] == "held"
        assert 0.2 <= outcome["window"]["seconds"] < 10
        assert outcome["window"]["requests"] >= 10
        assert began <= outcome["started_at"] <= time.time()


@pytest.mark.parametrize("ways", [FROZEN, REPLACED], ids=["frozen", "replaced"])
def test_what_is_not_there_is_missed_all_the_same(inner: InnerPytest, ways: str) -> None:
    """Whoever waits by a clock that stands still waits for ever."""
    spec = load_spec(f"http://127.0.0.1:{unused_port()}")
    ended = inner(
        HEAD + ways + in_three_places(spec),
        "-k",
        "test_setup and (freezegun or monotonic or threads)",
        subprocess=True,
    )
    assert set(ended.words.values()) == {"error"}, ended.stdout


CHECKED = """
from conftest import RUNNING, staged

@pytest.fixture
def chaos_verifiers():
    def works():
        assert RUNNING, "broken ever since"
    return {"works": works}

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.chaos({**staged(), "verify": "works", "verify_phases": ["after"], "recover_within": 0.1})
def test_it(way, until_teardown):
    until_teardown(WAYS[way]())
"""


@pytest.mark.parametrize("ways", [FROZEN, REPLACED], ids=["frozen", "replaced"])
def test_a_check_is_asked_all_the_same(inner: InnerPytest, ways: str) -> None:
    ended = inner(HEAD + ways + CHECKED, conftest=STAGED, subprocess=True)
    words = ended.words
    assert set(words.values()) == {"failed"}, ended.stdout
    for name in words:
        (outcome,) = ended.test(name).chaos
        assert outcome["verdict"] == "broke"
        assert "broken ever since" in outcome["reason"]
