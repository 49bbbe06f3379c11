"""The life of a chaos test: collected, started after its fixtures, timed around its body, judged, reported."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

import pytest

from pytest_chaos import clocks
from pytest_chaos.engine.conclusion import unrun
from pytest_chaos.engine.reaper.client import reaper_of_this_process
from pytest_chaos.engine.run import NotStarted, end_all
from pytest_chaos.engine.verdict import Body
from pytest_chaos.errors import ChaosError, NotHeld, SpecError
from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.plugin import text
from pytest_chaos.plugin.attempt import ATTEMPT, Attempt
from pytest_chaos.plugin.benchmarks import fixture_of, note_fixture
from pytest_chaos.plugin.collection import Collection
from pytest_chaos.plugin.injector import ChaosInjector, refused
from pytest_chaos.plugin.marks import Marked, came_late, place_of
from pytest_chaos.plugin.outcomes import INTERRUPTS, body_of, kept_error
from pytest_chaos.plugin.planning import PLAN
from pytest_chaos.plugin.reporting import Reporting
from pytest_chaos.plugin.runs import Runs
from pytest_chaos.plugin.signals import Signals
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings

_SETUP_BEGAN = pytest.StashKey[float]()
_LATE = "a mark came after setup, when it could not be started any more: add it in a fixture, or use chaos_injector"
_PAST_US = "nothing was started: whoever ran this test did not call the hooks pytest_runtest_setup and pytest_runtest_call"


class Lifecycle:
    """Run chaos for the tests of this process. Registered when the first chaos test is met."""

    def __init__(self, config: pytest.Config, settings: Settings, reporting: Reporting) -> None:
        self._config = config
        self._settings = settings
        self._reporting = reporting
        self._runs = Runs(config, settings)
        self._only_setup = any(config.getoption(name, False) for name in ("setuponly", "setupplan"))
        self._in_peace = settings.disable or settings.dry_run or self._only_setup
        self._signals = Signals()
        self._reaper = reaper_of_this_process()
        self._reaper.hold()
        if hasattr(config, "workerinput"):  # its parent is xdist's controller, or what connects it with that
            self._reaper.watch(os.getppid())
        reporting.left = self._reaper.found
        self.collection = Collection(config, settings, reporting.plans)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None, None, None]:
        """Last of all let the reaper go, and end the way that a signal has asked for."""
        try:
            return (yield)
        finally:
            self._reaper.release()
            self._signals.deliver()

    # ------------------------------------------------------------------ setup

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Hold the locks of a test from before its setup until after its teardown, with all its reruns."""
        if self._in_peace:
            return (yield)
        try:
            marked = self.collection.marked(item)
        except SpecError:  # a mark that came after collection; its setup is going to say so
            marked = Marked()
        self._runs.hold_known(item, marked)
        try:
            return (yield)
        finally:
            self._runs.release(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note when setup begins, the zero of the timeline. Of a test whose first mark a fixture adds, it is the start."""
        item.stash[_SETUP_BEGAN] = clocks.monotonic()
        if (problem := self._runs.problem_of(item)) is not None:
            attempt = self._attempt(item)
            self._abandon(item, attempt, problem)
            pytest.fail(text.failure(attempt.outcomes, "the test was not run:"), pytrace=False)

    def start(self, item: pytest.Item) -> None:
        """Start the disruptions of ``item``, whose fixtures are all up."""
        if self._only_setup:
            return
        attempt = self._attempt(item)
        if not attempt.marked.specs:
            return
        if self._settings.disable:
            attempt.outcomes = self._unrun(item, attempt, Verdict.disabled, "chaos is disabled")
            return
        self._runs.expect(item)  # before our own finalizer, so that they are let go after it
        self._signals.heed(item)
        item.addfinalizer(lambda: self._finalize(item, attempt))
        try:
            self._begin(item, attempt)
        except ChaosError as error:
            self._abandon(item, attempt, error)
        except BaseException as error:
            self._abandon(item, attempt, error)
            if isinstance(error, INTERRUPTS):
                self._reporting.keep(item.nodeid, attempt.outcomes)
            raise
        else:
            return
        pytest.fail(text.failure(attempt.outcomes, "the body was not run:"), pytrace=False)

    def _attempt(self, item: pytest.Item) -> Attempt:
        attempt = item.stash.get(ATTEMPT, None)
        if attempt is None:
            attempt = item.stash[ATTEMPT] = Attempt(
                marked=Marked(), origin=item.stash.get(_SETUP_BEGAN, None) or clocks.monotonic()
            )
            attempt.benchmark.watch(fixture_of(item))
        try:
            attempt.marked = self.collection.marked(item)  # a fixture may have added a mark since collection
        except SpecError as error:
            told = Redactor(self._settings.secrets).text(str(error))
            attempt.outcomes = [refused(told, test=item.nodeid)]
            pytest.fail(f"bad chaos mark: {told}", pytrace=False)
        return attempt

    def _begin(self, item: pytest.Item, attempt: Attempt) -> None:
        marked = attempt.marked
        attempt.run = self._runs.new(
            item, attempt, marked.specs, wait=marked.wait, min_overlap=marked.min_overlap
        )
        attempt.run.prepare()
        attempt.run.begin()

    def _abandon(self, item: pytest.Item, attempt: Attempt, error: BaseException) -> None:
        """Stop whatever was started, and keep outcomes for the report that is going to be made."""
        reason = (
            str(error)
            if isinstance(error, ChaosError)
            else f"setup was left by {type(error).__name__}: {error}"
        )
        if attempt.run is None:
            attempt.outcomes = self._unrun(item, attempt, Verdict.inconclusive, reason)
        elif isinstance(error, ChaosError) and not isinstance(error, NotStarted):
            attempt.outcomes = list(attempt.run.refuse(reason))
        else:
            attempt.outcomes = list(attempt.run.end(Body.not_run))
        self._tell(item, attempt.outcomes)

    def _unrun(
        self, item: pytest.Item, attempt: Attempt, verdict: Verdict, reason: str
    ) -> list[ChaosOutcome]:
        return unrun(attempt.marked.specs, verdict, reason, test=item.nodeid, settings=self._settings)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, request: pytest.FixtureRequest) -> Generator[None, object, object]:
        """Watch a benchmark, whichever way the test asks for it."""
        value = yield
        if note_fixture(request.node, value) and ATTEMPT in request.node.stash:
            request.node.stash[ATTEMPT].benchmark.watch(value)
        return value

    # ------------------------------------------------------------------ the body

    def body_starts(self, item: pytest.Item) -> None:
        """Note that the body of ``item`` begins now."""
        if (attempt := item.stash.get(ATTEMPT, None)) is not None:
            attempt.body_open = True
            if attempt.run is not None:
                attempt.run.body_starts()

    def body_raised(self, item: pytest.Item, error: BaseException) -> None:
        """Stop and judge; what the body raised stays what the test failed with."""
        if (attempt := item.stash.get(ATTEMPT, None)) is not None:
            self._body_raised(item, attempt, error)

    def body_returned(self, item: pytest.Item) -> None:
        """Stop, verify and judge; fail the test unless every disruption held."""
        attempt = item.stash.get(ATTEMPT, None)
        if not self._in_peace and came_late(item, Marked() if attempt is None else attempt.marked):
            attempt = self._attempt(item)
            self._judge(item, attempt, Body.passed)
            attempt.outcomes = [*attempt.outcomes, refused(_LATE, test=item.nodeid, name="a late mark")]
            pytest.fail(f"chaos: {_LATE}", pytrace=False)
        if attempt is None:
            return
        if (kept := kept_error(item)) is not None:
            self._body_raised(item, attempt, kept)
            return
        self._judge(item, attempt, Body.failed if attempt.failed_inside else Body.passed)
        bad = [one for one in attempt.deciding if one.verdict.fails]
        if attempt.failed_inside:
            return
        if bad:
            pytest.fail(text.failure(bad, "the body passed, but"), pytrace=False)
        # The body passed: a trigger that gave up may say so, but must not leave the test green.
        if skipped := [one for one in attempt.checked if one.verdict is Verdict.not_judged]:
            pytest.skip(text.failure(skipped, "chaos:"))

    def _body_raised(self, item: pytest.Item, attempt: Attempt, error: BaseException) -> None:
        self._judge(item, attempt, body_of(error))
        if isinstance(error, INTERRUPTS):
            self._reporting.keep(item.nodeid, attempt.outcomes)
        if not isinstance(error, NotHeld) and (note := text.note(attempt.of_marks)):
            error.add_note(note)

    def _judge(self, item: pytest.Item, attempt: Attempt, body: Body) -> None:
        attempt.body_open = False
        if attempt.run is not None:
            attempt.run.body_ends()
        try:
            self._conclude(attempt, body)
        except INTERRUPTS:  # somebody does not want to wait for a recovery
            self._conclude(attempt, Body.interrupted)
            self._reporting.keep(item.nodeid, attempt.outcomes)
            raise
        self._tell(item, attempt.outcomes)

    def _conclude(self, attempt: Attempt, body: Body) -> None:
        marked = [] if attempt.run is None else [attempt.run]
        by_hand = attempt.injector.close(body, beside=marked) if attempt.injector else []
        end_all(marked, body)
        attempt.outcomes = [*(attempt.of_marks or attempt.outcomes), *by_hand]
        attempt.benchmark.conclude(attempt.outcomes, attempt.origin)

    def _tell(self, item: pytest.Item, outcomes: Sequence[ChaosOutcome]) -> None:
        for outcome in outcomes:
            item.ihook.pytest_chaos_outcome(item=item, outcome=outcome)

    def _finalize(self, item: pytest.Item, attempt: Attempt) -> None:
        """Make certain that nothing runs on, whichever way the test was left."""
        if attempt.run is not None and not attempt.run.outcomes:
            attempt.outcomes = list(attempt.run.end(Body.not_run))
            self._reporting.keep(item.nodeid, attempt.outcomes)

    # ------------------------------------------------------------------ by hand

    def injector(self, request: pytest.FixtureRequest) -> Generator[ChaosInjector, None, None]:
        """Yield the injector of one test, and stop what it started."""
        item: pytest.Item = request.node
        self._signals.heed(item)
        attempt = self._attempt(item)
        self._runs.expect(item)
        injector = attempt.injector = ChaosInjector(
            new_run=lambda specs, wait, share, cancelled: self._runs.new(
                item, attempt, specs, wait=wait, min_overlap=share, cancelled=cancelled
            ),
            read=lambda entries: [
                spec
                for spec, _ in self.collection.reader.entries(
                    entries, place=place_of(item), base=item.path.parent
                )
            ],
            marked=lambda: attempt.run,
            marked_names=[spec.name for spec in attempt.marked.specs],
            milestones=attempt.milestones,
            settings=self._settings,
            test=item.nodeid,
        )
        yield injector
        self._tell(item, attempt.keep(injector.finish()))

    # ------------------------------------------------------------------ reports

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the outcomes on the report, and do not let xfail absorb a test that proved nothing."""
        report = yield
        if call.when == "setup" and (plan := item.stash.get(PLAN, None)) is not None:
            report.chaos_plan = plan.model_dump(mode="json")  # type: ignore[attr-defined]
        attempt = item.stash.get(ATTEMPT, None)
        if attempt is None:
            self._refuse_unseen(item, report)
            return report
        if call.when == "teardown":
            del item.stash[ATTEMPT]  # items live as long as the session; what was measured need not
            if attempt.injector is not None:  # what was asked for too late
                attempt.keep(attempt.injector.outcomes)
        if attempt.body_open and call.when == "call":  # the report of a subtest, made while the body goes on
            attempt.failed_inside |= call.excinfo is not None and body_of(call.excinfo.value) is Body.failed
            return report
        if call.when == "setup" and attempt.marked.plain:
            report.chaos_plain = True  # type: ignore[attr-defined]  # reports take any attribute across processes
        told = [outcome.to_json() for outcome in attempt.outcomes]
        if not told or attempt.body_open or told == attempt.told:
            return report
        attempt.told = told
        report.chaos = told  # type: ignore[attr-defined]
        self._refuse_absorption(report, attempt, call)
        return report

    def _refuse_unseen(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Do not let a body pass that was run past us, by a plugin that does not call pytest's own hooks."""
        if (
            report.when == "call"
            and report.passed
            and not self._in_peace
            and self.collection.marked(item).specs
        ):
            report.outcome = "failed"
            report.longrepr = f"chaos: {_PAST_US}"

    def _refuse_absorption(
        self, report: pytest.TestReport, attempt: Attempt, call: pytest.CallInfo[None]
    ) -> None:
        """Keep the report of a test that proved nothing failed, whatever xfail or another plugin made of it."""
        expected = hasattr(report, "wasxfail") or "[XPASS(strict)]" in str(report.longrepr)
        if report.failed and not expected:
            return
        # What the test was told of and dealt with is its own affair, but no failure to expect.
        asked = attempt.checked if expected else attempt.deciding
        unproven = [one for one in asked if one.verdict.proves_nothing]
        if not unproven:
            return
        report.outcome = "failed"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        if call.excinfo is None or not expected:
            before = "after the body:" if call.when == "teardown" else "whatever the report said before:"
            report.longrepr = text.failure(unproven, before)
