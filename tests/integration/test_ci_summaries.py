"""What CI systems are given: a table in a file, GitHub's step summary, and annotations at the line of a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.inner import ROOT, InnerPytest, InnerRun
from tests.support.staged import STAGED

SOURCE = """\
import pytest
from conftest import RUNNING, STARTED, staged

@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged())
def test_held(): pass

@pytest.mark.chaos(staged())
def test_broke(): assert not RUNNING

@pytest.mark.chaos(staged(play="raises"))
def test_never_started(): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged("by hand", play="fails")):
        pass

def test_peaceful(): pass
"""
WHERE = pytest.mark.parametrize("option", ["-n0", "-n2"])
ROWS = [
    f"| {verdict} | `test_inner.py::{test}` | `{name}` | `staged` | {overlap} | {reason} |"
    for verdict, test, name, overlap, reason in (
        ("❌ inconclusive", "test_two", "two", "100%", "`the fault failed: it is not what it was`"),
        (
            "❌ inconclusive",
            "test_never_started",
            "a rush",
            "0%",
            "`the fault failed: OSError: the disk is on fire`",
        ),
        ("❌ inconclusive", "test_by_hand", "by hand", "100%", "`the fault failed: it is not what it was`"),
        ("❌ broke", "test_broke", "a rush", "100%", "`the body failed while it was disrupted`"),
        ("✅ held", "test_two", "one", "100%", ""),
        ("✅ held", "test_held", "a rush", "100%", ""),
    )
]
COMMAND = re.compile(
    r"::error file=test_inner\.py,line=(\d+),title=chaos%3A (.*) is (\w+)::test_inner\.py::(\w+): (.*)"
)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stand in a step of GitHub's; return the file of its summary."""
    path = tmp_path / "step-summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def run_all(inner: InnerPytest, *options: str, source: str = SOURCE) -> InnerRun:
    return inner(source, *options, conftest=STAGED, plugins=["xdist.plugin"])


def on_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


def commands(run: InnerRun) -> list[str]:
    return [line for line in run.stdout.splitlines() if line.startswith("::")]


def table(text: str) -> list[str]:
    """Return the rows of the one table, sorted where the order is left open."""
    return sorted(line for line in text.splitlines() if line.startswith("| ") and "| verdict |" not in line)


@WHERE
def test_a_table_for_any_ci(inner: InnerPytest, option: str) -> None:
    run = run_all(inner, option, "--chaos-summary", "out/chaos.md")
    told = (run.path / "out" / "chaos.md").read_text(encoding="utf-8")
    assert told.startswith("### Chaos\n\n3 inconclusive, 1 broke, 2 held\n\n| verdict | test |")
    assert table(told) == sorted(ROWS)
    assert commands(run) == []


def test_a_table_is_written_anew_each_time(inner: InnerPytest) -> None:
    run_all(inner, "--chaos-summary", "chaos.md")
    run = inner("", "--chaos-summary", "chaos.md", "-k", "held")
    assert table((run.path / "chaos.md").read_text(encoding="utf-8")) == [ROWS[5]]


def test_a_table_of_nothing_says_so(inner: InnerPytest) -> None:
    run = run_all(inner, "--chaos-summary", "chaos.md", "-k", "peaceful or held", "--chaos-dry-run")
    assert "no disruption" in (run.path / "chaos.md").read_text(encoding="utf-8")


@WHERE
def test_a_table_of_another_run_does_not_outlive_one_without_chaos(inner: InnerPytest, option: str) -> None:
    run_all(inner, "--chaos-summary", "chaos.md")
    run = inner("", option, "--chaos-summary", "chaos.md", "-k", "peaceful", plugins=["xdist.plugin"])
    assert "no disruption" in (run.path / "chaos.md").read_text(encoding="utf-8")


def test_who_only_collects_gets_no_table(inner: InnerPytest) -> None:
    run = run_all(inner, "--chaos-summary", "chaos.md", "--collect-only")
    assert not (run.path / "chaos.md").exists()


@WHERE
def test_github_gets_the_table_and_an_annotation_for_each_failing_verdict(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path, option: str
) -> None:
    on_github(monkeypatch)
    run = run_all(inner, option)
    assert table(page.read_text(encoding="utf-8")) == sorted(ROWS)
    title = re.compile(
        r"::error file=test_inner\.py,line=(\d+),title=chaos%3A (.*) is (\w+)::test_inner\.py::(\w+): (.*)"
    )
    found = [title.fullmatch(line) for line in commands(run)]
    assert sorted((one[4], int(one[1]), one[2], one[3]) for one in found if one) == [
        ("test_broke", 10, "a rush", "broke"),
        ("test_by_hand", 16, "by hand", "inconclusive"),
        ("test_never_started", 13, "a rush", "inconclusive"),
        ("test_two", 4, "two", "inconclusive"),
    ]
    assert len(found) == 4
    (told,) = [one[5] for one in found if one and one[4] == "test_never_started"]
    assert told == (
        "the fault failed: OSError: the disk is on fire%0Aperhaps the fault itself raised: run again with --log-level=DEBUG, "
        "then its traceback stands in the captured log"
    )


