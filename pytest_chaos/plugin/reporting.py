"""Show outcomes where reports end up: terminal summary and JUnit XML. In a worker of xdist it shows nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.plugin import html_report, junit, markdown, text
from pytest_chaos.plugin.explain import command, explain
from pytest_chaos.plugin.planning import Plans, TestPlan
from pytest_chaos.plugin.timeline import can_show_blocks
from pytest_chaos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ON_GITHUB: Final = "GITHUB_ACTIONS"


class Reporting:
    """Keep the last outcomes of every test, whichever process ran it, and show them."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._worker = hasattr(config, "workerinput")
        self._outcomes: dict[str, list[ChaosOutcome]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._plain: set[str] = set()
        self._report = html_report.report_path(config, settings.report)
        self.plans = Plans()
        self.left: list[str] = []

    def keep(self, test: str, outcomes: Sequence[ChaosOutcome]) -> None:
        """Remember outcomes of a test that has no report, because it was interrupted."""
        self._outcomes.setdefault(test, list(outcomes))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcomes from the report; with the last report of a test, write them into JUnit XML."""
        if getattr(report, "chaos_plain", False):
            self._plain.add(report.nodeid)
        plan = getattr(report, "chaos_plan", None)
        if plan is not None and self.plans.of(report.nodeid) is None:  # from another process
            self.plans.take(TestPlan.model_validate(plan))
        raw: list[dict[str, Any]] | None = getattr(report, "chaos", None)
        if raw is None and report.when == "setup":  # a rerun: what an earlier attempt said counts no longer
            self._outcomes.pop(report.nodeid, None)
        if raw is not None and not self._worker:
            self._keep(report, [ChaosOutcome.model_validate(one) for one in raw])
        if report.when == "teardown" and not self._worker and (kept := self._outcomes.get(report.nodeid)):
            junit.write(self._config, report, kept, self._settings.junit)
        elif report.when == "teardown" and not self._worker and self._settings.dry_run:
            junit.write_plan(self._config, report, self.plans.of(report.nodeid), self._settings.junit)

    def _keep(self, report: pytest.TestReport, outcomes: list[ChaosOutcome]) -> None:
        """Keep the last outcomes of a test, and explain them where it is known what terminal there is."""
        self._outcomes[report.nodeid] = outcomes
        file, line, _ = report.location
        self._places[report.nodeid] = file, (line or 0) + 1
        again = command(self._config, report.nodeid)
        report.sections.append(("chaos", explain(outcomes, again=again, blocks=can_show_blocks())))

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        """Write the plan file; in a worker, tell the controller what no report can carry."""
        if self._worker:
            output: dict[str, Any] = vars(self._config)["workeroutput"]
            output["chaos_without"] = self.plans.without_chaos
            output["chaos_left"] = self.left
            return
        if self._settings.plan is not None:
            self._write("--chaos-plan", self._settings.plan, self.plans.write)
        if self._settings.summary is not None and not self._config.option.collectonly:
            self._write("--chaos-summary", self._settings.summary, self._write_table)
        if self._report is not None:
            self._write("--chaos-report", str(self._report), self._write_report)
        if _ON_GITHUB in os.environ and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
            self._write("GITHUB_STEP_SUMMARY", page, self._add_table)

    def _write(self, option: str, name: str, write: Callable[[Path], None]) -> None:
        path = self._config.invocation_params.dir / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
        except OSError as error:
            raise pytest.UsageError(f"{option}: {path} cannot be written: {error}") from None

    def _write_table(self, path: Path) -> None:
        path.write_text(markdown.table(self._outcomes), encoding="utf-8")

    def _write_report(self, path: Path) -> None:
        html_report.write(path, self._outcomes)

    def _add_table(self, path: Path) -> None:
        """Add to what other steps have written."""
        if self._outcomes:
            with path.open("a", encoding="utf-8") as page:
                page.write(f"\n{markdown.table(self._outcomes)}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of xdist said when it ended."""
        output = getattr(node, "workeroutput", {})
        self.plans.count(output.get("chaos_without", 0))
        self.left += output.get("chaos_left", [])

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the plan, and one line for each disruption."""
        if self._settings.dry_run and not self._worker:
            terminalreporter.write_sep("=", "chaos dry run")
            terminalreporter.write("".join(f"{line}\n" for line in self.plans.lines()))
        if self._worker or self._config.option.no_summary:
            return
        if self._outcomes or self._plain or self.left:
            self._summarize(terminalreporter)
        if self._report is not None:
            terminalreporter.write_line(f"chaos report: {self._report}")

    def _summarize(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_sep("=", "chaos")
        self._show_outcomes(terminalreporter)
        if _ON_GITHUB in os.environ:
            for line in self._annotations():
                terminalreporter.line(line)
        if self._settings.disable:
            terminalreporter.line("chaos is disabled (--chaos-disable): every test ran in peace", yellow=True)
        if self._plain:
            many = "1 test carries" if len(self._plain) == 1 else f"{len(self._plain)} tests carry"
            terminalreporter.line(f"{many} a bare chaos mark: a category, no chaos")
        for line in self.left:
            terminalreporter.line(line, yellow=True)

    def _show_outcomes(self, terminal: pytest.TerminalReporter) -> None:
        for test, outcomes in self._outcomes.items():
            for one in outcomes:
                terminal.line(text.summary_line(test, one), **_colour(one.verdict))
                is_worth_a_reason = one.verdict.fails or one.verdict is Verdict.not_judged
                if is_worth_a_reason and self._config.get_verbosity() >= 0:
                    for line in one.reason.splitlines():
                        terminal.line(text.inert(f"             {line}"))

    def _annotations(self) -> Iterator[str]:
        for test, outcomes in self._outcomes.items():
            for one in outcomes:
                if one.verdict.fails:
                    file, line = self._places.get(test, (test.partition("::")[0], 1))
                    yield markdown.annotation(self._in_checkout(file), line, test, one)

    def _in_checkout(self, file: str) -> str:
        """Return a file as GitHub names it: relative to the checkout, which may hold the root directory in a folder."""
        workspace = os.environ.get("GITHUB_WORKSPACE") or self._config.rootpath
        return Path(os.path.relpath(self._config.rootpath / file, workspace)).as_posix()


def _colour(verdict: Verdict) -> dict[str, bool]:
    return (
        {"green": True} if verdict is Verdict.held else {"red": True} if verdict.fails else {"yellow": True}
    )
