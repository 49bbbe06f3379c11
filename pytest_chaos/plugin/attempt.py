"""Attempt: one attempt at one test, from its setup to its last report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_chaos.engine.run import Run
from pytest_chaos.milestones import Milestones
from pytest_chaos.outcome import ChaosOutcome
from pytest_chaos.plugin.benchmarks import Benchmark
from pytest_chaos.plugin.marks import Marked

if TYPE_CHECKING:
    from pytest_chaos.plugin.injector import ChaosInjector


@dataclass(slots=True)
class Attempt:
    """What the marks of a test say, what runs for it, and what came of it. A rerun is a new attempt.

    ``started`` counts its disruptions, ``told`` is what a report already carries.
    """

    marked: Marked
    origin: float
    started: int = 0
    run: Run | None = None
    injector: ChaosInjector | None = None
    outcomes: list[ChaosOutcome] = field(default_factory=list)
    milestones: Milestones = field(default_factory=Milestones)
    benchmark: Benchmark = field(default_factory=Benchmark)
    body_open: bool = False
    failed_inside: bool = False
    told: list[dict[str, Any]] | None = None

    @property
    def of_marks(self) -> list[ChaosOutcome]:
        """The outcomes of what the marks have started."""
        return self.run.outcomes if self.run else []

    @property
    def deciding(self) -> list[ChaosOutcome]:
        """The outcomes that decide about the test: all of the marks', and those the body was not told of."""
        return [*self.of_marks, *(self.injector.untold if self.injector else [])]

    @property
    def checked(self) -> list[ChaosOutcome]:
        """All outcomes but those that the body has asked to be left to it."""
        left = [] if self.injector is None else self.injector.left_to_the_test
        return [one for one in self.outcomes if one not in left]

    def keep(self, outcomes: Sequence[ChaosOutcome]) -> list[ChaosOutcome]:
        """Add those of ``outcomes`` that are not there yet, and return them."""
        new = [one for one in outcomes if one not in self.outcomes]
        self.outcomes = [*self.outcomes, *new]
        return new


ATTEMPT = pytest.StashKey[Attempt]()
