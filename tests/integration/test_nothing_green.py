"""Nothing is green for nothing: every way in which a disruption may not happen fails the test, and says why.

Each case runs three times: as it is, under ``xfail(strict=True)`` and under ``xfail(strict=False)``. Neither
may absorb it, because a test that is expected to fail under chaos proves nothing either if there was none.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.fake_fortio import HONEST, write_raw_executable
from tests.support.inner import InnerPytest, InnerRun
from tests.support.processes import assert_none_left, is_running, processes_with
from tests.support.server import Shop, unused_port
from tests.support.specs import INSTANT_FAULT, load_spec

ABSORBERS = {
    "plain": "",
    "strict": "@pytest.mark.xfail(strict=True, reason='expected to break')",
    "lenient": "@pytest.mark.xfail(strict=False, reason='may break')",
}
absorbers = pytest.mark.parametrize("absorber", ABSORBERS)

# What a person can do when the fortio that was run is no fortio.
CHECK_FORTIO = r"--chaos-fortio|doctor"


def module(
    spec: object, *, absorber: str = "plain", body: str = "pass", head: str = "", keywords: str = ""
) -> str:
    """Return an inner test module with one chaos test."""
    return "\n".join(
        [
            "import pytest, socket, time",
            head,
            ABSORBERS[absorber],
            f"@pytest.mark.chaos({spec!r}{keywords})",
            "def test_it():",
            f"    {body}",
        ]
    )


def assert_not_green(
    run: InnerRun, *, word: str, happened: str, remedy: str, verdict: str = "inconclusive"
) -> None:
    """Fail unless the one test of ``run`` failed, was judged, and its message names cause and remedy."""
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (pytest.ExitCode.TESTS_FAILED, word, [verdict]), (
        run.stdout
    )
    assert re.search(happened, end.longrepr), f"does not say what happened ({happened}):\n{end.longrepr}"
    assert re.search(remedy, end.longrepr), f"does not say what to do ({remedy}):\n{end.longrepr}"
    assert re.search(happened, end.chaos[0]["reason"]), end.chaos[0]["reason"]
    assert re.search(rf"(?m)^{verdict} +.*test_it", run.stdout), f"no line in the summary:\n{run.stdout}"


# ---------------------------------------------------------------------------------------------- the target


@absorbers
def test_target_that_is_down(inner: InnerPytest, absorber: str) -> None:
    port = unused_port()
    run = inner(module(load_spec(f"http://127.0.0.1:{port}/", qps=100), absorber=absorber))
    assert_not_green(run, word="error", happened="connection refused", remedy="Is the service up")
    assert_none_left(f":{port}/")


WAIT_UNTIL_DEAD = """
    from tests.support.waiting import eventually
    def refused():
        try:
            socket.create_connection(("127.0.0.1", PORT), 1).close()
        except OSError:
            return True
    eventually(refused, "the shop is dead")
    time.sleep(0.2)  # the rest of the body, in which nobody answers
