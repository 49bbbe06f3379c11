"""What happens at collection: marks are read and checked, bad ones reported, plans made."""

from __future__ import annotations

import pytest

from pytest_chaos.errors import SpecError
from pytest_chaos.plugin.marks import Marked, SpecReader, chaos_marks, place_of
from pytest_chaos.plugin.planning import DRY_RUN, PLAN, Plans, plan_test
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings

_MARKED = pytest.StashKey[Marked]()


class Collection:
    """Read the marks of the collected tests, each once."""

    def __init__(self, config: pytest.Config, settings: Settings, plans: Plans) -> None:
        self.reader = SpecReader(settings, root=config.rootpath)
        self._config = config
        self._settings = settings
        self._plans = plans
        self._planning = settings.dry_run or settings.plan is not None

    def check(self, items: list[pytest.Item]) -> None:
        """Read the marks of all items; one whose marks are wrong becomes a collection error and is taken out.

        In a dry run, tests without chaos are taken out as well, and the others marked to be skipped.
        """
        good: list[pytest.Item] = []
        for item in items:
            try:
                self.marked(item)
                if self._planning:
                    self._plan(item)
            except SpecError as error:
                self._report_bad(item, error)
            else:
                good.append(item)
        if self._planning:
            self._select(good)
        items[:] = good

    def _plan(self, item: pytest.Item) -> None:
        plan = plan_test(item, self.marked(item), self._settings)
        if plan.disruptions or plan.by_hand:
            item.stash[PLAN] = plan
            self._plans.take(plan)

    def _select(self, items: list[pytest.Item]) -> None:
        others = [item for item in items if PLAN not in item.stash]
        self._plans.count(len(others))
        if not self._settings.dry_run:
            return
        items[:] = [item for item in items if PLAN in item.stash]
        for item in items:
            item.add_marker(pytest.mark.skip(reason=DRY_RUN), append=False)
        if others:
            self._config.hook.pytest_deselected(items=others)

    def marked(self, item: pytest.Item) -> Marked:
        """Return what the marks of ``item`` add up to. Raises ``SpecError``."""
        marks = chaos_marks(item)
        known = item.stash.get(_MARKED, None)
        if known is None or known.marks != marks:
            known = item.stash[_MARKED] = self.reader.marks(
                marks, place=place_of(item), base=item.path.parent
            )
        return known

    def _report_bad(self, item: pytest.Item, error: SpecError) -> None:
        """Report the item the way pytest reports what it cannot collect; this also works under xdist."""
        lines = [
            f"{place_of(item)}: bad chaos mark on {item.name}",
            *(f"  {one}" for one in Redactor(self._settings.secrets).text(str(error)).split("\n")),
        ]
        report = pytest.CollectReport(item.nodeid, "failed", "\n".join(lines), [])
        item.ihook.pytest_collectreport(report=report)