def test_the_summary_of_a_step_is_added_to(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    on_github(monkeypatch)
    page.write_text("# What an earlier step has said, without a line feed", encoding="utf-8")
    run_all(inner, "-k", "held")
    inner("", "-k", "broke")
    inner("", "-k", "peaceful")
    told = page.read_text(encoding="utf-8")
    assert told.startswith("# What an earlier step has said, without a line feed\n### Chaos\n")
    assert told.count("\n\n### Chaos\n") == 1
    assert table(told) == sorted([ROWS[3], ROWS[5]])


def test_an_annotation_names_the_file_as_the_checkout_does(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    on_github(monkeypatch)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(inner.pytester.path.parent))
    run = run_all(inner, "-k", "broke")
    (line,) = commands(run)
    assert line.startswith(f"::error file={inner.pytester.path.name}/test_inner.py,line=10,")


@pytest.mark.parametrize("options", [(), ("-q",), ("-v",), ("--color=yes",)])
def test_annotations_stand_alone_on_their_lines(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    on_github(monkeypatch)
    run = run_all(inner, *options)
    assert len(commands(run)) == run.stdout.count("::error ") == 4


def test_elsewhere_there_are_no_annotations(inner: InnerPytest, page: Path) -> None:
    run = run_all(inner)
    assert commands(run) == []
    assert not page.exists()


def test_a_rerun_replaces_what_was_said_before(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    on_github(monkeypatch)
    source = """\
import pytest
from conftest import STARTED, staged

@pytest.mark.flaky(reruns=1)
@pytest.mark.chaos(staged())
def test_it(): assert STARTED == ["a rush"] * 2
"""
    run = inner(source, conftest=STAGED, plugins=["pytest_rerunfailures"])
    assert run.test().word == "passed"
    assert commands(run) == []
    assert [row.split(" | ")[0] for row in table(page.read_text(encoding="utf-8"))] == ["| ✅ held"]


@pytest.mark.parametrize("where", ["--chaos-summary", "GITHUB_STEP_SUMMARY"])
def test_a_file_that_cannot_be_written_is_named(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path, where: str
) -> None:
    page.mkdir()
    if where == "GITHUB_STEP_SUMMARY":
        on_github(monkeypatch)
    run = run_all(
        inner, "-k", "held", *(["--chaos-summary", str(page)] if where == "--chaos-summary" else [])
    )
    assert run.exit_code != 0
    assert f"{where}: {page} cannot be written: " in run.stdout + run.stderr
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert run.test().word == "passed"


NAME = "x|y `z` <script>alert(1)</script> ]]> \\x1b[31m \\u202e ::error::no 🧪 @octocat"


@WHERE
def test_hostile_names_are_text_everywhere(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, page: Path, option: str
) -> None:
    on_github(monkeypatch)
    source = f"""\
import pytest
from conftest import RUNNING, staged

@pytest.mark.parametrize("number", [1], ids=["{NAME}"])
@pytest.mark.chaos(staged("{NAME}", play="fails", label="{"n" * 10_000}"))
def test_it(number): pass
"""
    run = inner(source, option, conftest=STAGED, plugins=["xdist.plugin"], junit=True)
    shown = "x|y `z` <script>alert(1)</script> ]]>  ::error::no 🧪 @octocat".replace("  ", " ")
    assert "\x1b[31m" not in run.stdout
    assert "\u202e" not in run.stdout + page.read_text(encoding="utf-8")
    (line,) = commands(run)
    assert f"title=chaos%3A {shown.replace(':', '%3A')} is inconclusive::" in line
    (case,) = run.junit.values()
    assert case.properties["chaos.1.name"] == shown
    assert shown in case.system_out[0]
    (row,) = table(page.read_text(encoding="utf-8"))
    assert "<script>" not in re.sub(r"(`+) ?.+?(?<!`) ?\1(?!`)", "", row)
    (section,) = [
        text for report in run.test().reports for title, text in report.sections if title == "chaos"
    ]
    assert " ".join(section.split()).startswith(f"'{shown}' (staged) is inconclusive: ")
    assert len(section.splitlines()) <= 35


PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
JOBS = {
    name: yaml.safe_load(text) for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
}
GITHUB = JOBS[".github/workflows/chaos.yml"]["jobs"]["chaos"]["steps"]
GITLAB = JOBS[".gitlab-ci.yml"]["chaos"]


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ([step["run"] for step in GITHUB if "run" in step], [GITHUB[-1]["with"]["path"]]),
        (GITLAB["script"], [*GITLAB["artifacts"]["paths"], GITLAB["artifacts"]["reports"]["junit"]]),
    ],
    ids=["GitHub", "GitLab"],
)
def test_the_jobs_of_the_page_run_and_keep_what_they_make(
    inner: InnerPytest, script: list[str], kept: list[str]
) -> None:
    inner("def test_peaceful(): pass\n", "--collect-only", conftest=STAGED)  # a project
    source = "import pytest\nfrom conftest import staged\n@pytest.mark.chaos(staged())\ndef test_it(): pass\n"
    inner.pytester.makepyfile(test_inner=source)
    install, *commands_of_the_job = script
    assert install.startswith("pip install ")
    assert len(commands_of_the_job) == 2
    for line in commands_of_the_job:
        done = subprocess.run(
            line.replace("pytest --", "python -m pytest -p pytest_chaos.plugin --"),
            shell=True,
            cwd=inner.pytester.path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert all((inner.pytester.path / name).is_file() for name in kept)
