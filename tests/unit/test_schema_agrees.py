"""The JSON Schema and ``validate_spec`` say the same of every entry, with ``jsonschema`` as the second opinion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError

from pytest_chaos import FAULTS, TRIGGERS, ChaosResult, Fault, Trigger
from pytest_chaos.base import SPEC_CONFIG, Integral
from pytest_chaos.errors import SpecError
from pytest_chaos.schema import SchemaKind, json_schema, validate_spec
from pytest_chaos.sources import read_file
from tests.support.authored import anything, authored, everything_everywhere, good_entry, mutated
from tests.support.written import Write

COUNT = 6_000
GOOD = {
    "trigger": {"type": "time", "delay_seconds": 0.5},
    "action": {"type": "generate_load", "target": {"service_url": "http://127.0.0.1/"}},
}


def second_opinion(kind: SchemaKind = "entry") -> Draft202012Validator:
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def accepted(entry: Any) -> bool:
    try:
        validate_spec(entry)
    except ValidationError as error:
        # A JSON Schema cannot tell whether a pattern is one.
        return all(one["type"] == "bad_pattern" for one in error.errors())
    return True


def assert_agree(validator: Draft202012Validator, entry: Any) -> bool:
    ours, theirs = accepted(entry), validator.is_valid(entry)
    said = "" if theirs else "; ".join(error.message[:200] for error in validator.iter_errors(entry))
    assert ours == theirs, f"validate_spec: {ours}, JSON Schema: {theirs} ({said})\n{entry!r:.2000}"
    return ours


def test_both_say_the_same_of_every_entry() -> None:
    validator = second_opinion()
    good = sum(assert_agree(validator, entry) for entry in authored(5, COUNT))
    assert COUNT * 0.2 < good < COUNT * 0.6  # both kinds are really there


def test_both_say_the_same_of_each_value_at_each_place() -> None:
    validator = second_opinion()
    verdicts = [assert_agree(validator, entry) for entry in everything_everywhere()]
    assert len(verdicts) > 5_000
    assert 300 < sum(verdicts) < len(verdicts) / 2


def test_everything_that_is_made_good_is_good() -> None:
    random, validator = Random(6), second_opinion()
    assert all(assert_agree(validator, good_entry(random)) for _ in range(500))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("key", ["qps", "concurrency", "min_delivered"])
def test_what_json_does_not_know_is_refused(key: str, value: float) -> None:
    entry = {
        **GOOD,
        "action": {"type": "generate_load", "target": {"service_url": "http://127.0.0.1/", key: value}},
    }
    assert not accepted(entry)


class Volume(BaseModel):
    """Something that can be full."""

    model_config = SPEC_CONFIG

    path: str
    inodes: Annotated[int, Integral] | None = None


class FullDisk(Fault):
    """Leave no room."""

    type: Literal["full_disk"] = "full_disk"
    volume: Volume
    megabytes: Annotated[int, Field(ge=1, le=10), Integral] = 1
    label: Literal["a", "b"] | None = None

    def inject(self, ctx: Any, chaos_active_event: Any = None) -> ChaosResult:
        raise NotImplementedError


class Tide(Trigger):
    """Wait for the water."""

    type: Literal["tide"] = "tide"
    high: bool

    def wait(self, ctx: Any) -> None:
        raise NotImplementedError


def test_types_of_somebody_else_are_in_it_too() -> None:
    FAULTS.register("full_disk")(FullDisk)
    TRIGGERS.register("tide")(Tide)
    validator, random = second_opinion(), Random(7)
    full = {
        "trigger": {"type": "tide", "high": True},
        "action": {"type": "full_disk", "volume": {"path": "/"}, "megabytes": 3, "label": "a"},
    }
    assert assert_agree(validator, full)
    verdicts = {assert_agree(validator, mutated(random, full)) for _ in range(2_000)}
    assert verdicts == {True, False}
    assert {"tide", "full_disk"} <= {one["const"] for one in consts(json_schema())}


def consts(schema: Any) -> list[dict[str, Any]]:
    return [described for _, described, _ in properties(schema) if "const" in described]


def files(seed: int, count: int) -> Iterator[Any]:
    """Yield what may stand in a file: an entry, a list, a task file, or none of these."""
    random, entries = Random(seed), authored(seed, 10 * count)
    for _ in range(count):
        some: Any = [next(entries) for _ in range(random.randint(0, 3))]
        some = random.choice([some, some, some[0] if some else {}, next(entries)])
        task = {random.choice(["chaos", "chaos_spec"]): some, "id": 3, "name": anything(random)}
        yield random.choice([some, some, task, task, {**task, "chaos": some}, anything(random)])


def test_both_say_the_same_of_every_file(write: Write) -> None:
    validator, good = second_opinion("file"), 0
    for content in files(8, 700):
        if holds_text_of_its_own(content):
            continue
        path = write(json.dumps(content), "file.json")
        try:
            ours = all(accepted(entry.data) for entry in read_file(path))
        except SpecError:
            ours = False
        theirs = validator.is_valid(content)
        assert ours == theirs, f"we: {ours}, JSON Schema: {theirs}\n{content!r:.2000}"
        good += ours
    assert good > 70


def holds_text_of_its_own(content: Any) -> bool:
    """Tell whether it is a task file with text in it, which no JSON Schema looks into."""
    return isinstance(content, dict) and any(
        isinstance(content.get(key), str) for key in ("chaos", "chaos_spec")
    )


# They say what properties must be, given each other; what these are for stands beside them.
RULES = {"dependentSchemas", "if", "then"}


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each property in a schema, with its path and whether it is required."""
    if isinstance(schema, dict):
        for name, described in schema.get("properties", {}).items():
            yield f"{path}.{name}", described, name in schema.get("required", ())
        for key, value in schema.items():
            if key not in RULES:
                yield from properties(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from properties(value, f"{path}.{index}")


@pytest.mark.parametrize("kind", ["entry", "file"])
def test_every_field_is_told_of(kind: SchemaKind) -> None:
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    found = [*properties(schema)]
    assert len(found) >= 16
    for path, described, required in found:
        if path.endswith((".chaos", ".chaos_spec")):
            assert described["description"]
            continue
        assert described["description"], path
        assert "title" in described or "$ref" in described, path
        assert "default" in described or required, path
        assert "examples" in described or "const" in described, path
    assert "``" not in json.dumps(schema)


def test_every_example_is_good() -> None:
    schema = json_schema()
    for path, described, _ in properties(schema):
        validator = Draft202012Validator({**described, "$defs": schema["$defs"]})
        for example in described.get("examples", []):
            assert validator.is_valid(example), (path, example)
        if "default" in described:
            assert validator.is_valid(described["default"]), path


CHECKED = {**GOOD, "verify": "a"}


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        ({**CHECKED, "verify_phases": ["during"]}, True),
        ({**CHECKED, "verify_phases": ["after", "during", "before"]}, True),
        ({**CHECKED, "verify_phases": []}, False),
        ({**CHECKED, "verify_phases": ["after", "after"]}, False),
        ({**CHECKED, "verify_phases": ["meanwhile"]}, False),
        ({**CHECKED, "verify_phases": "after"}, False),
        ({**CHECKED, "verify_phases": None}, False),
        ({**CHECKED, "recover_within": 5}, True),
        ({**CHECKED, "recover_within": 3600.5}, False),
        ({**CHECKED, "recover_within": -1}, False),
        ({**CHECKED, "recover_within": True}, False),
        ({**CHECKED, "recover_within": 5, "verify_phases": ["before", "during"]}, False),
        ({**CHECKED, "recover_within": 0, "verify_phases": ["before", "during"]}, True),
        ({**CHECKED, "verify_every": 0.009}, False),
        ({**CHECKED, "verify_every": 61}, False),
        ({**GOOD, "verification": "a", "verify_phases": ["after"], "recover_within": 1}, True),
        ({**GOOD, "verify_phases": ["after"]}, False),
        ({**GOOD, "recover_within": 1}, False),
        ({**GOOD, "verify_every": 1}, False),
        ({**GOOD, "verify": None, "verify_phases": ["after"]}, False),
    ],
)
def test_what_belongs_to_a_check(entry: dict[str, Any], good: bool) -> None:
    assert assert_agree(second_opinion(), entry) is good


