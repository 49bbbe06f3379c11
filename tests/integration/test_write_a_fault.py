"""A fault of somebody's own: as the page and the README write it, as the example runs it, in every report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest
from jsonschema import Draft202012Validator

from tests.integration.test_docs import FILE, ROOT, files, text
from tests.support.inner import InnerPytest

PAGE = "write-a-fault.md"
PAUSE = (ROOT / "examples" / "pause.py").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "examples" / "test_pause.py").read_text(encoding="utf-8")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Stand in a project that has all the files of the page."""
    for name, content in files(PAGE).items():
        (pytester.path / name).write_text(content, encoding="utf-8")
    pytester.makeini("[pytest]\n")
    return pytester


def said(page: str, beginning: str) -> str:
    """Return the line of the page, within a block of text, that begins so."""
    (line,) = re.findall(rf"(?m)^```text\n({re.escape(beginning)}.*)$", text(page))
    return str(line)


def test_the_page_shows_the_example() -> None:
    assert files(PAGE)["pause.py"] == PAUSE


def test_the_links_of_the_page_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", text(PAGE))
    assert targets
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target


def test_the_tests_of_the_page_run_as_pasted(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("-p", "no:cacheprovider", timeout=120)
    result.assert_outcomes(passed=1 + 8 + 7)
    result.stdout.fnmatch_lines([said(PAGE, "held ")])


def test_the_contract_says_what_the_page_says(project: pytest.Pytester) -> None:
    eager = PAUSE.replace(
        "        try:\n            os.kill", "        active.set()\n        try:\n            os.kill", 1
    )
    (project.path / "pause.py").write_text(eager, encoding="utf-8")
    result = project.runpytest_subprocess(
        "-p", "no:cacheprovider", "test_pause.py", "-k", "seen", timeout=120
    )
    result.assert_outcomes(failed=1, deselected=7)
    result.stdout.fnmatch_lines([said(PAGE, "E   ").replace("[", "[[]")])


def test_what_is_announced_need_not_be_imported(project: pytest.Pytester) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", text(PAGE), re.DOTALL)
    ((group, (point,)),) = [
        (group, names.items()) for group, names in tomllib.loads(block)["project"]["entry-points"].items()
    ]
    about = project.path / "pause-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pause\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[{group}]\n{point[0]} = {point[1]}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest_chaos", "schema"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=True,
    )
    schema = json.loads(done.stdout)
    entry = {"trigger": {"type": "time"}, "action": {"type": "pause", "pid": "{{WORKER_PID}}"}}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(entry)
    for bad in (
        {"pid": 7},
        {"pid": "-1"},
        {"pid": "0"},
        {"pid": "7", "duration": "0s"},
        {"pid": "7", "x": 1},
    ):
        assert not validator.is_valid({**entry, "action": {"type": "pause", **bad}})


def test_the_fault_of_the_readme_keeps_the_contract(pytester: pytest.Pytester) -> None:
    found = {
        one["name"]: one["text"] for one in FILE.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    }
    for name in ("full_disk.py", "test_full_disk.py"):
        (pytester.path / name).write_text(found[name], encoding="utf-8")
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=120)
    result.assert_outcomes(passed=8)


# ---------------------------------------------------------------------- the example, from the inside


@pytest.fixture
def example(inner: InnerPytest) -> InnerPytest:
    """Return what runs the example, whose fault lies beside it."""
    (inner.pytester.path / "pause.py").write_text(PAUSE, encoding="utf-8")
    return inner


def test_the_example_is_in_every_report(example: InnerPytest) -> None:
    run = example(EXAMPLE, "-k", "stuck or hiccup", junit=True, subprocess=True)
    stuck, hiccup = run.test("does_nothing"), run.test("hiccup")
    assert (stuck.verdicts, hiccup.verdicts) == (["held"], ["held"])
    (outcome,) = stuck.chaos
    assert outcome["verify"]["phases"] == {"before": True, "during": True, "after": True}
    assert outcome["verify"]["samples"] >= 1
    assert outcome["verify"]["time_to_recover_s"] is not None
    assert outcome["overlap"] == 1
    result = outcome["result"]
    assert re.fullmatch(rf"process {result['details']['pid']} stood still for [0-9.]+ s", result["output"])
    assert result["details"]["paused_s"] >= 0.5  # the body looks for as long
    assert 0.2 <= hiccup.chaos[0]["result"]["details"]["paused_s"] < 10
    moments = [*outcome["timeline"]]
    assert moments.index("fired") < moments.index("active") < moments.index("body_started")
    assert re.search(
        r"(?m)^held +test_inner\.py::\S+does_nothing +'stuck worker' +pause +overlap 100%$", run.stdout
    )
    case = run.junit["test_a_stuck_worker_does_nothing"]
    assert case.properties["chaos.verdict"] == "held"
    assert case.properties["chaos.1.name"] == "stuck worker"
    assert case.chaos == stuck.chaos


