"""Make the runs of tests: placeholders filled, checks found, targets locked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_chaos.engine.broker import Broker
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.run import Run, Wait
from pytest_chaos.errors import Cancelled, ChaosError, SpecError
from pytest_chaos.placeholders import names
from pytest_chaos.plugin.attempt import Attempt
from pytest_chaos.plugin.locks import TestLocks
from pytest_chaos.plugin.marks import Marked
from pytest_chaos.plugin.progress import progress_of
from pytest_chaos.plugin.telling import tell
from pytest_chaos.plugin.variables import fill_spec, variables_of
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

_LOCKS = pytest.StashKey[TestLocks]()


class Runs:
    """Make runs for the tests of this process, and lock what they disrupt."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._guard = Guard(settings.allowed_targets)
        self._progress = progress_of(config, settings.progress)
        self._broker = Broker(timeout_s=settings.lock_timeout_s, tell=lambda line: self._tell(config, line))
        if self._progress is not None:
            self._progress.ask(self._broker.waiting)

    def _tell(self, config: pytest.Config, line: str) -> None:
        """Say it, unless the controller of a worker shows it: both write to the same terminal."""
        if self._progress is None or not self._settings.worker:
            tell(config, line)

    def expect(self, item: pytest.Item) -> None:
        """Let ``item`` lock what it disrupts. Its locks are let go with its last finalizer, if nobody does so later."""
        if _LOCKS not in item.stash:
            item.addfinalizer(lambda: self.release(item))
            item.stash[_LOCKS] = TestLocks(self._broker, self._settings, item.nodeid)

    def hold_known(self, item: pytest.Item, marked: Marked) -> None:
        """Lock what ``item`` disrupts, if that is known without its fixtures, until ``release``."""
        locks = item.stash[_LOCKS] = TestLocks(self._broker, self._settings, item.nodeid)
        if not any(mark.name == "skip" for mark in item.iter_markers()):
            locks.take_known(marked)

    def problem_of(self, item: pytest.Item) -> ChaosError | None:
        """Return why the targets of ``item`` could not be had before its setup, if that is so."""
        locks = item.stash.get(_LOCKS, None)
        return None if locks is None else locks.problem

    def release(self, item: pytest.Item) -> None:
        """Let the locks of ``item`` go."""
        if _LOCKS in item.stash:
            item.stash[_LOCKS].release()
            del item.stash[_LOCKS]

    def new(
        self,
        item: pytest.Item,
        attempt: Attempt,
        specs: Sequence[ChaosSpec],
        *,
        wait: Wait,
        min_overlap: float | None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Run:
        """Fill the specs for ``item``, lock their targets and make a run of them.

        Raises:
            ChaosError: a placeholder is not filled, a filled-in value does not fit, or a target is not free.
            Cancelled: nobody wants it any more.
        """
        locks = item.stash.get(_LOCKS, None)
        if locks is None or cancelled():
            raise Cancelled("the test that it belongs to is over")
        request: pytest.FixtureRequest | None = getattr(item, "_request", None)
        checks = self._checks(
            item, request, [key for spec in specs for key in (spec.verify, spec.abort_when)]
        )
        filled = self._filled(specs, request)
        locks.take(filled, specs, attempt.marked, cancelled=cancelled)
        run = Run(
            filled,
            authored=specs,
            first_ordinal=attempt.started + 1,
            wait=wait,
            min_overlap=min_overlap,
            task_id=item.nodeid,
            settings=self._settings,
            guard=self._guard,
            checks=checks,
            milestones=attempt.milestones,
            origin=attempt.origin,
        )
        if self._progress is not None:
            self._progress.watch(run)
        run.cover(attempt.benchmark.rounds.from_now())
        attempt.started += len(specs)
        return run

    def _filled(self, specs: Sequence[ChaosSpec], request: pytest.FixtureRequest | None) -> list[ChaosSpec]:
        if not any(names(one.model_dump()) for one in specs):
            return list(specs)
        variables = variables_of(request, self._settings)
        return [fill_spec(spec, variables) for spec in specs]

    def _checks(
        self, item: pytest.Item, request: pytest.FixtureRequest | None, keys: list[str | None]
    ) -> Mapping[str, Callable[..., Any]]:
        wanted = [key for key in keys if key is not None]
        if not wanted or request is None:
            return {}
        found = request.getfixturevalue("chaos_verifiers")
        if not isinstance(found, Mapping):
            raise SpecError(
                f"the fixture chaos_verifiers must return a mapping of names to functions, not {type(found).__name__}"
            )
        checks: dict[str, Callable[..., Any]] = dict(found)
        for key in wanted:
            if key not in checks:
                check = item.ihook.pytest_chaos_verifier(name=key, request=request)
                if check is not None:
                    checks[key] = check
        return checks
