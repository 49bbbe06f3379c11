"""The readers of outcomes: what real runs have written is read back, by the command, in Python and by other plugins."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_chaos.__main__ import main
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict
from pytest_chaos.plugin.junit import system_out
from pytest_chaos.report import read_junit
from tests.support.inner import InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

ROOT = Path(__file__).parents[2]
HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
# Every way in which outcomes get into a file, and two tests without.
SOURCE = f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged())
def test_broke(): assert not RUNNING

@pytest.mark.chaos(staged())
def test_skipped(): pytest.skip("x")

@pytest.mark.chaos(staged(play="raises"))
def test_never_started(): pass

@pytest.fixture
def fragile():
    yield
    raise OSError

@pytest.mark.chaos(staged())
def test_teardown_fails(fragile): print('[{{"verdict": "held", "result": 1}}]')

@pytest.mark.chaos(staged())
def test_both_fail(fragile): assert not RUNNING

@pytest.mark.flaky(reruns=2)
@pytest.mark.chaos(staged())
@pytest.mark.parametrize("number", [1, 2])
def test_flaky(number): assert STARTED.count("a rush") % 2 == 0

class TestIt:
    def test_by_hand(self, chaos_injector):
        with chaos_injector.inject(staged()):
            pass

@pytest.mark.chaos
def test_plain(): pass

def test_peaceful(): pass
"""
TESTS = {
    "test_two",
    "test_broke",
    "test_skipped",
    "test_never_started",
    "test_teardown_fails",
    "test_both_fail",
    "test_flaky[1]",
    "test_flaky[2]",
    "TestIt::test_by_hand",
}


def one_test(spec: str = "staged()", body: str = "pass") -> str:
    return f"{HEAD}@pytest.mark.chaos({spec})\ndef test_it(): {body}\n"


def run_all(inner: InnerPytest, *options: str, **ini: object) -> InnerRun:
    plugins = ["xdist.plugin", "pytest_rerunfailures"]
    return inner(SOURCE, *options, conftest=STAGED, plugins=plugins, junit=True, ini=ini)


@pytest.mark.parametrize("option", ["-n0", "-n2"])
@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
@pytest.mark.parametrize("kinds", ["properties system-out", "system-out"])
def test_what_a_run_reports_is_what_its_file_gives(
    inner: InnerPytest, option: str, family: str, kinds: str
) -> None:
    run = run_all(inner, option, junit_family=family, junit_logging="all", chaos_junit=kinds)
    found = read_junit(run.path / "junit.xml")
    assert found.keys() == {f"test_inner.py::{name}" for name in TESTS}
    for test, outcomes in found.items():
        assert outcomes == [ChaosOutcome.model_validate(one) for one in run.test(test).chaos]


@pytest.mark.parametrize("option", ["-n0", "-n2"])
@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_properties_alone_give_the_same_verdicts(inner: InnerPytest, option: str, family: str) -> None:
    run = run_all(inner, option, junit_family=family, chaos_junit="properties")
    found = read_junit(run.path / "junit.xml")
    assert {test: [one.verdict.value for one in outcomes] for test, outcomes in found.items()} == {
        f"test_inner{'.' if '::' in name else '::'}{name}": run.test(f"::{name}").verdicts for name in TESTS
    }


def test_properties_of_a_load_tell_its_figures(inner: InnerPytest, shop: Shop) -> None:
    spec = load_spec(shop.url, qps=100, min_delivered=0.5)
    source = f"import time, pytest\n@pytest.mark.chaos({spec})\ndef test_it(): time.sleep(0.3)\n"
    path = inner(source, junit=True).path / "junit.xml"
    ((whole,),) = read_junit(path).values()
    tree = ET.parse(path)
    for case in tree.iter("testcase"):
        for one in case.findall("system-out"):
            case.remove(one)
    tree.write(path)
    ((told,),) = read_junit(path).values()
    details = whole.result.details
    assert told.result.details == {
        key: details[key] for key in ("asked_qps", "delivered_qps", "requests", "errors", "p99_s")
    }
    assert told.result.details["requests"]
    assert told == ChaosOutcome(
        name=whole.name,
        verdict=whole.verdict,
        reason=whole.reason,
        overlap=round(whole.overlap, 6),
        result=ChaosResult(
            success=True,
            injected_fault="generate_load",
            elapsed_time=round(whole.result.elapsed_time, 6),
            details=told.result.details,
        ),
    )


@pytest.mark.parametrize("kinds", ["properties system-out", "properties", "system-out"])
def test_a_dry_run_gives_nothing(inner: InnerPytest, kinds: str) -> None:
    run = run_all(inner, "--chaos-dry-run", chaos_junit=kinds)
    assert any(case.properties or case.system_out for case in run.junit.values())
    assert read_junit(run.path / "junit.xml") == {}


