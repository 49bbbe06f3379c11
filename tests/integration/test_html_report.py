"""``--chaos-report``: what real runs leave in the file, and what happens where none can be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos import html
from pytest_chaos.__main__ import main
from tests.support.inner import ROOT, InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
SOURCE = f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged("<b>three</b>"))
@pytest.mark.parametrize("a", ["<i>"])
def test_broke(a): assert not RUNNING

@pytest.mark.flaky(reruns=1)
@pytest.mark.chaos(staged("flaky"))
def test_again(): assert STARTED.count("flaky") == 2

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged("by hand")):
        pass

def test_peaceful(): pass
"""
ROW = re.compile(
    r'<tr data-verdict="(?P<verdict>\w+)".*?<a href="#(?P<id>[^"]*)">(?P<test>.*?)</a></td><td>(?P<name>.*?)</td>'
)


def rows(file: Path) -> set[tuple[str, str, str]]:
    """Return verdict, test and disruption of each row of the table; each leads to a section."""
    text = file.read_text(encoding="utf-8")
    found = [match.groupdict() for match in ROW.finditer(text)]
    assert [one["id"] for one in found] == re.findall(r'<section class="disruption" id="([^"]*)"', text)
    return {(one["verdict"], unescape(one["test"]), unescape(one["name"])) for one in found}


def told(run: InnerRun) -> set[tuple[str, str, str]]:
    """Return the same from the reports."""
    last = {report.nodeid: report.chaos for report in run.reports if report.chaos}
    return {(one["verdict"], test, one["name"]) for test, outcomes in last.items() for one in outcomes}


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_the_report_of_a_run_holds_the_last_outcomes_of_all_workers(inner: InnerPytest, option: str) -> None:
    plugins = ["xdist.plugin", "pytest_rerunfailures"]
    run = inner(SOURCE, option, "--chaos-report=new/chaos.html", conftest=STAGED, plugins=plugins)
    file = run.path / "new" / "chaos.html"
    assert rows(file) == told(run)
    assert len(rows(file)) == 5
    assert f"chaos report: {file}" in run.stdout.splitlines()
    text = file.read_text(encoding="utf-8")
    assert "5 disruptions in 4 tests" in text
    workers = set(re.findall(r'aria-label="Disruptions in (.*?)"', text))
    assert workers == {"this process"} if option == "-n0" else workers <= {"gw0", "gw1"} and workers


