"""Other plugins that people use: reruns replace, timeouts leave nothing behind, order does not matter."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
RERUNS = ["xdist.plugin", "pytest_rerunfailures"]


def chaos_of_attempts(run: InnerRun) -> list[str]:
    """Return the verdicts in JUnit XML, where pytest writes a test case for each attempt; none may have two."""
    verdicts = []
    for case in ET.parse(run.path / "junit.xml").getroot().iter("testcase"):
        named = [one.get("value", "") for one in case.iterfind("properties/property[@name='chaos.verdict']")]
        assert len(named) == len(case.findall("system-out")) <= 1
        verdicts += named or ["none"]
    return verdicts


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_reruns_replace_and_never_accumulate(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it():\n"
        "    assert len(RUNNING) == 1\n    assert len(STARTED) == 3\n",
        option,
        "--reruns=3",
        conftest=STAGED,
        plugins=RERUNS,
        junit=True,
    )
    end = run.test()
    assert [report.outcome for report in end.reports if report.when == "call"] == ["rerun", "rerun", "passed"]
    assert [report.chaos[0]["verdict"] for report in end.reports if report.chaos] == [
        "broke",
        "broke",
        "held",
    ]
    for report in end.reports:
        assert [title for title, _ in report.sections].count("chaos") == (report.when == "call")
    assert end.verdicts == ["held"]
    assert [line for line in run.stdout.splitlines() if "test_it  'a rush'" in line] == [
        "held         test_inner.py::test_it  'a rush'  staged  overlap 100%"
    ]
    assert chaos_of_attempts(run) == ["broke", "broke", "held"]


def test_a_disruption_that_fails_in_setup_is_run_again(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture(autouse=True)
def mark(request):
    play = "raises" if len(STARTED) < 2 else "well"
    request.node.own_markers[:] = [pytest.mark.chaos(staged(play=play)).mark]

@pytest.mark.chaos(staged())
def test_it(): assert RUNNING
""",
        "--reruns=2",
        conftest=STAGED,
        plugins=RERUNS,
        junit=True,
    )
    end = run.test()
    assert [report.outcome for report in end.reports if report.when == "setup"] == [
        "rerun",
        "rerun",
        "passed",
    ]
    assert end.verdicts == ["held"]
    assert chaos_of_attempts(run) == ["inconclusive", "inconclusive", "held"]
    assert run.stdout.count("test_it  'a rush'") == 1


def test_a_rerun_that_never_gets_to_its_disruption_does_not_keep_the_old_verdict(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def comes_up_once():
    if STARTED:
        raise OSError("second time unlucky")

@pytest.mark.chaos(staged())
def test_it(comes_up_once): assert not RUNNING
""",
        "--reruns=1",
        conftest=STAGED,
        plugins=RERUNS,
        junit=True,
    )
    assert [report.outcome for report in run.test().reports if report.when == "setup"] == ["passed", "failed"]
    assert "broke" not in run.stdout.partition("== chaos ==")[2].partition("== short")[0]
    assert chaos_of_attempts(run) == ["broke", "none"]


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_timeout_by_signal_breaks_the_body(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
import time

@pytest.mark.timeout(0.2, method="signal")
@pytest.mark.chaos(staged())
def test_it(): time.sleep(30)

@pytest.mark.timeout(0.2, method="signal")
@pytest.mark.xfail
@pytest.mark.chaos(staged(play="fails"))
def test_unproven(): time.sleep(30)
""",
        option,
        conftest=STAGED,
        plugins=["pytest_timeout", "xdist.plugin"],
    )
    assert (run.test("::test_it").word, run.test("::test_it").verdicts) == ("failed", ["broke"])
    assert "Timeout" in run.test("::test_it").longrepr
    assert (run.test("::test_unproven").word, run.test("::test_unproven").verdicts) == (
        "failed",
        ["inconclusive"],
    )