HTTP = {"type": "http", "url": "http://127.0.0.1/"}
LOG = {"type": "log", "pattern": "paid"}


@pytest.mark.parametrize(
    ("trigger", "good"),
    [
        ({"type": "checkpoint", "name": "a"}, True),
        ({"type": "checkpoint"}, False),
        ({"type": "checkpoint", "name": "x" * 201}, False),
        ({"type": "checkpoint", "name": "a", "timeout": 0}, False),
        ({"type": "checkpoint", "name": "a", "timeout": 3600}, True),
        ({"type": "checkpoint", "name": "a", "timeout": "1m30s"}, True),
        ({"type": "checkpoint", "name": "a", "timeout": "{{LONG}}"}, True),
        ({"type": "checkpoint", "name": "a", "timeout": None}, False),
        ({"type": "checkpoint", "name": "a", "on_timeout": "skip"}, True),
        ({"type": "checkpoint", "name": "a", "on_timeout": "pass"}, False),
        ({"type": "after", "disruption": "a", "state": "active"}, True),
        ({"type": "after", "disruption": "a", "state": "waiting"}, False),
        ({"type": "after"}, False),
        (HTTP, True),
        ({**HTTP, "url": "{{URL}}/ready"}, True),
        ({**HTTP, "url": "ftp://127.0.0.1/"}, False),
        ({**HTTP, "status": 99}, False),
        ({**HTTP, "status": 503.0}, True),
        ({**HTTP, "status": None}, False),
        ({**HTTP, "body": None, "every": 0.01}, True),
        ({**HTTP, "body": ""}, False),
        ({**HTTP, "every": 0}, False),
        (LOG, True),
        ({**LOG, "logger": "shop"}, True),
        ({**LOG, "file": "shop.log"}, True),
        ({**LOG, "file": "shop.log", "logger": None}, True),
        ({**LOG, "file": None, "logger": "shop"}, True),
        ({**LOG, "file": "shop.log", "logger": "shop"}, False),
        ({**LOG, "pattern": None}, False),
        ({**LOG, "pattern": "x" * 1001}, False),
        ({"type": "log"}, False),
    ],
)
def test_what_belongs_to_a_trigger(trigger: dict[str, Any], good: bool) -> None:
    assert assert_agree(second_opinion(), {**GOOD, "trigger": trigger}) is good


def test_both_names_of_verify_at_once_are_refused() -> None:
    both = {**GOOD, "verify": "a", "verification": "a"}
    assert not assert_agree(second_opinion(), both)
    assert assert_agree(second_opinion(), {**GOOD, "verification": "a"})
    assert validate_spec({**GOOD, "verification": "a"}).verify == "a"
