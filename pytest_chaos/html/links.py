"""The disruptions of a report, and the ids by which links find them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_chaos.outcome import ChaosOutcome

_OVERVIEW: Final = "overview"
_NO_PART_OF_AN_ID: Final = re.compile(r"[^\w.:/\[\]-]+")
_LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Disruption:
    """One outcome, and the id that links lead to."""

    id: str
    test: str
    outcome: ChaosOutcome


def linked(tests: Mapping[str, Sequence[ChaosOutcome]]) -> list[Disruption]:
    """Return all outcomes in their order, each with an id of its own: the test's, numbered from the second one on."""
    taken = {_OVERVIEW}
    found = []
    for test, outcomes in tests.items():
        stem = _NO_PART_OF_AN_ID.sub("-", test)[:_LONGEST_ID] or "test"
        count = 1
        for outcome in outcomes:
            name = stem
            while name in taken:
                count += 1
                name = f"{stem}-{count}"
            taken.add(name)
            found.append(Disruption(id=name, test=test, outcome=outcome))
    return found
