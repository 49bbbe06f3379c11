"""What a running fault may use: on its own in a unit test, and the event that remembers its spans."""

from __future__ import annotations

import threading

import pytest

from pytest_chaos.context import ActiveEvent, RunContext, intersect, total_seconds
from pytest_chaos.errors import Cancelled, ChaosError


def test_a_name_is_all_that_a_unit_test_needs() -> None:
    ctx = RunContext("my-test")
    assert (ctx.task_id, ctx.deadline, ctx.meter, dict(ctx.env)) == ("my-test", None, None, {})
    assert not ctx.stop.is_set()
    ctx.note("nothing happens")
    ctx.sleep(0)


def test_on_its_own_it_starts_nothing_and_allows_nothing() -> None:
    with pytest.raises(ChaosError, match="cannot start processes"):
        RunContext("t").spawn(["true"])
    with pytest.raises(ChaosError, match="this context has no guard"):
        RunContext("t").allow("http://127.0.0.1/")


def test_contexts_share_nothing() -> None:
    first, second = RunContext("a"), RunContext("b")
    first.stop.set()
    assert not second.stop.is_set()


def test_sleeping_ends_at_once_when_it_is_stopped() -> None:
    ctx = RunContext("t")
    threading.Timer(0.02, ctx.stop.set).start()
    with pytest.raises(Cancelled):
        ctx.sleep(60)
    with pytest.raises(Cancelled):
        ctx.sleep(0)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_event_remembers_when_it_was_set() -> None:
    clock = Clock()
    event = ActiveEvent(clock)
    assert event.spans() == []
    clock.now = 1
    event.set()
    clock.now = 2
    event.set()
    assert event.spans() == [(1, 2)]
    clock.now = 3
    event.clear()
    clock.now = 4
    event.clear()
    assert event.spans() == [(1, 3)]
    event.set()
    clock.now = 6
    event.clear()
    assert event.spans() == [(1, 3), (4, 6)]
    assert not event.is_set()


def test_spans_are_read_without_being_ended() -> None:
    clock = Clock()
    event = ActiveEvent(clock)
    event.set()
    clock.now = 1
    assert event.spans() == [(0, 1)]
    clock.now = 2
    assert event.spans() == [(0, 2)]
    assert event.is_set()


def test_what_two_lists_of_spans_share() -> None:
    body = [(10.0, 20.0)]
    assert intersect(body, [(0.0, 5.0)]) == []
    assert intersect(body, [(0.0, 10.0)]) == []
    assert intersect(body, [(5.0, 12.0), (15.0, 25.0)]) == [(10.0, 12.0), (15.0, 20.0)]
    assert intersect(body, [(11.0, 12.0)]) == [(11.0, 12.0)]
    assert total_seconds(intersect(body, [(5.0, 12.0), (15.0, 25.0)])) == 7.0
    assert total_seconds([]) == 0
