"""Run an inner pytest with the real plugin, and read what it reported."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import recording
from tests.support.junit import JunitCase, read_junit

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One report of an inner run, as it arrived where reports end up."""

    nodeid: str
    when: str
    outcome: str
    wasxfail: str | None = None
    longrepr: str = ""
    chaos: list[dict[str, Any]] | None = None
    sections: list[tuple[str, str]] = field(default_factory=list)
    user_properties: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEnd:
    """How one inner test ended, over all its phases.

    ``word`` is what the terminal counts it as: ``passed``, ``failed``, ``error``, ``skipped``,
    ``xfailed`` or ``xpassed``. ``chaos`` is the last list of outcomes on its reports.
    """

    __test__ = False  # it is no test class, whatever its name says

    word: str
    longrepr: str
    chaos: list[dict[str, Any]]
    reports: list[Recorded]

    @property
    def verdicts(self) -> list[str]:
        """The verdicts, in the order of the specs."""
        return [outcome["verdict"] for outcome in self.chaos]


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerRun:
    """What an inner run left behind."""

    exit_code: int
    stdout: str
    stderr: str
    reports: list[Recorded]
    path: Path

    def test(self, name: str = "") -> TestEnd:
        """Return how the test ended whose node id ends with ``name`` (no name: the only test there is)."""
        found = {
            report.nodeid
            for report in self.reports
            if report.when != "collect" and report.nodeid.endswith(name)
        }
        assert len(found) == 1, (
            f"{len(found)} tests end with {name!r}: {sorted(found)}\n{self.stdout}\n{self.stderr}"
        )
        reports = [report for report in self.reports if report.nodeid in found]
        listed = [report.chaos for report in reports if report.chaos is not None]
        failed = [report for report in reports if report.outcome == "failed"]
        return TestEnd(
            word=_word(reports),
            longrepr="\n".join(report.longrepr for report in failed),
            chaos=listed[-1] if listed else [],
            reports=reports,
        )

    @property
    def words(self) -> dict[str, str]:
        """How each test ended, by the last part of its node id."""
        names = dict.fromkeys(report.nodeid for report in self.reports if report.when != "collect")
        return {name.rpartition("::")[2]: self.test(name).word for name in names}

    @property
    def junit(self) -> dict[str, JunitCase]:
        """The test cases of ``junit.xml``, if the run was told to write one (``junit=True``)."""
        return read_junit(self.path / "junit.xml")


class InnerPytest:
    """Write a test module, run it, read its reports.

    In this process by default, where the fixture ``shop`` and ``tests.support`` are at hand; with
    ``subprocess=True`` in a fresh one. Either way no other plugin takes part unless ``plugins`` names it,
    and every warning is an error.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self._monkeypatch = monkeypatch
        self._runs = 0
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in (
            "PYTEST_ADDOPTS",
            "CI",
            "BUILD_NUMBER",
            "GITHUB_ACTIONS",
        ):  # with the last two pytest cuts no line short
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def __call__(
        self,
        source: str,
        *args: str,
        ini: Mapping[str, object] | None = None,
        conftest: str = "",
        plugins: Sequence[str] = (),
        subprocess: bool = False,
        junit: bool = False,
        warnings: str = "error",
        timeout_s: float = 60.0,
    ) -> InnerRun:
        """Run ``source`` (or no new file, if it is empty) with ``args``.

        ``plugins`` are module names for ``-p``, such as ``xdist.plugin``. ``junit`` writes ``junit.xml``.
        """
        self._runs += 1
        path = self.pytester.path
        if source:
            self.pytester.makepyfile(test_inner=textwrap.dedent(source))
        if conftest:
            self.pytester.makeconftest(textwrap.dedent(conftest))
        self.pytester.makeini(
            "[pytest]\n" + "".join(f"{key} = {_ini(value)}\n" for key, value in (ini or {}).items())
        )
        record = path / f"reports-{self._runs}.jsonl"
        self._monkeypatch.setenv(recording.VARIABLE, str(record))
        loaded = ["pytest_chaos.plugin", "tests.support.recording", *plugins]
        line = [
            *(word for name in loaded for word in ("-p", name)),
            *("-W", warnings),
            # In this process the plugins were imported long ago; pytest 8 warns of that.
            *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
            *(("--junitxml", str(path / "junit.xml")) if junit else ()),
            *args,
        ]
        if subprocess:
            result = self.pytester.runpytest_subprocess(*line, timeout=timeout_s)
        else:
            result = self.pytester.runpytest_inprocess(*line)
        return InnerRun(
            exit_code=int(result.ret),
            stdout=result.stdout.str(),
            stderr=result.stderr.str(),
            reports=_read(record),
            path=path,
        )


def _ini(value: object) -> str:
    if isinstance(value, str) and "\n" in value:
        return "".join(f"\n    {line}" for line in value.splitlines())
    return str(value)


def _read(record: Path) -> list[Recorded]:
    if not record.exists():
        return []
    lines = record.read_text(encoding="utf-8").splitlines()
    return [
        Recorded(**{**one, "sections": [tuple(pair) for pair in one.get("sections", ())]})
        for one in map(json.loads, lines)
    ]


def _word(reports: Sequence[Recorded]) -> str:
    call = [report for report in reports if report.when == "call"]
    if any(report.outcome == "failed" for report in reports if report.when != "call"):
        return "error"
    if any(report.outcome == "failed" for report in call):
        return "failed"
    final = call[-1] if call else reports[0]
    if final.wasxfail is not None:
        return "xfailed" if final.outcome == "skipped" else "xpassed"
    return final.outcome