"""


@absorbers
def test_target_that_dies_halfway_and_a_body_that_does_not_notice(
    inner: InnerPytest, shop: Shop, absorber: str
) -> None:
    shop.dies_after = 60
    body = WAIT_UNTIL_DEAD.replace("PORT", str(shop.port))
    run = inner(module(load_spec(shop.url, qps=100), absorber=absorber, body=body))
    assert_not_green(run, word="failed", happened="under-delivered", remedy="is the target still up")
    assert run.test().chaos[0]["result"]["details"]["responses"]["-1"] > 0


@pytest.mark.parametrize(
    ("absorber", "word"), [("plain", "failed"), ("strict", "xfailed"), ("lenient", "xfailed")]
)
def test_target_that_dies_halfway_and_a_body_that_notices(
    inner: InnerPytest, shop: Shop, absorber: str, word: str
) -> None:
    shop.dies_after = 60
    body = (
        WAIT_UNTIL_DEAD.replace("PORT", str(shop.port))
        + "\n    raise ConnectionError('no checkout any more')"
    )
    run = inner(module(load_spec(shop.url, qps=100), absorber=absorber, body=body))
    end = run.test()
    assert (end.word, end.verdicts) == (word, ["broke"]), run.stdout
    assert run.exit_code == (1 if word == "failed" else 0)
    assert "weaker than asked" in end.chaos[0]["reason"]
    if word == "failed":
        assert "no checkout any more" in end.longrepr
        assert re.search(r"'load' \(generate_load\) is broke", end.longrepr), end.longrepr


@absorbers
def test_target_that_hangs_from_the_start(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    shop.hang = True
    run = inner(module(load_spec(shop.url, qps=40, timeout="200ms"), absorber=absorber))
    assert_not_green(run, word="error", happened="answered no request at all", remedy="Is the service up")


@absorbers
def test_target_that_hangs_once_the_load_flows(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    shop.hangs_after = 10  # the connections' warm-up
    spec = load_spec(shop.url, qps=40, concurrency=10, timeout="200ms")
    run = inner(module(spec, absorber=absorber), ini={"chaos_start_timeout": 1})
    assert_not_green(
        run, word="error", happened="no.* response|answered no|not active", remedy="up|chaos_start_timeout"
    )


@absorbers
def test_target_that_hangs_halfway(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    shop.hangs_after = 40
    spec = load_spec(shop.url, qps=100, concurrency=10, timeout="200ms")
    run = inner(module(spec, absorber=absorber, body="time.sleep(0.6)"))
    assert_not_green(run, word="failed", happened="under-delivered", remedy="no response|`qps`")


@absorbers
def test_unknown_host(inner: InnerPytest, absorber: str) -> None:
    spec = load_spec("http://no-such-host.invalid/")
    run = inner(module(spec, absorber=absorber), ini={"chaos_allowed_targets": "no-such-host.invalid"})
    assert_not_green(
        run,
        word="error",
        happened="'no-such-host.invalid' .* cannot be resolved",
        remedy="check|spell|name|up",
    )


@absorbers
def test_placeholder_that_nobody_fills(inner: InnerPytest, absorber: str) -> None:
    run = inner(module(load_spec("{{SHOP_URL}}/checkout"), absorber=absorber))
    assert_not_green(
        run, word="error", happened=r"no value for \{\{SHOP_URL\}\}", remedy="--chaos-var NAME=VALUE"
    )


@absorbers
def test_target_that_answers_too_slowly(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    shop.delay_s = 1.0 if absorber == "plain" else 0.4
    run = inner(module(load_spec(shop.url, qps=300), absorber=absorber, body="time.sleep(0.5)"))
    assert_not_green(
        run,
        word="failed",
        happened=r"under-delivered .*asked 300 .*got \d",
        remedy=r"`concurrency` to \d+.*`qps`",
    )


# ---------------------------------------------------------------------------------------------- fortio


@dataclass(frozen=True, kw_only=True)
class Fake:
    """A fortio that is none, and what becomes of a test that relies on it."""

    script: str
    happened: str
    word: str = "failed"
    verdict: str = "inconclusive"
    remedy: str = CHECK_FORTIO
    body: str = "time.sleep(0.1)"
    ini: Mapping[str, object] = field(default_factory=dict)


FLOWING = "marker()\nuntil_sigint(log)\n"
FAKES = {
    "exits 1 at once": Fake(script="sys.exit(1)", word="error", happened="exit status 1"),
    "exits 1 with a word": Fake(
        script="err('no such flag'); sys.exit(2)", word="error", happened="exit status 2.*no such flag"
    ),
    "exits 1 in the end": Fake(script=FLOWING + "say(report()); sys.exit(1)", happened="exit status 1"),
    "prints no JSON": Fake(script=FLOWING, happened="without its JSON report"),
    "prints half a JSON": Fake(script=FLOWING + "say(report()[:40])", happened="JSON report is cut off"),
    "prints text": Fake(script=FLOWING + "say('all done, bye')", happened="JSON report cannot be read"),
    "prints another tool's JSON": Fake(
        script=FLOWING + "say('{\"requests\": 7}')", happened="no report of fortio's"
    ),
    "prints a JSON list": Fake(script=FLOWING + "say('[]')", happened="no report of fortio's"),
    "prints very deep JSON": Fake(script=FLOWING + "say('[' * 200_000)", happened="JSON"),
    "reports an abort": Fake(
        script=FLOWING + "say(report(error=True, message='gave up'))", happened="gave up", remedy="."
    ),
    "reports what it never sent": Fake(
        script=FLOWING + "say(report(5000))", happened="reports 5000 requests, its access log"
    ),
    "measures nothing": Fake(
        script="marker()\nuntil_sigint()\nsay(report(5000))",
        word="error",
        happened="its access log holds 0|not active within 0.5 s",
        remedy=CHECK_FORTIO + "|chaos_start_timeout|up",
        ini={"chaos_start_timeout": 0.5},
    ),
    "never starts": Fake(
        script="until_sigint()",
        word="error",
        happened="did not begin its measured phase|not active within 0.5 s",
        remedy=CHECK_FORTIO + "|chaos_start_timeout",
        ini={"chaos_start_timeout": 0.5},
    ),
    "ignores SIGINT": Fake(
        script="marker()\nwhile True:\n    log()\n    time.sleep(0.01)",
        happened="still running 1 s after its SIGINT and was killed",
        remedy="chaos_stop_timeout",
        ini={"chaos_stop_timeout": 3},
    ),
    "ends its output but not itself": Fake(
        script="marker()\nlog(50)\nsys.stdout.flush()\nos.close(1)\nos.close(2)\nwhile True:\n    time.sleep(0.01)",
        happened="fortio (closed|ended)",
        ini={"chaos_stop_timeout": 3},
    ),
    "dies by a signal before it starts": Fake(
        script="os.kill(os.getpid(), signal.SIGSEGV)", word="error", happened="killed by SIGSEGV"
    ),
    "dies by a signal at work": Fake(
        script="marker()\nlog(50)\nos.kill(os.getpid(), signal.SIGKILL)",
        happened="killed by SIGKILL",
        remedy="kill|memory|" + CHECK_FORTIO,
        body="time.sleep(0.3)",
    ),
    "dies by a signal when asked to stop": Fake(
        script=FLOWING + "os.kill(os.getpid(), signal.SIGTERM)",
        happened="killed by SIGTERM",
        remedy="kill|memory|" + CHECK_FORTIO,
    ),
    "stops by itself": Fake(
        script="marker()\nlog(50)\nsay(report())",
        happened="ended while it was needed|over|under-delivered",
        body="time.sleep(0.3)",
    ),
    "answers only errors of its own": Fake(
        script="marker()\nuntil_sigint(lambda: log(1, -1))\nsay(report())",
        word="error",
        happened="no request|no response|not active",
        remedy="up|chaos_start_timeout",
        ini={"chaos_start_timeout": 0.5},
    ),
}


@absorbers
@pytest.mark.parametrize("fake", FAKES.values(), ids=[name.replace(" ", "-") for name in FAKES])
def test_fortio_that_is_none(
    inner: InnerPytest, shop: Shop, fake_fortio: Callable[[str], Path], fake: Fake, absorber: str
) -> None:
    path = fake_fortio(fake.script)
    spec = load_spec(shop.url, qps=50, timeout="100ms")
    run = inner(module(spec, absorber=absorber, body=fake.body), f"--chaos-fortio={path}", ini=fake.ini)
    assert_not_green(run, word=fake.word, verdict=fake.verdict, happened=fake.happened, remedy=fake.remedy)
    assert not processes_with(str(path)), "the fake has outlived the run"
    assert shop.count == 0, "something else than the fake has sent requests"


def test_the_fake_alone_is_no_reason_to_fail(
    inner: InnerPytest, shop: Shop, fake_fortio: Callable[[str], Path]
) -> None:
    """What the table above shows is due to what each fake does wrong: one that does everything right is believed."""
    run = inner(
        module(load_spec(shop.url, qps=50), body="time.sleep(0.2)"), f"--chaos-fortio={fake_fortio(HONEST)}"
    )
    assert (run.exit_code, run.test().verdicts) == (0, ["held"]), run.stdout


@absorbers
@pytest.mark.parametrize(("tool", "status"), [("true", 0), ("false", 1)])
def test_fortio_replaced_by_another_program(
    inner: InnerPytest, shop: Shop, tool: str, status: int, absorber: str
) -> None:
    run = inner(module(load_spec(shop.url), absorber=absorber), f"--chaos-fortio={shutil.which(tool)}")
    assert_not_green(run, word="error", happened=f"exit status {status}", remedy=CHECK_FORTIO)


@absorbers
def test_fortio_that_cannot_be_executed(
    inner: InnerPytest, shop: Shop, tmp_path: Path, absorber: str
) -> None:
    broken = write_raw_executable(tmp_path / "fortio", "this is no program\n")
    run = inner(module(load_spec(shop.url), absorber=absorber), f"--chaos-fortio={broken}")
    assert_not_green(run, word="error", happened="could not be started", remedy=CHECK_FORTIO)


@absorbers
@pytest.mark.parametrize("missing", ["missing", "directory", "not executable"])
def test_configured_fortio_that_is_not_there(
    inner: InnerPytest, shop: Shop, tmp_path: Path, missing: str, absorber: str
) -> None:
    path = tmp_path / "fortio"
    if missing == "directory":
        path.mkdir()
    elif missing == "not executable":
        path.write_text("#!/bin/sh\n", encoding="utf-8")
    run = inner(module(load_spec(shop.url), absorber=absorber), ini={"chaos_fortio": path})
    assert_not_green(
        run,
        word="error",
        happened="the configured fortio .* is not an executable file",
        remedy="--chaos-fortio PATH",
    )


@absorbers
def test_no_fortio_anywhere(
    inner: InnerPytest, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absorber: str
) -> None:
    monkeypatch.setattr("pytest_chaos.fortio.locate.BUNDLED", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    run = inner(module(load_spec(shop.url), absorber=absorber))
    assert_not_green(
        run, word="error", happened="no fortio: none is bundled", remedy="reinstall.*--chaos-fortio PATH"
    )


# ---------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True, kw_only=True)
class BadFault:
    """The ``inject`` of a fault, and what becomes of a test that relies on it."""

    inject: str
    happened: str
    word: str = "error"
    verdict: str = "inconclusive"
    remedy: str = "."
    start_timeout_s: float = 30


BAD_FAULTS = {
    "raises before it is active": BadFault(
        inject="raise RuntimeError('no disk')", happened="RuntimeError: no disk"
    ),
    "raises an exit": BadFault(inject="raise SystemExit(3)", happened="SystemExit: 3"),
    "raises while active": BadFault(
        inject="event.set(); ctx.stop.wait(); raise RuntimeError('no disk')",
        word="failed",
        happened="RuntimeError: no disk",
    ),
    "reports no success": BadFault(
        inject="event.set(); ctx.stop.wait(); return ChaosResult(success=False, injected_fault='f', error='no disk')",
        word="failed",
        happened="the fault failed: no disk",
    ),
    "reports no success without a word": BadFault(
        inject="event.set(); ctx.stop.wait(); return ChaosResult(success=False, injected_fault='f')",
        word="failed",
        happened="no success and gave no reason",
    ),
    "returns nothing": BadFault(inject="return None", happened="returned NoneType, not a ChaosResult"),
    "returns nothing after being active": BadFault(
        inject="event.set(); ctx.stop.wait()", word="failed", happened="returned NoneType, not a ChaosResult"
    ),
    "ends without having been active": BadFault(
        inject="return ChaosResult(success=True, injected_fault='f')",
        happened="never.* active",
        remedy="chaos_active_event",
    ),
    "never becomes active": BadFault(
        inject="ctx.stop.wait(); return ChaosResult(success=True, injected_fault='f')",
        happened="not active",
        remedy="chaos_start_timeout",
        start_timeout_s=0.3,
    ),
    "is over before the body": BadFault(
        inject="event.set(); return ChaosResult(success=True, injected_fault='f')",
        word="failed",
        happened="active for .* but not while the body ran",
    ),
    "does not stop when asked": BadFault(
        inject="event.set(); RELEASE.wait(); return ChaosResult(success=True, injected_fault='f')",
        word="failed",
        verdict="error",
        happened="did not stop within 1 s of being asked",
        remedy=r"return once ctx\.stop is set",
    ),
}


@absorbers
@pytest.mark.parametrize("bad", BAD_FAULTS.values(), ids=[name.replace(" ", "-") for name in BAD_FAULTS])
def test_fault_that_does_not_work(inner: InnerPytest, bad: BadFault, absorber: str) -> None:
    head = f"""
