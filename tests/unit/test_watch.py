"""Watch: when the system counts as recovered, what is kept of a check that fails, and how one is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_chaos.engine import watch as watching
from pytest_chaos.engine.disruption import Disruption
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.watch import Watch
from pytest_chaos.milestones import Milestones
from pytest_chaos.schema import validate_spec
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec
from tests.support.waiting import eventually

PASS, FAIL = True, False
OFTEN = 0.01


def spec(*phases: str, **more: Any) -> ChaosSpec:
    """Return a spec with a check; nothing here ever starts its load."""
    return validate_spec(
        {
            "trigger": {"type": "time"},
            "action": {"type": "generate_load", "target": {"service_url": "http://127.0.0.1:1/"}},
            "verify": "it",
            "verify_phases": list(phases),
            "verify_every": OFTEN,
            **more,
        }
    )


def disrupting(one: ChaosSpec) -> Disruption:
    """Return a disruption that is not started; tests say themselves when it is active."""
    return Disruption(
        one,
        authored=one,
        ordinal=1,
        task_id="test",
        settings=Settings(),
        guard=Guard(()),
        milestones=Milestones(),
        origin=time.monotonic(),
    )


def watch_of(one: ChaosSpec, check: Callable[..., Any], *, timeout_s: float = 5.0) -> Watch:
    return Watch(disrupting(one), check, timeout_s=timeout_s)


@contextlib.contextmanager
def running(one: Disruption, watch: Watch) -> Iterator[None]:
    """Begin and end a disruption, as its thread would; the test says when it is active."""
    watch.start()
    try:
        yield
    finally:
        one.active.clear()
        one.finished.set()
        watch.join()


class Scripted:
    """A check whose answers come at moments of a clock of its own, which the watch goes by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: Sequence[tuple[float, Any]]) -> None:
        self._answers = iter(answers)
        self.now = 0.0
        monkeypatch.setattr(watching, "clocks", SimpleNamespace(monotonic=lambda: self.now))

    def __call__(self) -> Any:
        self.now, answer = next(self._answers)
        return answer

    @property
    def left(self) -> int:
        """How many answers nobody asked for."""
        return len([*self._answers])


# Seconds that recovery may take; when each answer comes, counted from the fault's end, and what it is; the time to
# recover, or None.
RECOVERED = {
    "at once": (1, [(0.1, PASS), (0.2, PASS)], 0.1),
    "late": (1, [(0.1, FAIL), (0.5, FAIL), (0.9, PASS), (1.3, PASS)], 0.9),
    "at the very last": (1, [(0.1, FAIL), (1.0, PASS), (1.1, PASS)], 1.0),
    "flapping": (1, [(0.1, PASS), (0.2, FAIL), (0.3, PASS), (0.4, PASS)], 0.3),
    "never": (1, [(0.1, FAIL), (0.9, FAIL), (1.1, FAIL)], None),
    "too late": (1, [(0.1, FAIL), (0.9, FAIL), (7.0, PASS)], None),
    "flapping until it is too late": (1, [(0.1, PASS), (0.5, FAIL), (7.0, PASS)], None),
    "failing once it is too late": (1, [(0.9, PASS), (1.1, FAIL)], None),
    "fine at the first try, which came late": (1, [(7.0, PASS), (7.1, PASS)], 7.0),
    "flapping at the first try, which came late": (1, [(7.0, PASS), (7.1, FAIL)], None),
    "not at the first try, which came late": (1, [(7.0, FAIL)], None),
    "one try that held": (0, [(0.1, PASS)], 0.1),
    "one try that held late": (0, [(7.0, PASS)], 7.0),
    "one try that failed": (0, [(0.1, FAIL)], None),
}


@pytest.mark.parametrize(("within", "answers", "recovered_s"), RECOVERED.values(), ids=RECOVERED)
def test_it_has_recovered_with_the_first_of_two_passes_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
    within: float,
    answers: list[tuple[float, bool]],
    recovered_s: float | None,
) -> None:
    check = Scripted(monkeypatch, answers)
    watch = watch_of(spec("after", recover_within=within), check)
    watch.recover(0.0)
    report = watch.report()
    assert report.time_to_recover_s == recovered_s
    assert report.phases == {"after": recovered_s is not None}
    assert (watch.broke_after is None) is (recovered_s is not None)
    assert (report.tries, check.left) == (len(answers), 0)
    assert report.failed == len(report.failures) == sum(answer is FAIL for _, answer in answers)
    assert watch.broken is None


