"""One fortio from spawn to its end: real ones against a real server, fake ones for what the real one never does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.context import ActiveEvent
from pytest_chaos.engine.processes import OwnedProcess, Processes
from pytest_chaos.errors import Cancelled, FaultFailed
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.argv import Load, load_argv
from pytest_chaos.fortio.locate import locate
from pytest_chaos.fortio.run import FortioRun
from tests.support.fake_fortio import HONEST
from tests.support.processes import assert_none_left, is_running
from tests.support.server import Shop, unused_port
from tests.support.waiting import eventually


@dataclass
class Bench:
    """Run one fortio the way the load fault does, with every knob at hand."""

    processes: Processes = field(default_factory=Processes)
    log: AccessLog = field(default_factory=AccessLog)
    stop: threading.Event = field(default_factory=threading.Event)
    active: ActiveEvent = field(default_factory=ActiveEvent)
    started: list[OwnedProcess] = field(default_factory=list)

    def spawn(self, argv: Any, *, env: Mapping[str, str] | None = None) -> OwnedProcess:
        process = self.processes.spawn(argv, env=env)
        self.started.append(process)
        return process

    def make(self, argv: list[str], qps: int = 50) -> FortioRun:
        return FortioRun(argv, qps=qps, spawn=self.spawn, log=self.log)

    def run(
        self,
        run: FortioRun,
        *,
        seconds: float | None = 0.2,
        limit_s: float = 20,
        start_s: float = 5,
        grace_s: float = 2,
    ) -> Mapping[str, Any]:
        return run.run(
            stop=self.stop,
            seconds=seconds,
            limit_s=limit_s,
            start_within_s=start_s,
            grace_s=grace_s,
            active=self.active,
        )

    def failure(self, run: FortioRun, **limits: Any) -> FaultFailed:
        with pytest.raises(FaultFailed) as failed:
            self.run(run, **limits)
        return failed.value

    def stop_once(self, condition: Callable[[], object], what: str) -> threading.Thread:
        """Set ``stop`` from another thread, once ``condition`` is true."""

        def watch() -> None:
            eventually(condition, what)
            self.stop.set()

        thread = threading.Thread(target=watch)
        thread.start()
        return thread


@pytest.fixture
def bench() -> Generator[Bench, None, None]:
    """Yield a bench; afterwards nothing that it has started may be left."""
    bench = Bench()
    yield bench
    for process in bench.started:
        assert process.wait(0) is not None, "the process was left behind"
    pipes = [pipe for process in bench.started for pipe in (process.stdout, process.stderr)]
    eventually(lambda: all(pipe.closed for pipe in pipes), "its pipes are closed", within_s=2)
    assert not bench.active.is_set()
    bench.processes.end_all()


def real(url: str, *, qps: int = 200, concurrency: int = 8, timeout_s: float = 1.0) -> list[str]:
    load = Load(url=url, qps=qps, concurrency=concurrency, timeout_s=timeout_s)
    return load_argv(load, binary=str(locate().path), ip="127.0.0.1", run_limit_s=60)


# ---------------------------------------------------------------------------------------------- the real one


def test_a_load_with_a_duration(bench: Bench, shop: Shop) -> None:
    run = bench.make(real(shop.url), qps=200)
    report = bench.run(run, seconds=0.5)
    assert report["RunType"] == "HTTP"
    assert run.threads == 8
    assert run.span is not None
    length = run.span[1] - run.span[0]
    assert 0.5 <= length < 1.5
    assert report["DurationHistogram"]["Count"] == run.logged == len(bench.log) == shop.count - 8
    assert 0.5 * 200 * 0.5 <= run.logged <= 200 * length + 8
    assert bench.log.codes() == {"200": run.logged}
    assert len(bench.active.spans()) == 1


def test_a_load_without_a_duration_lasts_until_it_is_stopped(bench: Bench, shop: Shop) -> None:
    run = bench.make(real(shop.url))
    watch = bench.stop_once(lambda: run.logged >= 50, "50 requests were logged")
    bench.run(run, seconds=None)
    watch.join()
    assert run.logged >= 50
    shop.wait_quiet()


def test_a_load_never_lasts_longer_than_its_limit(bench: Bench, shop: Shop) -> None:
    run = bench.make(real(shop.url))
    bench.run(run, seconds=None, limit_s=0.2)
    assert run.span is not None
    assert 0.2 <= run.span[1] - run.span[0] < 1.2


def test_it_is_active_only_when_measured_requests_are_answered(bench: Bench, shop: Shop) -> None:
    """A moment before, only warm-up requests had come, one for each connection."""
    seen: list[tuple[int, int]] = []

    class Looking(ActiveEvent):
        def set(self) -> None:
            seen.append((shop.count, len(bench.log)))
            super().set()

    bench.active = Looking()
    shop.delay_s = 0.1
    bench.run(bench.make(real(shop.url, concurrency=4)))
    arrived, logged = seen[0]
    assert arrived > 4
    assert logged >= 1


def test_nothing_is_sent_after_it_has_returned(bench: Bench, shop: Shop) -> None:
    bench.run(bench.make(real(shop.url)))
    count = shop.count
    assert_none_left(f":{shop.port}", within_s=0.0)
    shop.wait_quiet()
    assert shop.count == count


def test_errors_are_answers(bench: Bench, shop: Shop) -> None:
    shop.status = 503
    run = bench.make(real(shop.url))
    bench.run(run)
    assert bench.log.codes() == {"503": run.logged}
    assert bench.log.answered == bench.log.failed == run.logged > 0


def test_a_refused_connection(bench: Bench) -> None:
    run = bench.make(real(f"http://127.0.0.1:{unused_port()}/"))
    failed = bench.failure(run, seconds=30)
    assert failed.kind == "no_response"
    assert "connection refused" in str(failed)
    assert bench.log.answered == 0
    assert bench.active.spans() == []


def test_a_hung_target(bench: Bench, shop: Shop) -> None:
    shop.hang = True
    failed = bench.failure(bench.make(real(shop.url, timeout_s=0.2)), seconds=30)
    assert failed.kind == "no_response"
    assert bench.active.spans() == []


def test_an_unknown_host(bench: Bench) -> None:
    """Without a pinned address fortio looks the name up itself; the guard does it before, and never lets it come to this."""
    load = Load(url="http://no-such-host.invalid/", qps=10, concurrency=2, timeout_s=1)
    argv = load_argv(load, binary=str(locate().path), ip=None, run_limit_s=60)
    failed = bench.failure(bench.make(argv))
    assert failed.kind == "exit_before_start"
    assert "lookup no-such-host.invalid" in str(failed)


def test_a_target_that_dies_leaves_what_was_measured(bench: Bench, shop: Shop) -> None:
    shop.dies_after = 40
    run = bench.make(real(shop.url))
    bench.run(run, seconds=0.6)
    assert bench.log.codes()["200"] >= 30
    assert bench.log.codes()["-1"] > 0


def test_stopping_before_the_measured_phase_is_no_failure(bench: Bench, shop: Shop) -> None:
    shop.hang = True
    watch = bench.stop_once(lambda: shop.count >= 1, "warm-up had begun")
    with pytest.raises(Cancelled):
        bench.run(bench.make(real(shop.url, timeout_s=30)))
    watch.join()
    assert bench.active.spans() == []


def test_a_fortio_that_is_killed_at_work(bench: Bench, shop: Shop) -> None:
    run = bench.make(real(shop.url))

    def kill() -> None:
        eventually(lambda: run.logged >= 20, "20 requests were logged")
        os.kill(bench.started[0].pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    failed = bench.failure(run, seconds=30)
    thread.join()
    assert failed.kind == "died"
    assert "killed by SIGKILL" in str(failed)
    assert len(bench.log) >= 20
    assert len(bench.active.spans()) == 1


# ---------------------------------------------------------------------------------------------- fakes


FLOWING = "marker()\nuntil_sigint(log)\n"
BAD = {
    "exits at once": ("sys.exit(1)", "exit_before_start", "exit status 1"),
    "says why it exits": (
        "err('Aborting because of x'); sys.exit(1)",
        "exit_before_start",
        "Aborting because of x",
    ),
    "dies at once": ("os.kill(os.getpid(), signal.SIGSEGV)", "exit_before_start", "killed by SIGSEGV"),
    "never starts": ("until_sigint()", "never_started", "measured phase in time"),
    "never starts and says so": ("err('waiting'); until_sigint()", "never_started", "waiting"),
    "ends too early": ("marker(); log(); sys.exit(0)", "died", "exit status 0"),
    "dies at work": ("marker(); log(); os.kill(os.getpid(), signal.SIGKILL)", "died", "killed by SIGKILL"),
    "exits with an error": (FLOWING + "say(report()); sys.exit(2)", "exit", "exit status 2"),
    "dies when stopped": (FLOWING + "os.kill(os.getpid(), signal.SIGTERM)", "exit", "killed by SIGTERM"),
    "ignores the interrupt": (
        "marker()\nwhile True:\n  log()\n  time.sleep(0.01)",
        "ignored_interrupt",
        "was killed",
    ),
    "closes its output at work": (
        "marker(); log(5); os.close(1); os.close(2)\nwhile True: time.sleep(0.01)",
        "died|ignored_interrupt",
        "output|ended",
    ),
    "closes its output at once": (
        "os.close(1); os.close(2)\nwhile True: time.sleep(0.01)",
        "exit_before_start|never_started",
        "",
    ),
    "closes its output when stopped": (
        FLOWING + "os.close(1)\nwhile True: time.sleep(0.01)",
        "ignored_interrupt",
        "closed its output",
    ),
    "prints nothing": (FLOWING, "no_json", "without its JSON report"),
    "prints a piece": (FLOWING + "say(report()[:30])", "truncated_json", "cut off"),
    "prints text": (FLOWING + "say('bye')", "bad_json", "cannot be read"),
    "prints a flood": (FLOWING + "sys.stdout.write('x' * 9_000_000)", "bad_json", "cannot be read"),
    "prints other JSON": (FLOWING + "say('{}')", "foreign_json", "no report of fortio's"),
    "is silent about the marker": ("log(50); until_sigint(log)", "never_started", "measured phase"),
}


@pytest.mark.parametrize(
    ("script", "kind", "words"), BAD.values(), ids=[name.replace(" ", "-") for name in BAD]
)
def test_each_way_to_fail_has_its_kind(
    bench: Bench, fake_fortio: Callable[[str], Path], script: str, kind: str, words: str
) -> None:
    run = bench.make([str(fake_fortio(script)), "load"])
    failed = bench.failure(run, seconds=0.3, start_s=0.5 if "never_started" in kind else 10, grace_s=1)
    assert failed.kind in kind.split("|"), failed
    assert any(word in str(failed) for word in words.split("|")), failed


def test_what_cannot_be_started(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(FaultFailed, match="could not be started") as failed:
        bench.make([str(tmp_path / "missing"), "load"])
    assert failed.value.kind == "not_started"


def test_it_is_interrupted_exactly_once_and_only_after_the_marker(
    bench: Bench, fake_fortio: Callable[[str], Path], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    script = f"""