def read(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    """Run the command; return its status and the lines it prints."""
    capsys.readouterr()
    status = main(["read", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert err == ""
    return status, out.splitlines()


@pytest.mark.parametrize(
    ("source", "options", "status", "last"),
    [
        (one_test(), (), 0, "1 held"),
        (one_test("staged(), staged()"), (), 0, "2 held"),
        (one_test("staged(), staged(play='fails')"), (), 1, "1 held, 1 inconclusive"),
        (one_test(body="assert not RUNNING"), (), 1, "1 broke"),
        (one_test(body="pytest.skip('x')"), (), 1, "1 not_judged"),
        (one_test(), ("--chaos-disable",), 1, "1 disabled"),
        (
            "def test_it(): pass\n",
            (),
            1,
            "no outcome in any file: no test ran under chaos, or chaos_junit has left it out",
        ),
    ],
    ids=["held", "two held", "one inconclusive", "broke", "skipped", "disabled", "none"],
)
def test_the_status_is_0_if_all_are_held(
    inner: InnerPytest,
    capsys: pytest.CaptureFixture[str],
    source: str,
    options: Sequence[str],
    status: int,
    last: str,
) -> None:
    run = inner(source, *options, conftest=STAGED, junit=True)
    found, lines = read(capsys, run.path / "junit.xml")
    assert (found, lines[-1]) == (status, last)


def outcome(name: str = "a rush", verdict: Verdict = Verdict.held, **more: Any) -> ChaosOutcome:
    result = ChaosResult(success=True, injected_fault="staged", details=more.pop("details", {}))
    more = {"reason": "as it went", "overlap": 0.5, "test": "test_it.py::test_it", **more}
    return ChaosOutcome(name=name, verdict=verdict, result=result, **more)


def write(path: Path, *outcomes: ChaosOutcome) -> Path:
    """Write the outcomes of one test into a file, as the plugin does."""
    suite = ET.Element("testsuite")
    case = ET.SubElement(suite, "testcase", classname="test_it", name="test_it")
    if outcomes:
        ET.SubElement(case, "system-out").text = system_out("test_it.py::test_it", outcomes)
    ET.ElementTree(suite).write(path)
    return path


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a directory with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    figures = {"asked_qps": 300.0, "delivered_qps": 120.04}
    late = outcome("late", Verdict.inconclusive, reason="it came\nfar too late", overlap=0, details=figures)
    write(tmp_path / "held.xml", outcome(details={**figures, "delivered_qps": 299.96}, overlap=1))
    write(
        tmp_path / "mixed.xml",
        outcome(details={"asked_qps": 300}),
        late,
        outcome("x", Verdict.error, details={**figures, "asked_qps": "many"}),
    )
    write(tmp_path / "none.xml")
    (tmp_path / "broken.xml").write_text("<testsuite>", encoding="utf-8")
    return tmp_path


NOT_READ = "broken.xml: no XML: no element found: line 1, column 11"


@pytest.mark.usefixtures("files")
def test_one_file_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert read(capsys, "mixed.xml") == (
        1,
        [
            "verdict       test                 disruption  fault   asked -> delivered qps  overlap  reason",
            "held          test_it.py::test_it  'a rush'    staged  -                       50%",
            "inconclusive  test_it.py::test_it  'late'      staged  300 -> 120.0            0%       it came far too late",
            "error         test_it.py::test_it  'x'         staged  -                       50%      as it went",
            "1 held, 1 inconclusive, 1 error",
        ],
    )


@pytest.mark.usefixtures("files")
def test_several_files_are_one_table_that_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert read(capsys, "held.xml", "none.xml", "held.xml") == (
        0,
        [
            "file      verdict  test                 disruption  fault   asked -> delivered qps  overlap  reason",
            "held.xml  held     test_it.py::test_it  'a rush'    staged  300 -> 300.0            100%",
            "held.xml  held     test_it.py::test_it  'a rush'    staged  300 -> 300.0            100%",
            "2 held",
        ],
    )


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("names", "end"),
    [
        (["broken.xml"], [NOT_READ]),
        (["nowhere.xml"], ["nowhere.xml: cannot be read: No such file or directory"]),
        (["none.xml", "broken.xml"], [NOT_READ]),
        (["broken.xml", "held.xml"], [NOT_READ, "1 held"]),
        (["mixed.xml", "broken.xml"], [NOT_READ, "1 held, 1 inconclusive, 1 error"]),
    ],
)
def test_a_file_that_cannot_be_read_is_2_whatever_the_others_hold(
    capsys: pytest.CaptureFixture[str], names: list[str], end: list[str]
) -> None:
    status, lines = read(capsys, *names)
    assert status == 2
    assert lines[-len(end) :] == end
    assert len(lines) == len(end) + sum({"held.xml": 2, "mixed.xml": 4}.get(name, 0) for name in names)


@pytest.mark.usefixtures("files")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = read(capsys, "--json", "mixed.xml", "none.xml", "broken.xml")
    said = json.loads("\n".join(lines))
    mixed = read_junit("mixed.xml")["test_it.py::test_it"]
    assert len(mixed) == 3
    assert (status, said) == (
        2,
        {
            "schema_version": 1,
            "files": [
                {
                    "file": "mixed.xml",
                    "tests": {"test_it.py::test_it": [one.to_json() for one in mixed]},
                    "error": None,
                },
                {"file": "none.xml", "tests": {}, "error": None},
                {"file": "broken.xml", "tests": {}, "error": NOT_READ},
            ],
            "counts": {
                "held": 1,
                "disabled": 0,
                "not_judged": 0,
                "broke": 0,
                "inconclusive": 1,
                "error": 1,
            },
        },
    )


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("name", "status"), [("held.xml", 0), ("mixed.xml", 1), ("none.xml", 1)])
def test_json_has_the_same_status(capsys: pytest.CaptureFixture[str], name: str, status: int) -> None:
    assert read(capsys, "--json", name)[0] == status


def test_without_a_file_it_is_a_mistake_in_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["read"])
    assert caught.value.code == 2
    assert "FILE" in capsys.readouterr().err