@pytest.mark.parametrize(
    ("within", "answers", "words"),
    [
        (0, [(0.1, FAIL)], "the check 'it' failed: it returned False"),
        (
            1,
            [(0.1, FAIL), (1.25, FAIL)],
            (
                "the check 'it' failed: it returned False; it did not hold again 1.25 s after the fault's end, and "
                "`recover_within` allows 1 s"
            ),
        ),
        (
            0.5,
            [(0.1, FAIL), (7.25, PASS)],
            (
                "the check 'it' failed: it returned False; it held again only 7.25 s after the fault's end, and "
                "`recover_within` allows 0.5 s"
            ),
        ),
    ],
)
def test_the_last_failure_is_what_is_told(
    monkeypatch: pytest.MonkeyPatch, within: float, answers: list[tuple[float, bool]], words: str
) -> None:
    watch = watch_of(spec("after", recover_within=within), Scripted(monkeypatch, answers))
    watch.recover(0.0)
    assert watch.broke_after == words


def test_the_words_of_the_last_failure_count() -> None:
    said = iter(["slow", "slower", "slowest"])

    def check() -> None:
        raise OSError(next(said, "slowest"))

    watch = watch_of(spec("after", recover_within=0.05), check)
    watch.recover(time.monotonic())
    assert watch.broke_after is not None
    assert watch.broke_after.startswith("the check 'it' failed: OSError: slowest; it did not hold again ")
    assert watch.report().failures[0].message == "the check 'it' failed: OSError: slow"


def test_it_is_asked_a_last_time_when_the_time_is_up() -> None:
    """However rarely it is asked: recovery in time is not missed because nobody looked."""
    answers = iter([FAIL])
    watch = watch_of(spec("after", recover_within=0.2, verify_every=1.5), lambda: next(answers, PASS))
    watch.recover(time.monotonic())
    report = watch.report()
    assert (watch.broke_after, report.phases) == (None, {"after": True})
    assert report.time_to_recover_s is not None
    assert 0.2 <= report.time_to_recover_s < 1


def test_once_it_has_recovered_nobody_asks_again() -> None:
    asked: list[None] = []
    watch = watch_of(spec("after", recover_within=1), lambda: asked.append(None))
    for _ in range(3):
        watch.recover(time.monotonic())
    assert len(asked) == watch.report().tries == 2


@pytest.mark.parametrize("phases", [("before",), ("during",), ("before", "during")])
def test_a_phase_that_is_not_wanted_is_not_asked(phases: tuple[str, ...]) -> None:
    watch = watch_of(spec(*phases), lambda: False)
    watch.recover(time.monotonic())
    assert watch.report().tries == 0
    assert watch.broke_after is None


def test_before_is_asked_once() -> None:
    asked: list[None] = []
    watch = watch_of(spec("before"), lambda: asked.append(None))
    assert watch.before() is None
    assert (len(asked), watch.report().phases) == (1, {"before": True})
    unwanted = watch_of(spec("after"), lambda: asked.append(None))
    assert unwanted.before() is None
    assert (len(asked), unwanted.report().phases) == (1, {})


def raising(error: BaseException) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def fails() -> None:
    pytest.fail("orders are\nlost")


BAD = {
    "SystemExit": (raising(SystemExit(3)), "SystemExit: 3"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt()), "KeyboardInterrupt: no message"),
    "GeneratorExit": (raising(GeneratorExit()), "GeneratorExit: no message"),
    "CancelledError": (raising(asyncio.CancelledError()), "CancelledError: no message"),
    "pytest.fail": (fails, "Failed: orders are lost"),
    "pytest.exit": (lambda: pytest.exit("enough"), "Exit: enough"),
    "an exception group": (
        raising(BaseExceptionGroup("two", [KeyboardInterrupt(), OSError()])),
        "BaseExceptionGroup: two (2 sub-exceptions)",
    ),
    "an exception without words": (raising(Wordless()), "Wordless"),
    "control characters": (raising(OSError("\x1b[31mred\x00\ud800")), "OSError: red"),
    "much to say": (raising(OSError("x" * 100_000)), "OSError: xxx"),
}


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize(("check", "words"), BAD.values(), ids=BAD)
def test_whatever_a_check_raises_is_a_failure_of_what_it_checks(
    check: Callable[[], None], words: str, phase: str
) -> None:
    watch = watch_of(spec(phase), check)
    if phase == "before":
        failure = watch.before()
    else:
        watch.recover(time.monotonic())
        failure = watch.broke_after
    assert watch.broken is None
    assert failure is not None
    assert failure.startswith(f"the check 'it' failed: {words}")
    assert len(failure) < 1_200
    assert watch.report().phases == {phase: False}


