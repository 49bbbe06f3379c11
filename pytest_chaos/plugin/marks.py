"""From marks to specs: read ``@pytest.mark.chaos(...)``, and say at file:line what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.run import Wait
from pytest_chaos.errors import SpecError, TargetRefused
from pytest_chaos.placeholders import names
from pytest_chaos.registry import did_you_mean
from pytest_chaos.schema import explain, validate_spec
from pytest_chaos.scrub import clean
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

_KEYWORDS = ("spec", "wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What the chaos marks of one test add up to.

    ``sources`` says for each spec where it was authored. ``plain`` tells of a bare mark, which is a category and no chaos.
    """

    specs: tuple[ChaosSpec, ...] = ()
    sources: tuple[str, ...] = ()
    wait: Wait = Wait.active
    plain: bool = False
    marks: tuple[pytest.Mark, ...] = field(default=(), repr=False)


def chaos_marks(item: pytest.Item) -> tuple[pytest.Mark, ...]:
    """Return the chaos marks of ``item``, those of its module and class first."""
    return tuple(mark for _, mark in item.iter_markers_with_node("chaos"))[::-1]


def place_of(item: pytest.Item) -> str:
    """Return ``file:line`` of the first line of the test, its first decorator."""
    path, line, _ = item.location
    return f"{path}:{(line or 0) + 1}"


def read_marks(marks: Sequence[pytest.Mark], settings: Settings, place: str) -> Marked:
    """Add up the marks of one test that stands at ``place``.

    Raises:
        SpecError: one of them is wrong; the message has a line for each thing that is.
    """
    specs: list[ChaosSpec] = []
    waits: dict[Wait, None] = {}
    plain = False
    for mark in marks:
        if not mark.args and not mark.kwargs:
            plain = True
            continue
        wait = _read_keywords(mark.kwargs)
        entries = [*mark.args, *([mark.kwargs["spec"]] if "spec" in mark.kwargs else [])]
        if not entries:
            raise SpecError(
                f"chaos(): {', '.join(sorted(mark.kwargs))} without a spec; give the spec as first argument"
            )
        specs += [spec for entry in entries for spec in read_entry(entry)]
        if wait is not None:
            waits[wait] = None
    if len(waits) > 1:
        raise SpecError(
            f"chaos(): the marks of this test contradict each other: wait is {' and '.join(waits)}"
        )
    wait = next(iter(waits), Wait.active)
    for spec in specs:
        check_spec(spec, wait, settings)
    return Marked(
        specs=tuple(specs),
        sources=(place,) * len(specs),
        wait=wait,
        plain=plain and not specs,
        marks=tuple(marks),
    )


def read_entry(entry: Any) -> Iterator[ChaosSpec]:
    """Yield the specs in one positional argument of the mark. Raises ``SpecError``."""
    if isinstance(entry, list | tuple):
        if not entry:
            raise SpecError(
                "chaos(): an empty list holds no spec; remove the mark, or put a spec into the list"
            )
        for one in entry:
            yield from read_entry(one)
    elif isinstance(entry, Mapping | ChaosSpec):
        try:
            yield validate_spec(entry)
        except ValidationError as error:
            raise SpecError("\n".join(explain(error, entry))) from None
    else:
        raise SpecError(
            f"chaos(): a spec must be a mapping, a ChaosSpec or a list of them, not {type(entry).__name__} "
            f"({clean(repr(entry), 80)})"
        )


def check_spec(spec: ChaosSpec, wait: Wait, settings: Settings) -> None:
    """Check what the model alone cannot know: caps, targets, and whether ``wait`` can ever be satisfied.

    Raises:
        SpecError: it does not fit.
    """
    if wait is Wait.done and not spec.action.ends_by_itself():
        raise SpecError(f"{spec.name!r}: wait='done' would wait for ever: give the load a `duration`")
    guard = Guard(settings.allowed_targets)
    try:
        spec.action.plan(settings)
        for url in spec.action.targets():
            if not names(url):
                guard.check(url)
    except TargetRefused as error:
        raise SpecError(f"{spec.name!r}: {error}") from None


def _read_keywords(keywords: Mapping[str, Any]) -> Wait | None:
    for name in keywords:
        if name not in _KEYWORDS:
            raise SpecError(
                f"chaos(): unknown keyword {name!r}; allowed: {', '.join(_KEYWORDS)}{did_you_mean(name, _KEYWORDS)}"
            )
    return read_wait(keywords["wait"], "chaos()") if "wait" in keywords else None


def read_wait(given: object, who: str) -> Wait:
    """Return ``given`` as what the body waits for. Raises ``SpecError``."""
    allowed = [wait.value for wait in Wait]
    if not isinstance(given, str) or given not in allowed:
        raise SpecError(
            f"{who}: wait must be one of {', '.join(map(repr, allowed))}, not {given!r}"
            + did_you_mean(str(given), allowed)
        )
    return Wait(given)
