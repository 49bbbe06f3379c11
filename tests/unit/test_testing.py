"""``pytest_chaos.testing`` in the hands of an author: its contracts as tests, its context, its clock, what it notices."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_chaos.context import ActiveEvent
from pytest_chaos.errors import Cancelled, ChaosError, TargetRefused
from pytest_chaos.settings import Settings
from pytest_chaos.testing import FakeClock, context, traces
from pytest_chaos.triggers.time_delay import TimeTrigger
from tests.support.inner import InnerPytest
from tests.support.processes import is_running
from tests.support.promises import SLEEPER

PROJECT = """
import threading
from typing import Literal

import pytest
from pytest_chaos import FAULTS, TRIGGERS, ChaosResult, Fault, Trigger
from pytest_chaos.testing import FaultContract, TriggerContract

LIT = threading.Event()


@FAULTS.register("lamp")
class Lamp(Fault):
    type: Literal["lamp"] = "lamp"

    def inject(self, ctx, chaos_active_event=None):
        LIT.set()
        chaos_active_event.set()
        ctx.stop.wait()
        LIT.clear()
        return ChaosResult(success=True, injected_fault="lamp")


@TRIGGERS.register("dusk")
class Dusk(Trigger):
    type: Literal["dusk"] = "dusk"

    def wait(self, ctx):
        ctx.sleep(0.2)


class TestLamp(FaultContract):
    def make_fault(self):
        return Lamp()

    def effect_seen(self):
        return LIT.is_set()


class DuskKeepsItsPromises(TriggerContract):
    def make_trigger(self):
        return Dusk()