@pytest.mark.parametrize("garbage", [0, 1, "fine", [], float("nan"), object(), NotImplemented])
@pytest.mark.parametrize("after", [0, 1], ids=["at once", "after a pass"])
def test_what_is_no_answer_makes_the_check_unusable(garbage: Any, after: int) -> None:
    answers = iter([PASS] * after)
    watch = watch_of(spec("after", recover_within=60), lambda: next(answers, garbage))
    watch.recover(time.monotonic())
    assert watch.broken is not None
    assert watch.broken.startswith("the check 'it' returned ")
    assert watch.broken.endswith("; it must return None or True, return False, or raise")
    assert watch.report().tries == after + 1
    assert watch.report().phases == {"after": False}


class Gate:
    """A check that hangs until it is let go, and counts how often it was asked."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.open.wait(60)


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open.set()


@pytest.mark.parametrize("phase", ["before", "after"])
def test_one_that_hangs_is_given_up(gate: Gate, phase: str) -> None:
    watch = watch_of(spec(phase), gate, timeout_s=0.1)
    began = time.monotonic()
    if phase == "before":
        failure = watch.before()
    else:
        watch.recover(began)
        failure = watch.broke_after
    assert failure == "the check 'it' failed: it did not answer within 0.1 s (chaos_check_timeout)"
    assert 0.1 <= time.monotonic() - began < 5


def test_one_that_hangs_may_recover_too(gate: Gate) -> None:
    hanging = threading.Event()

    def check() -> None:
        if not hanging.is_set():
            hanging.set()
            gate()

    watch = watch_of(spec("after", recover_within=30), check, timeout_s=0.1)
    watch.recover(time.monotonic())
    report = watch.report()
    assert (report.phases, report.tries, report.failed) == ({"after": True}, 3, 1)
    assert report.time_to_recover_s is not None
    assert report.time_to_recover_s >= 0.1


def failing(count: int) -> Callable[[], None]:
    """Return a check that fails ``count`` times and says each time which one it is."""
    numbers = iter(range(count))

    def check() -> None:
        if (number := next(numbers, None)) is not None:
            raise OSError(f"number {number}")

    return check


@pytest.mark.parametrize("count", [1, 19, 20, 21, 22, 3_000])
def test_of_thousands_of_failures_the_first_and_the_last_are_kept(count: int) -> None:
    # A pace that no spec may ask for, so that it does not take half a minute.
    often = spec("after", recover_within=3600).model_copy(update={"verify_every": 0.0})
    watch = watch_of(often, failing(count))
    watch.recover(time.monotonic())
    report = watch.report()
    assert (report.failed, report.tries) == (count, count + 2)
    kept = [int(one.message.rpartition(" ")[2]) for one in report.failures]
    assert kept == [*range(min(count, 10)), *range(max(10, count - 10), count)]
    moments = [one.at_s for one in report.failures]
    assert moments == sorted(moments)


def at_least(wanted: int, some: Sized) -> Callable[[], bool]:
    return lambda: len(some) >= wanted


def test_while_it_is_active_it_is_asked_again_and_again() -> None:
    moments: list[float] = []

    def check(disruption: Disruption) -> bool:
        moments.append(time.monotonic())
        return disruption.spec.name != "Planned Disruption" or len(moments) < 3

    one = disrupting(spec("during"))
    watch = Watch(one, check, timeout_s=5)
    with running(one, watch):
        for wanted in (3, 6):  # bursts: between them it is left alone
            one.active.set()
            eventually(at_least(wanted, moments), "it is asked again and again")
            one.active.clear()
            threading.Event().wait(0.3)
    spans = one.active.spans()
    assert len(spans) == 2
    assert all(any(start <= at <= end + 0.1 for start, end in spans) for at in moments), (moments, spans)
    report = watch.report()
    assert report.samples == len(moments)
    assert report.failed == len(moments) - 2
    assert report.phases == {"during": False}
    assert watch.broke_during == "the check 'it' failed: it returned False (while it was active)"
    assert {failure.phase for failure in report.failures} == {"during"}
    assert not watch.unsampled


def test_what_began_while_it_was_active_counts_also_if_it_is_answered_later(gate: Gate) -> None:
    one = disrupting(spec("during"))
    watch = Watch(one, gate, timeout_s=0.3)
    with running(one, watch):
        one.active.set()
        eventually(lambda: gate.asked, "it is asked")
    assert watch.report().samples == gate.asked == 1
    assert watch.broke_during is not None
    assert "did not answer within 0.3 s" in watch.broke_during


def test_about_a_fault_that_cannot_be_stopped_nobody_asks_for_ever() -> None:
    one = disrupting(spec("during"))
    asked: list[None] = []
    watch = Watch(one, lambda: asked.append(None), timeout_s=5)
    watch.start()
    one.active.set()
    eventually(at_least(3, asked), "it is asked again and again")
    began = time.monotonic()
    watch.join()
    assert time.monotonic() - began < 3
    count = len(asked)
    threading.Event().wait(0.1)
    assert len(asked) == count == watch.report().samples


def test_one_that_never_was_active_was_not_sampled() -> None:
    one = disrupting(spec("during"))
    watch = Watch(one, lambda: False, timeout_s=5)
    with running(one, watch):
        pass
    assert watch.unsampled
    assert (watch.report().phases, watch.broke_during) == ({}, None)
    assert not watch_of(spec("before", "after"), lambda: False).unsampled


def test_garbage_while_it_is_active_makes_the_check_unusable() -> None:
    one = disrupting(spec("during"))
    watch = Watch(one, lambda: "fine", timeout_s=5)
    with running(one, watch):
        one.active.set()
        eventually(lambda: watch.broken, "it turned out to be no check")
    assert watch.report().phases == {"during": False}


def test_after_the_sampling_the_recovery_is_asked_as_ever() -> None:
    one = disrupting(spec("during", "after", recover_within=1))
    watch = Watch(one, lambda: None, timeout_s=5)
    with running(one, watch):
        one.active.set()
        eventually(lambda: watch.report().samples, "it is asked")
    watch.recover(one.active.spans()[-1][1])
    assert watch.report().phases == {"during": True, "after": True}
    assert watch.report().tries == 2


@pytest.mark.parametrize("phases", [("after",), ("during", "after")])
def test_once_it_was_given_up_it_is_asked_no_more(phases: tuple[str, ...]) -> None:
    """Also if somebody ends the sampling in the meantime, as the clean-up of an interrupted test does."""
    one = disrupting(spec(*phases, recover_within=3600))
    asked = threading.Semaphore(0)
    answer = threading.Event()

    def check() -> bool:
        asked.release()
        answer.wait(10)
        return False

    watch = Watch(one, check, timeout_s=20)
    watch.start()
    one.finished.set()
    recovery = threading.Thread(target=watch.recover, args=(time.monotonic(),), daemon=True)
    recovery.start()
    assert asked.acquire(timeout=10)
    watch.give_up()
    watch.join()
    answer.set()
    recovery.join(2)
    assert not recovery.is_alive()
    assert not asked.acquire(blocking=False)
    assert watch.report().phases["after"] is False
    assert watch.broke_after is not None


CONTEXT = contextvars.ContextVar("CONTEXT", default="none")


@pytest.mark.parametrize("phase", ["before", "during", "after"])
def test_a_check_sees_the_context_of_the_test(phase: str) -> None:
    one = disrupting(spec(phase))
    seen: list[str] = []
    token = CONTEXT.set("of the test")
    try:
        watch = Watch(one, lambda: seen.append(CONTEXT.get()), timeout_s=5)
        watch.before()
        with running(one, watch):
            one.active.set()
            eventually(lambda: seen or phase != "during", "it is asked")
        # As a run does it: a thread for each disruption.
        recovery = threading.Thread(target=one_recovery, args=(watch,))
        recovery.start()
        recovery.join()
    finally:
        CONTEXT.reset(token)
    assert set(seen) == {"of the test"}


def one_recovery(watch: Watch) -> None:
    watch.recover(time.monotonic())


@pytest.mark.parametrize("phase", ["before", "after"])
def test_what_a_check_prints_is_captured_like_what_the_test_prints(
    phase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = watch_of(spec(phase), lambda: print("looking"))
    watch.before()
    watch.recover(time.monotonic())
    assert capsys.readouterr().out == "looking\n"