def test_a_real_load_is_drawn_from_what_was_measured(inner: InnerPytest, shop: Shop) -> None:
    spec = load_spec(shop.url, qps=100, headers={"X-Api": "hush-hush"})
    source = f"import pytest, time\n@pytest.mark.chaos({spec})\ndef test_it(): time.sleep(0.5)\n"
    run = inner(source, ini={"chaos_report": "chaos.html"}, junit=True)
    (outcome,) = run.test().chaos
    page = (run.path / "chaos.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    data: dict[str, Any] = json.loads(found)
    series, moments = outcome["series"], outcome["timeline"]
    assert data["window"] == [moments["body_started"], moments["body_ended"]]
    assert (data["start"], data["width"]) == (series["start_s"], series["width_s"])
    (rate,) = data["rate"]
    assert rate["value"] == [pytest.approx(10 * count) for count in series["codes"]["200"]]
    assert sum(data["histogram"]["counts"]) == outcome["result"]["details"]["requests"]
    assert f"service_url: {shop.url}" in page
    assert "hush-hush" not in page
    assert main(["read", "--html", str(run.path / "later.html"), str(run.path / "junit.xml")]) == 0
    assert rows(run.path / "later.html") == rows(run.path / "chaos.html")


def test_a_run_without_chaos_replaces_an_old_report(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_CHAOS_REPORT", "chaos.html")
    file = inner.pytester.path / "chaos.html"
    file.write_text("old", encoding="utf-8")
    inner("def test_it(): pass", "--collect-only")
    assert file.read_text(encoding="utf-8") == "old"
    run = inner("", "-q")
    assert "No test ran under chaos." in file.read_text(encoding="utf-8")
    assert run.stdout.splitlines()[-2] == f"chaos report: {file}"


def test_without_the_option_there_is_none(inner: InnerPytest) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): pass\n", conftest=STAGED)
    assert "chaos report" not in run.stdout
    assert not list(run.path.glob("**/*.html"))


def refused(run: InnerRun, *said: str) -> None:
    """Assert that nothing ran, and that one line says why."""
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("ERROR: ")]
    assert all(one in line for one in said)
    assert run.reports == []


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_without_the_extra_nothing_runs(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(html, "find_spec", lambda _name: None)
    run = inner("def test_it(): pass", option, "--chaos-report=chaos.html", plugins=["xdist.plugin"])
    refused(run, "--chaos-report: ", 'needs jinja2 and plotly: pip install "pytest-chaos[report]"')


def test_where_nothing_can_be_written_nothing_runs(inner: InnerPytest) -> None:
    (inner.pytester.path / "folder").mkdir()
    refused(
        inner("def test_it(): pass", "--chaos-report=folder"), "--chaos-report: ", "folder cannot be written"
    )
    (inner.pytester.path / "file").touch()
    refused(inner("", "--chaos-report=file/chaos.html"), "--chaos-report: ", "chaos.html cannot be written")


def test_a_page_that_cannot_be_written_is_an_error_of_read(
    inner: InnerPytest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): pass\n", conftest=STAGED, junit=True)
    capsys.readouterr()
    assert main(["read", "--html", str(run.path), str(run.path / "junit.xml")]) == 2
    out, err = capsys.readouterr()
    assert out.endswith("1 held\n")
    assert err.startswith(f"--html: {run.path} cannot be written: ")
    monkeypatch.setattr(html, "find_spec", lambda _name: None)
    monkeypatch.setattr("pytest_chaos.read.missing", html.missing)
    assert main(["read", "--html", str(run.path / "page.html"), str(run.path / "junit.xml")]) == 2
    assert 'pip install "pytest-chaos[report]"' in capsys.readouterr().err
    assert not (run.path / "page.html").exists()


def test_a_chaos_run_without_a_report_does_not_import_what_it_needs(inner: InnerPytest) -> None:
    source = f"""{HEAD}
import sys

@pytest.mark.chaos(staged())
def test_it(): pass

def test_nothing_came(): assert not {{"jinja2", "plotly", "pytest_chaos.html.report"}} & set(sys.modules)
"""
    assert inner(source, conftest=STAGED, subprocess=True).words == {
        "test_it": "passed",
        "test_nothing_came": "passed",
    }


# ---------------------------------------------------------------------- the page in docs/

PAGE = (ROOT / "docs" / "html-report.md").read_text(encoding="utf-8")


def test_the_page_says_what_happens(pytester: pytest.Pytester) -> None:
    shutil.copy(ROOT / "examples" / "shop.py", pytester.path)
    specs = (ROOT / "docs" / "write-a-spec.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", specs, re.DOTALL):
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.makeini("[pytest]\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    last = ""
    for line in re.findall(r"(?m)^\$ (?!pip )(.*)", PAGE):
        done = subprocess.run(
            line,
            shell=True,
            env={**clean, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        last += done.stdout
    folder = pytester.path / "reports"
    assert f"chaos report: {folder / 'chaos.html'}\n" in last
    rush = ("held", "test_rush.py::test_checkout_works_in_a_rush", "lunch rush")
    assert rows(folder / "chaos.html") == {rush}
    assert rush in rows(folder / "workers.html")
    assert rows(folder / "later.html") == rows(folder / "workers.html")
    (anchor,) = re.findall(r"`chaos\.html#([^`]+)`", PAGE)
    assert f'id="{anchor}"' in (folder / "chaos.html").read_text(encoding="utf-8")