"""


@pytest.mark.parametrize("ini", [{}, {"python_classes": "*Contract", "python_functions": "check_*"}], ids=str)
def test_subclasses_are_collected_and_contracts_are_not(inner: InnerPytest, ini: dict[str, str]) -> None:
    run = inner(PROJECT, ini=ini)
    assert run.exit_code == 0
    names = [report.nodeid.split("::")[1:] for report in run.reports if report.when == "call"]
    assert {one for one, _ in names} == {"TestLamp", "DuskKeepsItsPromises"}
    assert len(names) == 8 + 6
    assert {report.outcome for report in run.reports} == {"passed"}


def test_broken_promises_are_told_in_one_sentence_each(inner: InnerPytest) -> None:
    source = PROJECT.replace("        LIT.set()\n        chaos_active", "        chaos_active")
    source = source.replace("ctx.sleep(0.2)", "ctx.stop.wait(0.2)")
    source = source.replace("class TestLamp", "Dusk.in_words = lambda self: ''\n\n\nclass TestLamp")
    run = inner(source, "-rf")
    said = [line for line in run.stdout.splitlines() if line.startswith("E   AssertionError: ")]
    returned = "Dusk returned from wait() as if it had fired, although ctx.stop was set: raise Cancelled"
    assert [line.removeprefix("E   AssertionError: ") for line in said] == [
        "Lamp set chaos_active_event before its effect was there: effect_seen() returned False",
        "Dusk cannot be planned: ValueError: in_words() is '', not one line of text",
        returned,
        returned,
    ]
    assert "def test_it" not in run.stdout  # the sentences alone


def test_what_nobody_can_see_is_shown_as_skipped(inner: InnerPytest) -> None:
    blind = "class TestLamp(FaultContract):\n    unseen_because = 'it is day'\n"
    run = inner(PROJECT.replace("class TestLamp(FaultContract):\n", blind), "-rs")
    assert run.words["test_it_is_active_only_once_its_effect_is_seen"] == "skipped"
    assert "nobody can see the effect: it is day" in run.stdout


def test_what_is_not_defined_fails_and_is_named(inner: InnerPytest) -> None:
    run = inner(
        """
        from pytest_chaos.testing import FaultContract, TriggerContract

        class TestNothing(FaultContract):
            pass

        class TestNever(TriggerContract):
            pass
        """
    )
    assert set(run.words.values()) == {"failed"}
    assert len(run.words) == 8 + 3  # three have the same name in both
    assert "define make_fault(), which returns the fault to test" in run.stdout
    assert "define make_trigger(), which returns the trigger to test" in run.stdout


def test_it_knows_nothing_of_pytest() -> None:
    code = "import sys, pytest_chaos.testing; print([name for name in sys.modules if 'pytest' == name[-6:]])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---------------------------------------------------------------------- what it is made of


def test_a_context_is_real_and_ends_what_was_started() -> None:
    with context("my-test", env={"A": "b"}) as ctx:
        assert (ctx.task_id, dict(ctx.env), ctx.stop.is_set()) == ("my-test", {"A": "b"}, False)
        process = ctx.spawn(SLEEPER)
        with process.stdout, process.stderr:
            assert is_running(process.pid)
        assert ctx.allow("http://127.0.0.1:8080/").ip == "127.0.0.1"
        with pytest.raises(TargetRefused):
            ctx.allow("http://192.0.2.1/")
    assert ctx.stop.is_set()
    assert not is_running(process.pid)
    with pytest.raises(Cancelled):
        ctx.spawn(SLEEPER)


def test_a_context_goes_by_the_settings() -> None:
    settings = Settings(allowed_targets=("192.0.2.0/24",))
    with context(settings=settings) as ctx:
        assert ctx.settings is settings
        assert ctx.allow("http://192.0.2.1/").ip == "192.0.2.1"


def test_with_a_fake_clock_an_hour_takes_no_time() -> None:
    clock = FakeClock()
    with context(clock=clock) as ctx:
        TimeTrigger(delay_seconds=3600).wait(ctx)
        assert clock.now == 3600
        assert not ctx.stop.wait(0.5)
        assert clock() == 3600.5
        ctx.sleep(-1)
        assert not ctx.stop.wait(-1)
        assert clock.now == 3600.5


def test_what_is_due_happens_in_its_order_and_a_stop_ends_the_wait() -> None:
    clock, happened = FakeClock(), list[tuple[str, float]]()

    def note(what: str) -> Callable[[], None]:
        return lambda: happened.append((what, clock.now))

    with context(clock=clock) as ctx:
        clock.at(5, note("too late"))
        clock.at(3, ctx.stop.set)
        clock.at(3, note("not any more"))
        clock.at(1, note("first"))
        clock.at(1, note("second"))
        ctx.sleep(1)
        assert happened == [("first", 1), ("second", 1)]
        with pytest.raises(Cancelled):
            ctx.sleep(60)
        assert clock.now == 3
        assert ctx.stop.wait(60)
        assert clock.now == 3
    assert len(happened) == 2


def test_a_wait_without_end_lets_time_pass_until_the_stop() -> None:
    clock = FakeClock()
    with context(clock=clock) as ctx:
        active = ActiveEvent(clock)
        clock.at(2, active.set)
        clock.at(7, ctx.stop.set)
        assert ctx.stop.wait()
        assert active.spans() == [(2, 7)]


def test_a_wait_without_end_and_without_plans_is_a_real_one() -> None:
    with context(clock=FakeClock()) as ctx:
        timer = threading.Timer(0.02, ctx.stop.set)
        timer.start()
        assert ctx.stop.wait()
        timer.join()


def test_a_fake_clock_is_for_one_thread() -> None:
    refused: list[str] = []

    def sleep() -> None:
        try:
            ctx.sleep(1)
        except ChaosError as error:
            refused.append(str(error))

    with context(clock=FakeClock()) as ctx:
        ctx.sleep(1)
        thread = threading.Thread(target=sleep)
        thread.start()
        thread.join()
    assert refused == ["a FakeClock is for one thread: the waits of two would add up; use real time"]


def test_only_what_this_thread_does_inside_the_block_counts() -> None:
    def read() -> None:
        Path(__file__).read_bytes()

    with traces.touched() as seen:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert seen == []
        read()
        assert [one.split()[0] for one in seen] == ["open"]
    read()
    assert len(seen) == 1


def test_an_import_is_no_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_seen_before.py").write_text("LIT = True\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with traces.touched() as seen:
        import never_seen_before  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - written just now
    assert seen == []


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/nowhere")], ids=["proc", "ps"])
def test_children_are_found_with_and_without_proc(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_PROC", proc)
    before = traces.Traces()
    with subprocess.Popen(SLEEPER) as process:
        try:
            (left,) = before.left(0)
            assert re.fullmatch(rf"the process {process.pid} \(.*python.*\)", left)
        finally:
            process.kill()
        assert before.left(time.monotonic() + 20) == []  # it has ended, though nobody has waited for it


def test_what_goes_away_by_itself_is_not_left() -> None:
    before, go = traces.Traces(), threading.Event()
    thread = threading.Thread(target=go.wait, name="late")
    thread.start()
    assert before.left(0) == ["the thread 'late'"]
    go.set()
    assert before.left(time.monotonic() + 20) == []