import threading
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault

RELEASE = threading.Event()

@pytest.fixture(scope="session", autouse=True)
def release():
    yield
    RELEASE.set()  # so that no thread is left in the process of the tests

@FAULTS.register("bad")
class BadFault(Fault):
    type: Literal["bad"] = "bad"
    def ends_by_itself(self):
        return False
    def inject(self, ctx, event=None):
        {bad.inject}
"""
    spec = {"trigger": {"type": "time"}, "action": {"type": "bad"}}
    run = inner(
        module(spec, absorber=absorber, head=head, body="time.sleep(0.05)"),
        ini={"chaos_start_timeout": bad.start_timeout_s, "chaos_stop_timeout": 1},
    )
    assert_not_green(run, word=bad.word, verdict=bad.verdict, happened=bad.happened, remedy=bad.remedy)


@pytest.mark.parametrize(
    ("wait", "happened"),
    [("raise RuntimeError('no cron')", "RuntimeError: no cron"), ("raise SystemExit(1)", "SystemExit: 1")],
    ids=["raises", "exits"],
)
@absorbers
def test_trigger_that_does_not_work(inner: InnerPytest, wait: str, happened: str, absorber: str) -> None:
    head = f"""{INSTANT_FAULT}
from pytest_chaos import TRIGGERS, Trigger