def test_a_worker_that_goes_on_by_itself_breaks_it(example: InnerPytest) -> None:
    meddling = (
        "    import os, signal\n    os.kill(worker.process.pid, signal.SIGCONT)\n    assert worker.works()\n"
    )
    source = EXAMPLE.replace("    assert not worker.works()\n", meddling)
    run = example(source, "-k", "stuck", subprocess=True)
    end = run.test()
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"])
    assert "somebody else let process" in end.longrepr


def test_the_example_can_be_planned(example: InnerPytest) -> None:
    run = example(
        EXAMPLE, "--chaos-dry-run", "--chaos-plan=plan.json", "-p", "no:cacheprovider", subprocess=True
    )
    assert run.exit_code == 0
    assert "what     pause: process {{WORKER_PID}} stands still until the body ends" in run.stdout
    assert "what     pause: process {{WORKER_PID}} stands still for 200ms" in run.stdout
    assert "verify   'stands still while paused' before, during, after, again within 5 s" in run.stdout
    plans = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))["disruptions"]
    assert [plan["fault"] for plan in plans] == ["pause", "pause"]


STRANGERS = """
import os
import subprocess
import sys

import pytest
from pause import PauseFault
from pytest_chaos.errors import FaultFailed
from pytest_chaos.testing import context

GRANDCHILD = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"


def refused(pid):
    with context() as ctx, pytest.raises(FaultFailed) as caught:
        PauseFault(pid=str(pid)).inject(ctx)
    return caught.value.kind


def test_itself_and_its_parent():
    assert refused(os.getpid()) == "not_ours"
    assert refused(os.getppid()) == "not_ours"


def test_a_grandchild():
    with subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdout=subprocess.PIPE, text=True) as child:
        grandchild = int(child.stdout.readline())
        try:
            assert refused(grandchild) == "not_ours"
            assert state(grandchild) != "T"
        finally:
            os.kill(grandchild, 9)


def test_a_child_that_has_ended_is_left_to_whoever_waits_for_it():
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdout=subprocess.PIPE) as child:
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert refused(child.pid) == "ended"
    assert child.returncode == 3


@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "60"]) as one:
        yield one
        one.kill()


def test_a_child_that_stands_still_already(child):
    os.kill(child.pid, 19)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert refused(child.pid) == "stopped"


def state(pid):
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout[:1]


class Event:
    # Asks the fault to stop as soon as it says that it is active.
    def __init__(self, ctx, when_set=lambda: None, when_cleared=lambda: None):
        self.ctx, self.when_set, self.when_cleared = ctx, when_set, when_cleared

    def set(self):
        self.ctx.stop.set()
        self.when_set()

    def clear(self):
        self.when_cleared()


def test_it_lets_go_whatever_is_raised(child):
    def fail():
        raise OSError("the event is broken")

    with context() as ctx, pytest.raises(OSError, match="the event is broken"):
        PauseFault(pid=str(child.pid)).inject(ctx, Event(ctx, fail))
    assert state(child.pid) != "T"


def test_what_dies_meanwhile_is_left_alone(child):
    def die():
        child.kill()
        child.wait()

    with context() as ctx, pytest.raises(FaultFailed) as caught:
        PauseFault(pid=str(child.pid)).inject(ctx, Event(ctx, die))
    assert caught.value.kind == "not_ours"


def test_it_is_not_active_any_more_when_it_lets_go(child):
    states = []
    with context() as ctx:
        event = Event(ctx, when_cleared=lambda: states.append(state(child.pid)))
        assert PauseFault(pid=str(child.pid)).inject(ctx, event).success
    states.append(state(child.pid))
    assert states[0] == "T" != states[1]
"""


def test_it_touches_only_children_and_always_lets_go(example: InnerPytest) -> None:
    run = example(STRANGERS, subprocess=True)
    assert run.exit_code == 0, run.stdout
    assert set(run.words.values()) == {"passed"}
    assert len(run.words) == 7
