"""Make the runs of tests: placeholders filled, checks found, targets locked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_chaos.engine.broker import Broker
from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.run import Run, Wait
from pytest_chaos.placeholders import names
from pytest_chaos.plugin.attempt import Attempt
from pytest_chaos.plugin.locks import TestLocks
from pytest_chaos.plugin.marks import Marked
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
        self._broker = Broker(timeout_s=settings.lock_timeout_s, tell=lambda line: tell(config, line))

    def lock_known(self, item: pytest.Item, marked: Marked) -> TestLocks:
        """Lock what ``item`` disrupts, if that is known without its fixtures. Whoever asks must release it."""
        locks = item.stash[_LOCKS] = TestLocks(self._broker, item.nodeid, marked)
        locks.take_known(self._settings)
        return locks

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
        """
        request: pytest.FixtureRequest | None = getattr(item, "_request", None)
        variables = (
            variables_of(request, self._settings) if any(names(one.model_dump()) for one in specs) else {}
        )
        filled = [fill_spec(spec, variables) for spec in specs]
        checks = self._checks(
            item, request, [key for spec in specs for key in (spec.verify, spec.abort_when)]
        )
        self._locks(item, attempt.marked).take(filled, specs, settings=self._settings, cancelled=cancelled)
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
        run.cover(attempt.benchmark.rounds.from_now())
        attempt.started += len(specs)
        return run

    def _locks(self, item: pytest.Item, marked: Marked) -> TestLocks:
        """Return the locks of ``item``; they are made here if its first chaos came only after its setup had begun."""
        known = item.stash.get(_LOCKS, None)
        if known is None:
            known = self.lock_known(item, marked)
            item.addfinalizer(known.release)
        return known

    def _checks(
        self, item: pytest.Item, request: pytest.FixtureRequest | None, keys: list[str | None]
    ) -> Mapping[str, Callable[..., Any]]:
        wanted = [key for key in keys if key is not None]
        if not wanted or request is None:
            return {}
        checks = dict(request.getfixturevalue("chaos_verifiers"))
        for key in wanted:
            if key not in checks:
                found = item.ihook.pytest_chaos_verifier(name=key, request=request)
                if found is not None:
                    checks[key] = found
        return checks
