"""``--chaos-dry-run`` and ``--chaos-plan``: say what would happen, and in a dry run let nothing happen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from pytest_chaos.engine.plan import PLAN_SCHEMA_VERSION, DisruptionPlan, lines, plan_disruption
from pytest_chaos.errors import SpecError, TargetRefused
from pytest_chaos.plugin.marks import Marked
from pytest_chaos.plugin.variables import fill_known
from pytest_chaos.settings import Settings

DRY_RUN = "chaos dry run"


class TestPlan(BaseModel):
    """What one test would do: the disruptions of its marks, and whether its body may start more by hand."""

    __test__ = False  # pytest collects classes by name

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: str
    disruptions: list[DisruptionPlan]
    by_hand: bool


PLAN = pytest.StashKey[TestPlan]()


def plan_test(item: pytest.Item, marked: Marked, settings: Settings) -> TestPlan:
    """Describe what ``item`` would do. Placeholders that only a fixture can fill stay visible.

    Raises:
        SpecError: a value from the command line or the environment does not fit where it stands.
    """
    try:
        plans = [
            plan_disruption(
                fill_known(spec, settings),
                test=item.nodeid,
                ordinal=ordinal,
                source=source,
                wait=marked.wait,
                settings=settings,
            )
            for ordinal, (spec, source) in enumerate(zip(marked.specs, marked.sources, strict=True), 1)
        ]
    except TargetRefused as error:
        raise SpecError(str(error)) from None
    return TestPlan(test=item.nodeid, disruptions=plans, by_hand="chaos_injector" in fixtures_of(item))


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of the fixtures that ``item`` asks for."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return names


class Plans:
    """The plans of a session, from collection or from the reports of workers."""

    def __init__(self) -> None:
        self._plans: dict[str, TestPlan] = {}
        self.without_chaos = 0

    def take(self, plan: TestPlan) -> None:
        """Keep the plan of one test."""
        self._plans[plan.test] = plan

    def count(self, without_chaos: int) -> None:
        """Keep how many tests have no chaos."""
        self.without_chaos = max(self.without_chaos, without_chaos)

    def of(self, test: str) -> TestPlan | None:
        """Return the plan of one test."""
        return self._plans.get(test)

    def lines(self) -> Iterator[str]:
        """Yield all plans as text, sorted by test."""
        for plan in self._sorted():
            for one in plan.disruptions:
                yield from lines(one)
            if plan.by_hand:
                yield f"{plan.test}  decided in the body (chaos_injector)"
        disruptions = sum(len(plan.disruptions) for plan in self._plans.values())
        yield (
            f"{disruptions} disruption(s) in {len(self._plans)} test(s); "
            f"{self.without_chaos} test(s) without chaos left out"
        )

    def write(self, path: Path) -> None:
        """Write all plans as JSON: sorted, and the same whoever collected them. Raises ``OSError``."""
        document: dict[str, Any] = {
            "schema_version": PLAN_SCHEMA_VERSION,
            "disruptions": [
                one.model_dump(mode="json") for plan in self._sorted() for one in plan.disruptions
            ],
            "decided_in_the_body": [plan.test for plan in self._sorted() if plan.by_hand],
            "tests_without_chaos": self.without_chaos,
        }
        path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def _sorted(self) -> list[TestPlan]:
        return sorted(self._plans.values(), key=lambda plan: plan.test)