time.sleep(0.2)
assert not interrupted
marker()
until_sigint(log)
time.sleep(0.3)
open({str(told)!r}, "w").write(str(len(interrupted)))
say(report())
"""
    bench.run(bench.make([str(fake_fortio(script)), "load"]), seconds=0.05)
    assert told.read_text(encoding="utf-8") == "1"


def test_a_flood_on_standard_error_blocks_nobody(bench: Bench, fake_fortio: Callable[[str], Path]) -> None:
    script = """
flood = "e" * 999
for _ in range(5000):
    err(flood)
marker()
until_sigint(lambda: (log(), err(flood)))
say(report())
"""
    run = bench.make([str(fake_fortio(script)), "load"])
    bench.run(run)
    assert run.logged > 0


def test_a_line_without_end_on_standard_error_blocks_nobody(
    bench: Bench, fake_fortio: Callable[[str], Path]
) -> None:
    script = "sys.stderr.write('e' * 3_000_000 + '\\n')\n" + HONEST
    run = bench.make([str(fake_fortio(script)), "load"])
    bench.run(run)
    assert run.threads == 2


def test_a_log_in_small_pieces_is_read_as_one(bench: Bench, fake_fortio: Callable[[str], Path]) -> None:
    script = """
import io
marker()
real, sys.stdout = sys.stdout, io.StringIO()
log(20)
text = sys.stdout.getvalue() + report() + "\\n"
sys.stdout = real
for at in range(0, len(text) - 100, 7):
    os.write(1, text[at:at + 7].encode())
