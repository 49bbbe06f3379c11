"""Milestones: what was reached stays reached, in its order, and whoever waits for it is woken."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_chaos.errors import Cancelled
from pytest_chaos.milestones import Milestones

HALF = ("checkpoint", "half way")


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def test_what_was_reached_is_not_waited_for() -> None:
    milestones = Milestones()
    milestones.reach(*HALF)
    assert milestones.wait(HALF, until=0.0, stop=threading.Event())


def test_whoever_waits_is_woken() -> None:
    milestones, arrived, woken = Milestones(), threading.Barrier(9), []

    def wait() -> None:
        arrived.wait(5)
        woken.append(milestones.wait(HALF, until=soon(), stop=threading.Event()))

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    arrived.wait(5)
    assert woken == []
    milestones.reach(*HALF)
    for thread in threads:
        thread.join(5)
    assert woken == [True] * 8


def test_it_is_not_waited_for_beyond_the_end() -> None:
    began = time.monotonic()
    assert not Milestones().wait(HALF, until=soon(0.1), stop=threading.Event())
    assert 0.1 <= time.monotonic() - began < 5


def test_a_stop_ends_the_waiting() -> None:
    stop = threading.Event()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        Milestones().wait(HALF, until=soon(), stop=stop)
    assert time.monotonic() - began < 5
    timer.join()


def test_what_was_reached_counts_more_than_a_stop() -> None:
    milestones, stop = Milestones(), threading.Event()
    milestones.reach(*HALF)
    stop.set()
    assert milestones.wait(HALF, until=soon(), stop=stop)


def test_kinds_are_apart() -> None:
    milestones = Milestones()
    milestones.reach("active", "half way")
    assert not milestones.wait(HALF, until=0.0, stop=threading.Event())
    assert milestones.wait(("active", "half way"), until=0.0, stop=threading.Event())


def test_names_come_in_the_order_in_which_they_were_reached_first() -> None:
    milestones = Milestones()
    for name in ("b", "c", "a", "b", "c"):
        milestones.reach("checkpoint", name)
        milestones.reach("active", "x" + name)
    assert milestones.names("checkpoint") == ["b", "c", "a"]
    assert milestones.names("active") == ["xb", "xc", "xa"]
    assert milestones.names("finished") == []
