"""From marks to specs: read ``@pytest.mark.chaos(...)``, and say at file:line what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_chaos.engine.guard import Guard
from pytest_chaos.engine.run import Wait
from pytest_chaos.errors import SpecError, TargetRefused
from pytest_chaos.placeholders import names
from pytest_chaos.registry import did_you_mean
from pytest_chaos.schema import explain, explain_in_file, validate_spec
from pytest_chaos.scrub import shown
from pytest_chaos.settings import Settings
from pytest_chaos.sources import Sources
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


class SpecReader:
    """Read what a mark, or a call of the injector, names as specs: mappings, specs, lists, files, names."""

    def __init__(self, settings: Settings, *, root: Path) -> None:
        self.settings = settings
        catalogue = None if settings.catalogue is None else Path(settings.catalogue)
        self._sources = Sources(root=root, catalogue=catalogue)

    def marks(self, marks: Sequence[pytest.Mark], *, place: str, base: Path) -> Marked:
        """Add up the marks of one test that stands at ``place`` (``file:line``), in the directory ``base``.

        Raises:
            SpecError: one of them is wrong; the message has a line for each thing that is.
        """
        found: list[tuple[ChaosSpec, str]] = []
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
            found += self.entries(entries, place=place, base=base)
            if wait is not None:
                waits[wait] = None
        if len(waits) > 1:
            raise SpecError(
                f"chaos(): the marks of this test contradict each other: wait is {' and '.join(waits)}"
            )
        wait = next(iter(waits), Wait.active)
        for spec, _ in found:
            check_spec(spec, wait, self.settings)
        return Marked(
            specs=tuple(spec for spec, _ in found),
            sources=tuple(source for _, source in found),
            wait=wait,
            plain=plain and not found,
            marks=tuple(marks),
        )

    def entries(self, entries: Sequence[Any], *, place: str, base: Path) -> Iterator[tuple[ChaosSpec, str]]:
        """Yield each spec with where it was authored. Raises ``SpecError``."""
        for entry in entries:
            yield from self._entry(entry, place, base)

    def _entry(self, entry: Any, place: str, base: Path) -> Iterator[tuple[ChaosSpec, str]]:
        if isinstance(entry, list | tuple):
            if not entry:
                raise SpecError(
                    "chaos(): an empty list holds no spec; remove the mark, or put a spec into the list"
                )
            yield from self.entries(entry, place=place, base=base)
        elif isinstance(entry, Mapping | ChaosSpec):
            try:
                yield validate_spec(entry), place
            except ValidationError as error:
                raise SpecError("\n".join(explain(error, entry))) from None
        elif isinstance(entry, str | PathLike):
            yield from self._reference(fspath(entry), base)
        else:
            raise SpecError(
                "chaos(): a spec must be a mapping, a ChaosSpec, a path, a name, or a list of these, "
                f"not {type(entry).__name__} ({shown(entry, 80)})"
            )

    def _reference(self, reference: str | bytes, base: Path) -> Iterator[tuple[ChaosSpec, str]]:
        if isinstance(reference, bytes):
            raise SpecError("chaos(): a path must be text, not bytes")
        for entry in self._sources.resolve(reference, base=base):
            try:
                yield validate_spec(entry.data), str(entry.where)
            except ValidationError as error:
                raise SpecError("\n".join(explain_in_file(error, entry))) from None


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
            f"{who}: wait must be one of {', '.join(map(repr, allowed))}, not {shown(given, 80)}"
            + did_you_mean(str(given)[:80] if isinstance(given, str) else "", allowed)
        )
    return Wait(given)