def test_timeout_by_signal_while_setup_waits(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.timeout(0.2, method="signal")
@pytest.mark.chaos(staged("one"), staged("two", delay_seconds=600))
def test_it(): raise SystemError

def test_after(): assert RUNNING == []
""",
        conftest=STAGED,
        plugins=["pytest_timeout"],
    )
    assert run.words == {"test_it": "error", "test_after": "passed"}
    assert "Timeout" in run.test("::test_it").longrepr
    assert [one["name"] for one in run.test("::test_it").chaos] == ["one", "two"]
    assert "held" not in run.test("::test_it").verdicts


def test_timeout_by_thread_ends_the_run_at_once(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
import time

@pytest.mark.timeout(0.3, method="thread")
@pytest.mark.chaos(staged())
def test_it(): time.sleep(30)
""",
        conftest=STAGED,
        plugins=["pytest_timeout"],
        subprocess=True,
        timeout_s=20,
    )
    assert run.exit_code == 1
    assert "Timeout" in run.stdout + run.stderr
    assert "1 passed" not in run.stdout


def test_timeout_by_thread_under_xdist_is_a_crash_of_the_worker(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
import time

@pytest.mark.timeout(0.3, method="thread")
@pytest.mark.chaos(staged())
def test_it(): time.sleep(30)

@pytest.mark.chaos(staged())
def test_after(): pass
""",
        "-n1",
        "--max-worker-restart=1",
        conftest=STAGED,
        plugins=["pytest_timeout", "xdist.plugin"],
    )
    assert "crashed while running 'test_inner.py::test_it'" in run.stdout
    assert run.test("::test_after").verdicts == ["held"]
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED


def test_random_order(inner: InnerPytest) -> None:
    tests = "".join(
        f"@pytest.mark.chaos(staged())\ndef test_{n}(): assert len(RUNNING) == 1\n" for n in range(6)
    )
    run = inner(
        f"{HEAD}{tests}",
        "--random-order",
        "--random-order-seed=3",
        conftest=STAGED,
        plugins=["random_order.plugin"],
    )
    assert list(run.words) != [f"test_{n}" for n in range(6)]
    assert run.words == {f"test_{n}": "passed" for n in range(6)}
    assert all(run.test(f"::test_{n}").verdicts == ["held"] for n in range(6))


def test_random_order_leaves_bad_marks_as_errors(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos([])\ndef test_bad(): raise SystemError\ndef test_a(): pass\ndef test_b(): pass\n",
        "--random-order",
        "--continue-on-collection-errors",
        conftest=STAGED,
        plugins=["random_order.plugin"],
    )
    assert run.words == {"test_a": "passed", "test_b": "passed"}
    assert [report.nodeid for report in run.reports if report.when == "collect"] == [
        "test_inner.py::test_bad"
    ]


def test_every_round_of_a_benchmark_is_disrupted(inner: InnerPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # there, bodies run only once
    run = inner(
        f"""{HEAD}
SEEN = []

@pytest.mark.chaos(staged())
def test_it(benchmark):
    benchmark.pedantic(lambda: SEEN.append(list(RUNNING)), rounds=5)
    assert SEEN == [["a rush"]] * 5
    assert STARTED == ["a rush"]
""",
        conftest=STAGED,
        plugins=["pytest_benchmark.plugin"],
        warnings="default",
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


def test_hypothesis_runs_all_examples_under_one_disruption(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
from hypothesis import given, settings, strategies

@pytest.mark.chaos(staged())
@settings(max_examples=5, database=None, deadline=None)
@given(strategies.integers())
def test_it(number):
    assert RUNNING == STARTED == ["a rush"]
""",
        conftest=STAGED,
        plugins=["hypothesis.extra.pytestplugin"],
        warnings="default",
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize("dist", ["loadscope", "loadgroup", "worksteal", "each"])
def test_every_way_to_distribute(inner: InnerPytest, dist: str) -> None:
    tests = "".join(
        f"@pytest.mark.chaos(staged())\ndef test_{n}(): assert len(RUNNING) == 1\n" for n in range(3)
    )
    run = inner(f"{HEAD}{tests}", "-n2", f"--dist={dist}", conftest=STAGED, plugins=["xdist.plugin"])
    assert run.exit_code == 0
    assert run.words == {f"test_{n}": "passed" for n in range(3)}
    assert [run.test(f"::test_{n}").verdicts for n in range(3)] == [["held"]] * 3