sent = len(range(0, len(text) - 100, 7)) * 7
until_sigint()
os.write(1, text[sent:].encode())
"""
    run = bench.make([str(fake_fortio(script)), "load"])
    report = bench.run(run)
    assert run.logged == len(bench.log) == report["DurationHistogram"]["Count"] == 20


def test_the_first_measured_request_counts_however_late_its_marker_is_read(
    bench: Bench, fake_fortio: Callable[[str], Path]
) -> None:
    """Both arrive through different pipes; the request must not be taken for one before the measured phase."""
    script = "log()\nmarker()\nuntil_sigint()\nsay(report())"
    run = bench.make([str(fake_fortio(script)), "load"])
    bench.run(run)
    assert run.span is not None
    assert bench.log.count([run.span]) == (1, 1, 0)


def test_a_child_that_escapes_with_the_pipes_blocks_nobody(
    bench: Bench, fake_fortio: Callable[[str], Path], tmp_path: Path
) -> None:
    """A fortio that leaves a child in another session, with our pipes open, must not hang us."""
    escaped = tmp_path / "escaped"
    script = f"""
if os.fork() == 0:
    os.setsid()
    open({str(escaped)!r}, "w").write(str(os.getpid()))
    time.sleep(20)
    os._exit(0)
marker()
until_sigint(log)
say(report())
"""
    began = time.monotonic()
    outcome: list[object] = []

    def attempt() -> None:
        try:
            outcome.append(bench.run(bench.make([str(fake_fortio(script)), "load"]), grace_s=1))
        except FaultFailed as failed:
            outcome.append(failed)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    hung = thread.is_alive()
    assert not is_running(int(escaped.read_text(encoding="utf-8")))
    thread.join(5)
    assert not hung, "it waited for the escaped child"
    assert outcome
    assert time.monotonic() - began < 12
