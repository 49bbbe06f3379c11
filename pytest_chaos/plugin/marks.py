"""From marks to specs: read ``@pytest.mark.chaos(...)``, and say at file:line what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What the chaos marks of one test add up to.

    ``sources`` says for each spec where it was authored. ``plain`` tells of a bare mark, which is a category and no chaos.
    """

    specs: tuple[ChaosSpec, ...] = ()
    sources: tuple[str, ...] = ()
    wait: Wait = Wait.active
    min_overlap: float | None = None
    lock: tuple[str, ...] = ()
    shared: bool = False
    plain: bool = False
    marks: tuple[pytest.Mark, ...] = field(default=(), repr=False)


def chaos_marks(item: pytest.Item) -> tuple[pytest.Mark, ...]:
    """Return the chaos marks of ``item``, those of its module and class first."""
    return tuple(mark for _, mark in item.iter_markers_with_node("chaos"))[::-1]


def came_late(item: pytest.Item, known: Marked) -> bool:
    """Tell whether ``item`` carries a mark with a spec by now that was not among the ``known`` ones."""
    marks = (mark for mark in chaos_marks(item) if mark.args or "spec" in mark.kwargs)
    return any(all(mark is not one for one in known.marks) for mark in marks)


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
        told: dict[str, dict[Any, None]] = {name: {} for name in _READERS}
        plain = False
        for mark in marks:
            if not mark.args and not mark.kwargs:
                plain = True
                continue
            for name, value in _read_keywords(mark.kwargs).items():
                told[name][value] = None
            entries = [*mark.args, *([mark.kwargs["spec"]] if "spec" in mark.kwargs else [])]
            if not entries and not mark.kwargs.keys() <= {
                "lock",
                "shared",
            }:  # these serve blocks of the injector
                raise SpecError(
                    f"chaos(): {', '.join(sorted(mark.kwargs))} without a spec; give the spec as first argument"
                )
            found += self.entries(entries, place=place, base=base)
        lock = tuple(sorted({name for names in told.pop("lock") for name in names}))
        for name, values in told.items():
            if len(values) > 1:
                raise SpecError(
                    f"chaos(): the marks of this test contradict each other: {name} is {' and '.join(map(str, values))}"
                )
        specs = tuple(spec for spec, _ in found)
        wait = check_specs(specs, next(iter(told["wait"]), None), self.settings)
        return Marked(
            specs=specs,
            sources=tuple(source for _, source in found),
            wait=wait,
            min_overlap=next(iter(told["min_overlap"]), None),
            lock=lock,
            shared=next(iter(told["shared"]), False),
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
        if reference.lstrip().startswith(("{", "[")) or "\n" in reference:  # and it may hold what is secret
            raise SpecError(
                "chaos(): a spec is no text: give the mapping itself, the path of a file, or a name"
            )
        for entry in self._sources.resolve(reference, base=base):
            try:
                yield validate_spec(entry.data), str(entry.where)
            except ValidationError as error:
                raise SpecError("\n".join(explain_in_file(error, entry))) from None


def check_specs(
    specs: Sequence[ChaosSpec], wait: Wait | None, settings: Settings, *, others: Sequence[str] = ()
) -> Wait:
    """Check what one model alone cannot know: caps, targets, and whether each trigger and ``wait`` can be satisfied.

    ``others`` are disruptions of the same test that were started before. Return what the body waits for: what was
    asked for, else ``active`` where setup can wait for it.

    Raises:
        SpecError: it does not fit.
    """
    guard = Guard(settings.allowed_targets)
    known = [*others, *(spec.name for spec in specs)]
    for spec in specs:
        _check_trigger(spec, wait, known)
        if wait is Wait.done and not spec.action.ends_by_itself():
            raise SpecError(f"{spec.name!r}: wait='done' would wait for ever: give the load a `duration`")
        try:
            spec.action.plan(settings)
            for url in (*spec.trigger.targets(), *spec.action.targets()):
                if not names(url):
                    guard.check(url)
        except TargetRefused as error:
            raise SpecError(spec.redactor(settings).text(f"{spec.name!r}: {error}")) from None
    _check_order(specs)
    if wait is not None:
        return wait
    return Wait.none if any(spec.trigger.needs_body for spec in specs) else Wait.active


def _check_trigger(spec: ChaosSpec, wait: Wait | None, known: Sequence[str]) -> None:
    trigger = spec.trigger
    if trigger.needs_body and wait not in (None, Wait.none):
        raise SpecError(
            f"{spec.name!r}: wait={wait.value!r} cannot be: trigger {trigger.type!r} waits for what happens while the body "
            "runs, and the body would wait for it; leave `wait` out"
        )
    name = _waits_for(spec)
    if name is None:
        return
    if name == spec.name or known.count(name) != 1:
        others = [one for one in known if one != spec.name]
        what = "itself" if name == spec.name else "no other disruption of this test"
        if known.count(name) > 1:
            what = "several disruptions of this test"
        raise SpecError(
            f"{spec.name!r}: trigger {trigger.type!r} names {name!r}, which is {what}; "
            f"the others are: {', '.join(map(repr, others)) or 'none'}{did_you_mean(name, others)}"
        )


def _check_order(specs: Sequence[ChaosSpec]) -> None:
    """Raise ``SpecError`` if disruptions wait for each other."""
    order = TopologicalSorter({spec.name: filter(None, [_waits_for(spec)]) for spec in specs})
    try:
        order.prepare()
    except CycleError as error:
        first, *others = map(repr, reversed(error.args[1]))
        raise SpecError(
            f"{first} waits for {', which waits for '.join(others)}: none of them can come first"
        ) from None


def _waits_for(spec: ChaosSpec) -> str | None:
    """Return the name of the disruption that has to come before this one, if it says so and the name is known."""
    kind, name = spec.trigger.milestone() or ("checkpoint", "")
    return None if kind == "checkpoint" or names(name) else name


def _read_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the keywords of a mark say besides its spec. Raises ``SpecError``."""
    known = ("spec", *_READERS)
    for name in keywords:
        if name not in known:
            raise SpecError(
                f"chaos(): unknown keyword {name!r}; allowed: {', '.join(known)}{did_you_mean(name, known)}"
            )
    return {name: read(keywords[name], "chaos()") for name, read in _READERS.items() if name in keywords}


def read_min_overlap(given: object, who: str) -> float:
    """Return ``given`` as a share of the body. Raises ``SpecError``."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise SpecError(f"{who}: min_overlap must be a number from 0 to 1, not {shown(given, 80)}")
    return float(given)


def read_wait(given: object, who: str) -> Wait:
    """Return ``given`` as what the body waits for. Raises ``SpecError``."""
    allowed = [wait.value for wait in Wait]
    if not isinstance(given, str) or given not in allowed:
        raise SpecError(
            f"{who}: wait must be one of {', '.join(map(repr, allowed))}, not {shown(given, 80)}"
            + did_you_mean(str(given)[:80] if isinstance(given, str) else "", allowed)
        )
    return Wait(given)


def _read_lock(given: object, who: str) -> tuple[str, ...]:
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) and name for name in given):
        raise SpecError(f"{who}: lock must be a name, or a list of names, not {shown(given, 80)}")
    return tuple(given)


def _read_shared(given: object, who: str) -> bool:
    if not isinstance(given, bool):
        raise SpecError(f"{who}: shared must be True or False, not {shown(given, 80)}")
    return given


_READERS: dict[str, Callable[[object, str], Any]] = {
    "wait": read_wait,
    "min_overlap": read_min_overlap,
    "lock": _read_lock,
    "shared": _read_shared,
}