@TRIGGERS.register("bad")
class BadTrigger(Trigger):
    type: Literal["bad"] = "bad"
    def wait(self, ctx):
        {wait}
"""
    spec = {"trigger": {"type": "bad"}, "action": {"type": "instant"}}
    run = inner(module(spec, absorber=absorber, head=head))
    assert_not_green(run, word="error", happened=happened, remedy=".")


@absorbers
def test_trigger_that_does_not_stop_when_asked(inner: InnerPytest, absorber: str) -> None:
    head = f"""{INSTANT_FAULT}
from pytest_chaos import TRIGGERS, Trigger

RELEASE = threading.Event()

@pytest.fixture(scope="session", autouse=True)
def release():
    yield
    RELEASE.set()

@TRIGGERS.register("stuck")
class StuckTrigger(Trigger):
    type: Literal["stuck"] = "stuck"
    def wait(self, ctx):
        RELEASE.wait()
"""
    spec = {"trigger": {"type": "stuck"}, "action": {"type": "instant"}}
    run = inner(
        module(spec, absorber=absorber, head=head, keywords=', wait="none"'), ini={"chaos_stop_timeout": 1}
    )
    assert_not_green(
        run,
        word="failed",
        verdict="error",
        happened="the trigger 'stuck' did not stop within 1 s",
        remedy=r"return once ctx\.stop is set|ctx\.sleep",
    )


@absorbers
def test_fault_that_leaves_a_process_when_it_does_not_stop(
    inner: InnerPytest, tmp_path: Path, absorber: str
) -> None:
    told = tmp_path / "pid"
    head = f"""
