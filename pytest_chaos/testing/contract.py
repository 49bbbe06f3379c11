"""What faults and triggers have in common: a class that specs can name, that is described, and that can be planned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import ValidationError

from pytest_chaos.base import Fault, Trigger
from pytest_chaos.engine.plan import lines, plan_disruption
from pytest_chaos.engine.run import Wait
from pytest_chaos.placeholders import fill
from pytest_chaos.registry import Registry
from pytest_chaos.schema import explain, json_schema, validate_spec
from pytest_chaos.scrub import shown
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec
from pytest_chaos.testing.traces import touched

__tracebackhide__ = True  # pytest shows the sentence alone, not where it stands here


def broken(subject: object, what: str) -> AssertionError:
    """Return the error that says in one sentence what is wrong with ``subject``."""
    return AssertionError(f"{type(subject).__name__} {what}")


def in_words(error: BaseException) -> str:
    """Return an error as part of a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class Contract:
    """Tests that a subclass inherits. Subclasses are collected whatever their name is, the contracts themselves are not.

    Attributes:
        settings: what the subject is run and planned with.
    """

    __test__ = False

    settings: Settings = Settings()

    _registry: ClassVar[Registry[Any]]
    _key: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__test__" not in vars(cls):
            cls.__test__ = True
            return
        for name in dir(cls):
            if name.startswith("test_"):  # whatever else a project's python_functions asks for
                getattr(cls, name).__test__ = True

    def test_its_spec_survives_a_round_trip(self) -> None:
        """Written as JSON and read back, and filled as a test fills it, it is the same."""
        subject, spec = self._made()
        for entry in (fill(spec.model_dump(exclude_unset=True), {}), *self._written(subject, spec)):
            try:
                again = getattr(validate_spec(entry), self._key)
            except ValidationError as error:
                raise broken(subject, f"cannot be read back: {'; '.join(explain(error, entry))}") from None
            if again != subject:
                raise broken(subject, f"is read back as something else: {shown(again)}, not {shown(subject)}")

    def test_its_schema_describes_it(self) -> None:
        """It is registered, and the JSON Schema that editors use agrees with it."""
        subject, spec = self._made()
        tag, registry = subject.type, self._registry
        if tag not in registry or registry.get(tag) is not type(subject):
            decorator = f'@{registry.kind.upper()}S.register("{tag}")'
            raise broken(subject, f"is not what the type {tag!r} stands for: decorate it with {decorator}")
        for entry in self._written(subject, spec):
            for problem in _schema_problems(self._key, tag, entry[self._key]):
                raise broken(subject, f"is not what its JSON Schema describes: {problem}")

    def test_its_plan_touches_nothing(self) -> None:
        """A dry run prints the same plan each time, and touches no file, socket or process for it."""
        subject, spec = self._made()
        with touched() as seen:
            try:
                self._check_words(subject)
                plans = [self._plan(spec) for _ in range(2)]
            except Exception as error:
                raise broken(subject, f"cannot be planned: {in_words(error)}") from error
        if seen:
            raise broken(
                subject, f"is not planned without touching anything: {'; '.join([*dict.fromkeys(seen)][:5])}"
            )
        if plans[0] != plans[1]:
            raise broken(subject, f"is planned as {plans[0]} and then as {plans[1]}")

    def _made(self) -> tuple[Fault | Trigger, ChaosSpec]:
        """Return what the author has made, and a spec that uses it."""
        raise NotImplementedError

    def _check_words(self, subject: Any) -> None:
        """Raise ``ValueError`` if what ``subject`` says of itself does not fit into a plan."""
        raise NotImplementedError

    def _written(self, subject: object, spec: ChaosSpec) -> Iterator[Any]:
        """Yield the spec as plain JSON, short and with all defaults."""
        for short in (True, False):
            try:
                plain = spec.model_dump(mode="json", include={"trigger", "action"}, exclude_unset=short)
                text = json.dumps(plain, allow_nan=False)
            except (TypeError, ValueError) as error:  # ValueError: pydantic knows no JSON for something
                raise broken(subject, f"cannot be written as JSON: {in_words(error)}") from None
            yield json.loads(text)

    def _plan(self, spec: ChaosSpec) -> list[str]:
        wait = Wait.none if spec.trigger.needs_body else Wait.active
        plan = plan_disruption(
            spec, test="contract", ordinal=1, source="contract", wait=wait, settings=self.settings
        )
        return [*lines(plan)]


def check_line(what: str, text: object) -> None:
    """Raise ``ValueError`` if ``text`` is not one line of text."""
    if not isinstance(text, str) or not text.strip() or len(text.splitlines()) > 1:
        raise ValueError(f"{what} is {shown(text)}, not one line of text")


def _schema_problems(key: str, tag: str, written: dict[str, Any]) -> Iterator[str]:
    """Yield what the JSON Schema has against ``written``: everything with jsonschema at hand, else which keys are wrong."""
    schema = json_schema()
    definitions = schema.get("$defs", {})
    kinds = [
        definitions[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in schema["properties"][key]["oneOf"]
    ]
    (described,) = [one for one in kinds if one["properties"]["type"].get("const") == tag]
    try:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - not everybody has it
    except ImportError:
        yield from (f"it knows no {name!r}" for name in written if name not in described["properties"])
        yield from (f"it asks for {name!r}" for name in described["required"] if name not in written)
        return
    for error in Draft202012Validator({**described, "$defs": definitions}).iter_errors(written):
        yield f"{error.json_path}: {error.message}"