def command(*arguments: str, stdout: int, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    """Run the command in the current directory, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest_chaos", "read", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", rb"'r\xfcsh \u2192'"), ("cp1252", b"'r\xfcsh \\u2192'")]
)
@pytest.mark.usefixtures("files")
def test_a_terminal_that_cannot_print_everything_stays_aligned(encoding: str, shown: bytes) -> None:
    write(Path("ü\n\x1b[31m.xml"), outcome("rüsh →"), outcome("plain", Verdict.broke))
    done = command(
        "ü\n\x1b[31m.xml", "held.xml", "→.xml", "\x1b[31m.xml", stdout=subprocess.PIPE, encoding=encoding
    )
    assert (done.returncode, done.stderr) == (2, b"")
    heading, first, second, third, *errors, _ = done.stdout.splitlines()
    assert shown in first
    assert [line.index(b"staged") for line in (first, second, third)] == [heading.index(b"fault")] * 3
    missing = b": cannot be read: No such file or directory"
    assert errors == [rb"\u2192.xml" + missing, b".xml" + missing]
    assert b"\x1b" not in done.stdout


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("many", [1, 5_000])  # less and more than Python keeps back
@pytest.mark.parametrize(("verdict", "status"), [(Verdict.held, 0), (Verdict.broke, 1)])
def test_a_reader_that_has_gone_changes_nothing(
    options: Sequence[str], many: int, verdict: Verdict, status: int
) -> None:
    write(Path("many.xml"), *[outcome(verdict=verdict)] * many)
    nobody, pipe = os.pipe()
    os.close(nobody)
    done = command(*options, "many.xml", stdout=pipe)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (status, b"")


# ---------------------------------------------------------------------- the page

PAGE = (ROOT / "docs" / "read-results.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """Stand in a project that has the files of the page, and those that another page explains."""
    shutil.copy(ROOT / "examples" / "shop.py", pytester.path)
    pages = PAGE + (ROOT / "docs" / "write-a-spec.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", pages, re.DOTALL):
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.makeini("[pytest]\n")
    return pytester.path


def shell(line: str, cwd: Path) -> tuple[int, str]:
    """Return the status of a line of the page, and what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line,
        shell=True,
        cwd=cwd,
        env={**clean, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def said(text: str) -> list[list[str]]:
    """Return the words of each line; measured figures are all the same."""
    return [re.sub(r"\d+\.\d+", "#", line).split() for line in text.splitlines()]


def test_the_page_says_what_happens(project: Path) -> None:
    statuses = []
    for line, expected in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ |```).*\n)*)", "".join(CONSOLE)):
        status, out = shell(line, project)
        assert not expected or said(out) == said(expected), line
        statuses.append(status)
        if "unproven" in line:
            assert "unproven: test_rush.py::test_checkout_works_in_a_rush: lunch rush is disabled\n" in out
    assert statuses == [0, 0, 0, 1, 0, 0, 0, 0]
    assert json.loads((project / "outcomes.json").read_text(encoding="utf-8"))["counts"]["held"] == 1


def test_the_hook_of_the_page_makes_a_test_fail(project: Path) -> None:
    limits = project / "limits.py"
    limits.write_text(limits.read_text(encoding="utf-8").replace("0.5", "0"), encoding="utf-8")
    status, out = shell("python -m pytest -p limits test_rush.py", project)
    assert status == 1
    assert re.search(r"AssertionError: lunch rush: p99 is \d+\.\d ms", out)