import pathlib, threading
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault

RELEASE = threading.Event()

@pytest.fixture(scope="session", autouse=True)
def release():
    yield
    RELEASE.set()

@FAULTS.register("stuck")
class StuckFault(Fault):
    type: Literal["stuck"] = "stuck"
    def inject(self, ctx, event=None):
        process = ctx.spawn(["sleep", "60"])
        pathlib.Path({str(told)!r}).write_text(str(process.pid))
        event.set()
        RELEASE.wait()
        process.stdout.close()
        process.stderr.close()
"""
    spec = {"trigger": {"type": "time"}, "action": {"type": "stuck"}}
    run = inner(module(spec, absorber=absorber, head=head), ini={"chaos_stop_timeout": 1})
    assert_not_green(
        run,
        word="failed",
        verdict="error",
        happened="did not stop within 1 s",
        remedy=r"return once ctx\.stop is set",
    )
    assert not is_running(int(told.read_text(encoding="utf-8")))


# ---------------------------------------------------------------------------------------------- time


@absorbers
def test_target_that_is_down_while_nobody_waits_for_the_load(inner: InnerPytest, absorber: str) -> None:
    spec = load_spec(f"http://127.0.0.1:{unused_port()}/", qps=100)
    run = inner(module(spec, absorber=absorber, body="time.sleep(0.5)", keywords=', wait="none"'))
    assert_not_green(
        run,
        word="failed",
        happened="connection refused|no request got",
        remedy="[Ii]s the (service|target) up",
    )


@absorbers
def test_body_that_is_over_before_the_trigger_fires(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    spec = load_spec(shop.url, delay_seconds=30)
    run = inner(module(spec, absorber=absorber, keywords=', wait="none"'))
    assert_not_green(
        run,
        word="failed",
        happened="the trigger never fired: it fires 30 s after",
        remedy="delay|longer|wait=",
    )
    assert shop.count == 0


@absorbers
def test_body_that_is_over_before_the_load_flows(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    run = inner(module(load_spec(shop.url), absorber=absorber, keywords=', wait="none"'))
    assert_not_green(run, word="failed", happened="never active|never fired", remedy="longer|wait=")


@absorbers
@pytest.mark.parametrize(("qps", "lasts"), [(1, 0.1), (2, 0.3), (10, 0.0)])
def test_rate_so_low_or_body_so_short_that_no_request_was_due(
    inner: InnerPytest, shop: Shop, qps: int, lasts: float, absorber: str
) -> None:
    run = inner(module(load_spec(shop.url, qps=qps), absorber=absorber, body=f"time.sleep({lasts})"))
    assert_not_green(
        run,
        word="failed",
        happened="not one whole request was due",
        remedy="raise the rate, or let the body last",
    )


@absorbers
def test_load_that_is_hardly_there(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    """It may or may not reach into the body; either way nothing was due in it."""
    spec = load_spec(shop.url, qps=50, duration="10ms")
    run = inner(module(spec, absorber=absorber, body="time.sleep(0.1)"))
    assert_not_green(
        run,
        word="failed",
        happened="not one whole request was due|not while the body ran",
        remedy="longer|last|`?wait|rate",
    )


@absorbers
def test_load_that_is_over_before_the_body_is_reached(inner: InnerPytest, shop: Shop, absorber: str) -> None:
    """Two disruptions: the short one has long ended when the other one lets the body start."""
    specs = [
        load_spec(shop.url, name="short", qps=100, duration="100ms"),
        load_spec(shop.url, name="late", qps=100, delay_seconds=0.8, min_delivered=0.3),
    ]
    run = inner(module(specs, absorber=absorber, body="time.sleep(0.2)"))
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["inconclusive", "held"]), run.stdout
    assert "but not while the body ran" in end.longrepr


# ---------------------------------------------------------------------------------------------- and what holds


@pytest.mark.parametrize(
    ("absorber", "body", "word", "code"),
    [
        ("plain", "pass", "passed", 0),
        ("strict", "pass", "failed", 1),
        ("lenient", "pass", "xpassed", 0),
        ("plain", "raise ValueError('broke')", "failed", 1),
        ("strict", "raise ValueError('broke')", "xfailed", 0),
        ("lenient", "raise ValueError('broke')", "xfailed", 0),
    ],
)
def test_xfail_keeps_its_meaning_for_a_disruption_that_happened(
    inner: InnerPytest, absorber: str, body: str, word: str, code: int
) -> None:
    spec = {"trigger": {"type": "time"}, "action": {"type": "instant"}}
    run = inner(module(spec, absorber=absorber, head=INSTANT_FAULT, body=body))
    end = run.test()
    assert (end.word, run.exit_code) == (word, code), run.stdout
    assert end.verdicts == ["held" if body == "pass" else "broke"]


OTHER_ABSORBERS = {
    "pytest.xfail in the body": """
def test_it():
    pytest.xfail("known")
""",
    "a mark that the body adds": """
def test_it(request):
    request.node.add_marker(pytest.mark.xfail(reason="known"))
    raise ValueError("broke")
""",
    "a mark that a fixture adds": """
@pytest.fixture(autouse=True)
def known(request):
    request.node.add_marker(pytest.mark.xfail(reason="known"))

def test_it():
    raise ValueError("broke")
""",
    "an exception that is expected": """
@pytest.mark.xfail(raises=ValueError)
def test_it():
    raise ValueError("broke")
""",
    "unittest's expected failure": """
import unittest
class TestOld(unittest.TestCase):
    @unittest.expectedFailure
    def test_it(self):
        self.fail("broke")
""",
}


@pytest.mark.parametrize(
    "source", OTHER_ABSORBERS.values(), ids=[name.replace(" ", "-") for name in OTHER_ABSORBERS]
)
@pytest.mark.parametrize("happens", [False, True])
def test_no_way_to_expect_a_failure_absorbs_a_disruption_that_was_none(
    inner: InnerPytest, source: str, happens: bool
) -> None:
    """With a disruption that happened, each of them does absorb the failure of the body."""
    mark = "INSTANT" if happens else "LATE, wait='none'"
    head = f"{INSTANT_FAULT}\nLATE = {{**INSTANT, 'trigger': {{'type': 'time', 'delay_seconds': 60}}}}\n"
    run = inner(head + f"pytestmark = pytest.mark.chaos({mark})\n" + source)
    end = run.test()
    if happens:
        assert (run.exit_code, end.word, end.verdicts) == (0, "xfailed", ["broke"]), run.stdout
    else:
        assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["inconclusive"]), run.stdout


QUARANTINES = {
    "expected failures": "report.outcome, report.wasxfail = 'skipped', 'in quarantine'",
    "skipped": "report.outcome, report.longrepr = 'skipped', ('x.py', 1, 'in quarantine')",
    "passed": "report.outcome, report.longrepr = 'passed', None",
}


@pytest.mark.parametrize("change", QUARANTINES.values(), ids=[name.replace(" ", "-") for name in QUARANTINES])
@pytest.mark.parametrize("wait", ["active", "none"])
def test_no_plugin_can_absorb_it(inner: InnerPytest, change: str, wait: str) -> None:
    """A hook may turn the failures of some tests into something else; a disruption that was none is no such failure."""
    spec = load_spec(f"http://127.0.0.1:{unused_port()}/", qps=100)
    run = inner(
        module(spec, keywords=f", wait={wait!r}"),
        conftest=f"""
            import pytest
            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_makereport(item, call):
                report = yield
                if report.failed:
                    {change}
                return report
            """,
    )
    end = run.test()
    assert run.exit_code == 1, run.stdout
    assert end.word == ("error" if wait == "active" else "failed")
    assert end.verdicts == ["inconclusive"]
    assert "inconclusive" in end.longrepr
