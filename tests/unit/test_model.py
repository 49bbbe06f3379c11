"""The model: what a spec may say, what is said of one that may not, registries, schema, results, placeholders."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, TypeAdapter, ValidationError

import pytest_chaos
from pytest_chaos import FAULTS, TRIGGERS, ChaosResult, ChaosSpec, Fault, Trigger
from pytest_chaos.context import RunContext
from pytest_chaos.errors import SpecError
from pytest_chaos.faults.generate_load import GenerateLoadFault, LoadTarget
from pytest_chaos.notation import seconds
from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.placeholders import fill, names
from pytest_chaos.registry import Registry
from pytest_chaos.schema import explain, json_schema, validate_spec
from pytest_chaos.triggers.time_delay import TimeTrigger
from tests.support.specs import load_spec

URL = "http://127.0.0.1:8080/checkout"


def spec_with(*path: str, value: Any) -> dict[str, Any]:
    """Return a good spec in which ``value`` stands at ``path``."""
    spec = load_spec(URL)
    node = spec
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return spec


def complaints(entry: Any) -> list[str]:
    """Return what is said about a bad entry."""
    with pytest.raises(ValidationError) as bad:
        validate_spec(entry)
    return explain(bad.value, entry)


# ---------------------------------------------------------------------------------------------- specs


def test_a_spec_as_it_is_authored() -> None:
    spec = validate_spec(
        {
            "name": "lunch rush",
            "trigger": {"type": "time", "delay_seconds": 0.5},
            "action": {
                "type": "generate_load",
                "target": {"service_url": URL, "qps": 300.0, "duration": "1m30s"},
            },
            "verification": "orders add up",
        }
    )
    assert (spec.name, spec.verify) == ("lunch rush", "orders add up")
    assert spec.trigger == TimeTrigger(delay_seconds=0.5)
    assert spec.action == GenerateLoadFault(target=LoadTarget(service_url=URL, qps=300, duration="1m30s"))
    assert isinstance(spec.action, GenerateLoadFault)
    assert (spec.action.target.seconds, spec.action.target.timeout_s) == (90.0, 3.0)
    assert validate_spec(json.loads(spec.model_dump_json())) == spec
    assert validate_spec(spec) is spec


def test_defaults() -> None:
    spec = validate_spec(
        {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": {"service_url": URL}}}
    )
    assert (spec.name, spec.verify, spec.trigger) == (
        "Planned Disruption",
        None,
        TimeTrigger(delay_seconds=0),
    )
    assert spec.action.model_dump() == {
        "type": "generate_load",
        "goal": None,
        "bursts": 1,
        "target": {
            "service_url": URL,
            "qps": 100,
            "duration": None,
            "concurrency": None,
            "timeout": "3s",
            "method": "GET",
            "headers": {},
            "body": None,
            "min_delivered": 0.9,
        },
    }


def test_a_spec_cannot_be_changed() -> None:
    spec = validate_spec(load_spec(URL))
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"


QPS = ("action", "target", "qps")
TARGET = ("action", "target")
BAD: dict[str, tuple[Any, str]] = {
    "unknown key": (
        spec_with("nam", value="x"),
        r"^nam: unknown key; allowed: name, .*did you mean 'name'\?$",
    ),
    "unknown key in the trigger": (
        spec_with("trigger", "delay", value=1),
        "trigger.delay: .*did you mean 'delay_seconds'",
    ),
    "unknown key in the action": (
        spec_with("action", "targt", value={}),
        "action.targt: .*did you mean 'target'",
    ),
    "unknown key in the target": (
        spec_with(*TARGET, "qpz", value=1),
        "action.target.qpz: .*did you mean 'qps'",
    ),
    "unknown key like nothing": (
        spec_with(*TARGET, "zzzzzz", value=1),
        r"action.target.zzzzzz: unknown key; allowed: [^;]*$",
    ),
    "no trigger": ({"action": load_spec(URL)["action"]}, "^trigger: field required"),
    "no action": ({"trigger": {"type": "time"}}, "^action: field required"),
    "no target": (spec_with("action", value={"type": "generate_load"}), "action.target: field required"),
    "trigger is a list": (
        spec_with("trigger", value=[]),
        "^trigger: must be a mapping with a `type`, not list",
    ),
    "trigger is a word": (
        spec_with("trigger", value="time"),
        "^trigger: must be a mapping with a `type`, not str",
    ),
    "action is None": (
        spec_with("action", value=None),
        "^action: must be a mapping with a `type`, not NoneType",
    ),
    "trigger without type": (
        spec_with("trigger", value={}),
        "^trigger: missing required `type`.*registered .*time",
    ),
    "action without type": (
        spec_with("action", value={"target": {}}),
        "^action: missing required `type`.*generate_load",
    ),
    "unknown type": (
        spec_with("trigger", "type", value="tiem"),
        "unknown trigger type 'tiem'.*did you mean 'time'",
    ),
    "unknown fault": (spec_with("action", "type", value="generate-load"), "did you mean 'generate_load'"),
    "type is a number": (
        spec_with("action", "type", value=7),
        "unknown fault type: it must be text, not int; registered: .*generate_load",
    ),
    "type is a list": (spec_with("action", "type", value=["time"]), "unknown fault type"),
    "the other registry's type": (spec_with("action", "type", value="time"), "unknown fault type 'time'"),
    "target is a list": (spec_with(*TARGET, value=[URL]), "action.target: .*(dictionary|mapping).*a list"),
    "name is empty": (spec_with("name", value=""), "name: .*at least 1"),
    "name is too long": (spec_with("name", value="x" * 201), "name: .*at most 200"),
    "name is a number": (spec_with("name", value=7), r"name: .*text.* \(got 7\)"),
    "verify is a list": (spec_with("verify", value=["a"]), "verify: .*text"),
    "negative delay": (
        spec_with("trigger", "delay_seconds", value=-1),
        r"delay_seconds: .*greater than or equal to 0.*got -1",
    ),
    "endless delay": (spec_with("trigger", "delay_seconds", value=math.inf), "delay_seconds: "),
    "delay is text": (spec_with("trigger", "delay_seconds", value="1"), "delay_seconds: .*got '1'"),
    "delay is true": (spec_with("trigger", "delay_seconds", value=True), "delay_seconds: "),
    "qps 0": (spec_with(*QPS, value=0), r"action.target.qps: .*greater than or equal to 1 \(got 0\)"),
    "qps -1": (spec_with(*QPS, value=-1), "action.target.qps: .*greater than or equal to 1"),
    "qps NaN": (spec_with(*QPS, value=math.nan), "action.target.qps: "),
    "qps infinite": (spec_with(*QPS, value=math.inf), "action.target.qps: "),
    "qps text": (spec_with(*QPS, value="300"), "action.target.qps: .*got '300'"),
    "qps true": (spec_with(*QPS, value=True), "action.target.qps: .*got True"),
    "qps a fraction": (spec_with(*QPS, value=1.5), "action.target.qps: "),
    "qps 10**9": (spec_with(*QPS, value=10**9), "action.target.qps: .*less than or equal to 50000"),
    "qps None": (spec_with(*QPS, value=None), "action.target.qps: "),
    "concurrency 0": (
        spec_with(*TARGET, "concurrency", value=0),
        "concurrency: .*greater than or equal to 1",
    ),
    "concurrency 10**9": (
        spec_with(*TARGET, "concurrency", value=10**9),
        "concurrency: .*less than or equal to 4096",
    ),
    "min_delivered 1.1": (
        spec_with(*TARGET, "min_delivered", value=1.1),
        "min_delivered: .*less than or equal to 1",
    ),
    "min_delivered negative": (spec_with(*TARGET, "min_delivered", value=-0.1), "min_delivered: "),
    "method in small letters": (spec_with(*TARGET, "method", value="get"), "method: .*'GET'.*got 'get'"),
    "method with a line feed": (spec_with(*TARGET, "method", value="GET / HTTP/1.1\n"), "method: "),
    "header with a line feed": (
        spec_with(*TARGET, "headers", value={"X-A": "1\r\nX-B: 2"}),
        "header value is one line",
    ),
    "header name with a colon": (
        spec_with(*TARGET, "headers", value={"X-A:": "1"}),
        "not the name of an HTTP header",
    ),
    "header of the connection": (
        spec_with(*TARGET, "headers", value={"content-length": "5"}),
        "belongs to the connection",
    ),
    "body with a null": (spec_with(*TARGET, "body", value="a\x00b"), "body: "),
    "body that is no text": (spec_with(*TARGET, "body", value="\ud800"), "body: "),
    "body too long": (spec_with(*TARGET, "body", value="x" * 65_537), "body: .*at most 65536"),
    "bursts 0": (spec_with("action", "bursts", value=0), "action.bursts: .*greater than or equal to 1"),
    "no mapping at all": ([], "mapping|dictionary"),
}


@pytest.mark.parametrize(("entry", "words"), BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_a_bad_spec_is_refused_with_path_value_and_nearest_match(entry: Any, words: str) -> None:
    (sentence,) = complaints(entry)
    assert re.search(words, sentence), sentence


def test_everything_that_is_wrong_is_said_at_once() -> None:
    entry = {
        "nam": 1,
        "trigger": {"type": "tme"},
        "action": {"type": "generate_load", "target": {"qps": 0, "bodi": ""}},
    }
    said = complaints(entry)
    assert [sentence.partition(":")[0] for sentence in said] == [
        "trigger",
        "action.target.service_url",
        "action.target.qps",
        "action.target.bodi",
        "nam",
    ]


def test_verify_may_be_spelled_in_two_ways_but_not_at_once() -> None:
    assert validate_spec(spec_with("verification", value="a")).verify == "a"
    (sentence,) = complaints({**load_spec(URL), "verify": "a", "verification": "b"})
    assert "verification" in sentence


def test_no_secret_is_repeated_in_a_complaint() -> None:
    entry = spec_with(*TARGET, "headers", value={"Authorization": "Bearer s3cret\n"})
    entry["action"]["target"]["service_url"] = "http://user:s3cret@127.0.0.1/"
    said = complaints(entry)
    assert len(said) == 2
    assert "s3cret" not in " ".join(said)
    assert "user information is refused" in said[0]


def test_a_complaint_is_one_short_line_whatever_was_written() -> None:
    (sentence,) = complaints(spec_with(*QPS, value="\x1b[31m\n" + "9" * 10_000))
    assert len(sentence) < 400
    assert "\x1b" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("1h", 3600.0),
        ("1h1m1s1ms", 3661.001),
        ("2m5ms", 120.005),
        ("90m", 5400.0),
        ("0m1s", 1.0),
        ("1ms", 0.001),
    ],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)
    assert validate_spec(spec_with(*TARGET, "duration", value=text)).action.ends_by_itself()


BAD_DURATIONS = [
    "5",
    "abc",
    "-1s",
    "0s",
    "",
    " 1s",
    "1s ",
    "1s\n",
    "1S",
    "1e3s",
    "1d",
    "1s1m",
    "0h0m0.000s0ms",
    "s",
    "1,5s",
    "\u0661s",
]


@pytest.mark.parametrize("text", BAD_DURATIONS, ids=ascii)
@pytest.mark.parametrize("field", ["duration", "timeout"])
def test_what_is_no_duration(text: str, field: str) -> None:
    (sentence,) = complaints(spec_with(*TARGET, field, value=text))
    assert re.search(rf'action.target.{field}: not a duration; write it like "500ms"', sentence)
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("value", [5, 5.0, True, [], {}])
def test_a_duration_is_text(value: object) -> None:
    (sentence,) = complaints(spec_with(*TARGET, "duration", value=value))
    assert "action.target.duration: " in sentence


GOOD_URLS = [
    "http://127.0.0.1/",
    "https://shop.example:8443/a/b?c=d&e=%20",
    "HTTP://LOCALHOST:1",
    "http://[::1]:8080/",
    "http://localhost?x",
    "{{SHOP_URL}}/checkout",
    "http://127.0.0.1:{{PORT}}/",
]
BAD_URLS = {
    "127.0.0.1:8080": "only http",
    "ftp://127.0.0.1/": "only http",
    "file:///etc/passwd": "only http",
    "http//127.0.0.1/": "only http",
    "": "only http",
    "http://user:pw@127.0.0.1/": "user information",
    "http://user@127.0.0.1/": "user information",
    "http://127.0.0.1/#top": "fragment",
    "http:///": "plain ASCII URL",
    "http://127.0.0.1:0/": "plain ASCII URL",
    "http://127.0.0.1:65536/": "plain ASCII URL",
    "http://127.0.0.1:/": "plain ASCII URL",
    "http://127.0.0.1/a b": "plain ASCII URL",
    "http://127.0.0.1/\r\nHost: x": "plain ASCII URL",
    "http://127.0.0.1/\n": "plain ASCII URL",
    "http://127.0.0.1/\u00fc": "plain ASCII URL",
    "http://127.0.0.1\\@example.com/": "plain ASCII URL|user information",
    "http://127.0.0.1/{uuid}": "plain ASCII URL",
    " http://127.0.0.1/": "only http",
}


@pytest.mark.parametrize("url", GOOD_URLS)
def test_urls(url: str) -> None:
    assert validate_spec(load_spec(url)).action.targets() == [url]


@pytest.mark.parametrize(("url", "words"), BAD_URLS.items(), ids=[ascii(url) for url in BAD_URLS])
def test_what_is_no_url(url: str, words: str) -> None:
    (sentence,) = complaints(load_spec(url))
    assert re.search(f"action.target.service_url: .*({words})", sentence), sentence


# ---------------------------------------------------------------------------------------------- registries


class Quake(Fault):
    type: Literal["quake"] = "quake"
    magnitude: float = 1.0

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        return ChaosResult(success=chaos_active_event is not None, injected_fault=ctx.task_id)


class FullMoon(Trigger):
    type: Literal["full_moon"] = "full_moon"

    def wait(self, ctx: RunContext) -> None:
        ctx.sleep(0)


def quake(**more: Any) -> dict[str, Any]:
    return {"trigger": {"type": "time"}, "action": {"type": "quake", **more}}


def test_an_example_that_is_no_json_is_shown_all_the_same() -> None:
    class Flood(Fault):
        type: Literal["flood"] = "flood"
        image: Annotated[str, Field(examples=[Path("disk.img")])] = ""

        def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
            raise NotImplementedError

    FAULTS.register("flood")(Flood)
    try:
        entry = {"name": "rain", "trigger": {"type": "time"}, "action": {"type": "flood", "image": 3}}
        with pytest.raises(ValidationError) as wrong:
            validate_spec(entry)
        assert explain(wrong.value, entry) == ['action.image: must be text, such as "disk.img" (got 3)']
    finally:
        FAULTS.unregister("flood")


def test_a_registry_gives_what_was_registered() -> None:
    assert "quake" not in FAULTS
    assert FAULTS.register("quake")(Quake) is Quake
    assert "quake" in FAULTS
    assert FAULTS.get("quake") is Quake
    assert FAULTS.keys() == sorted({"generate_load", "quake"} | set(FAULTS.keys()))
    assert ("quake", Quake) in FAULTS.items()
    assert ("generate_load", GenerateLoadFault) in FAULTS.items()
    FAULTS.unregister("quake")
    assert "quake" not in FAULTS
    with pytest.raises(SpecError, match=r"unknown fault type 'quake'; registered: .*generate_load"):
        FAULTS.get("quake")
    with pytest.raises(KeyError):
        FAULTS.unregister("quake")


def test_registries_do_not_share_their_types() -> None:
    assert "time" in TRIGGERS
    assert "time" not in FAULTS
    assert "generate_load" not in TRIGGERS
    assert None not in FAULTS


def test_the_same_class_may_register_twice_but_no_other_may_take_its_tag() -> None:
    FAULTS.register("quake")(Quake)
    FAULTS.register("quake")(Quake)

    class Other(Quake):
        pass

    with pytest.raises(
        SpecError, match=r"'quake' is taken by .*Quake; choose another tag .*unregister\('quake'\)"
    ):
        FAULTS.register("quake")(Other)
    assert FAULTS.get("quake") is Quake


def test_a_class_whose_literal_differs_from_its_tag_is_refused() -> None:
    class Untyped(Quake):
        type: str = "u"  # type: ignore[assignment]  # that is what must fail

    class Wide(Quake):
        type: Literal["one", "two"] = "one"  # type: ignore[assignment]  # that is what must fail

    for tag, cls, found in (
        ("earthquake", Quake, r"\('quake',\)"),
        ("one", Wide, "'one', 'two'"),
        ("u", Untyped, "no `type"),
    ):
        with pytest.raises(SpecError, match=rf'{found}.*write `type: Literal\["{tag}"\] = "{tag}"`'):
            FAULTS.register(tag)(cls)
        assert tag not in FAULTS


def test_what_is_no_fault_is_refused() -> None:
    """A trigger among the faults would be found out only when a test runs."""

    class Lost(Trigger):
        type: Literal["lost"] = "lost"

        def wait(self, ctx: RunContext) -> None:
            ctx.sleep(0)

    with pytest.raises(SpecError, match="Fault"):
        FAULTS.register("lost")(Lost)  # type: ignore[arg-type]  # that is what must fail
    assert "lost" not in FAULTS


def test_a_fault_that_cannot_inject_is_refused() -> None:
    class Half(Fault):
        type: Literal["half"] = "half"

    with pytest.raises(SpecError, match="inject"):
        FAULTS.register("half")(Half)  # type: ignore[type-abstract]  # that is what must fail
    assert "half" not in FAULTS


def test_models_and_adapters_built_before_see_a_type_that_is_new() -> None:
    adapter = TypeAdapter(list[ChaosSpec])
    assert "quake" not in json.dumps(adapter.json_schema())
    with pytest.raises(ValidationError, match="unknown fault type 'quake'"):
        adapter.validate_python([quake()])
    FAULTS.register("quake")(Quake)
    (spec,) = adapter.validate_python([quake(magnitude=7.0)])
    assert spec.action == Quake(magnitude=7.0)
    assert adapter.dump_python([spec], mode="json")[0]["action"] == {"type": "quake", "magnitude": 7.0}
    assert adapter.validate_json(adapter.dump_json([spec])) == [spec]
    assert "quake" in json.dumps(adapter.json_schema())
    FAULTS.unregister("quake")
    with pytest.raises(ValidationError, match="unknown fault type 'quake'"):
        adapter.validate_python([quake()])


def test_a_new_type_is_part_of_the_did_you_mean() -> None:
    FAULTS.register("quake")(Quake)
    (sentence,) = complaints({**quake(), "action": {"type": "quaek"}})
    assert "did you mean 'quake'" in sentence
    (sentence,) = complaints(quake(magnitud=1))
    assert "action.magnitud: unknown key; allowed: type, magnitude; did you mean 'magnitude'?" in sentence


def test_an_entry_point_that_cannot_be_loaded_spoils_only_its_own_tag(tmp_path: Path) -> None:
    write_distribution(
        tmp_path,
        faults={
            "good": "quakes:Good",
            "broken": "quakes:Missing",
            "wrong": "quakes:Good",
            "gone": "no_such_module:X",
        },
    )
    script = """
from pytest_chaos import FAULTS
from pytest_chaos.errors import SpecError
print(FAULTS.keys())
for tag in ("broken", "wrong", "gone"):
    try:
        FAULTS.get(tag)
    except SpecError as error:
        print(error)
"""
    lines = run_python(script, tmp_path).splitlines()
    assert lines[0] == "['generate_load', 'good']"
    assert re.search("'broken' could not be loaded: entry point 'quakes:Missing': AttributeError", lines[1])
    assert re.search("'wrong' could not be loaded: .*cannot be registered as fault 'wrong'", lines[2])
    assert re.search("'gone' could not be loaded: .*ModuleNotFoundError", lines[3])


def write_distribution(folder: Path, *, faults: Mapping[str, str]) -> None:
    """Write an installed package that brings faults by entry points."""
    info = folder / "quakes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quakes\nVersion: 1.0\n", encoding="utf-8")
    points = "".join(f"{tag} = {value}\n" for tag, value in faults.items())
    (info / "entry_points.txt").write_text(f"[pytest_chaos.faults]\n{points}", encoding="utf-8")
    (folder / "quakes.py").write_text(
        "from typing import Literal\n"
        "from pytest_chaos import ChaosResult, Fault\n\n"
        "class Good(Fault):\n"
        "    type: Literal['good'] = 'good'\n"
        "    magnitude: int = 1\n"
        "    def inject(self, ctx, chaos_active_event=None):\n"
        "        return ChaosResult(success=True, injected_fault='good')\n",
        encoding="utf-8",
    )


def run_python(script: str, path: Path) -> str:
    """Run ``script`` in a fresh interpreter that finds packages in ``path``; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd=path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------------------------------- schema


def tags_in(schema: Mapping[str, Any], field: str) -> set[str]:
    """Return the tags that the schema's union for ``field`` knows, after a look at its form."""
    union = schema["properties"][field]
    assert union["discriminator"]["propertyName"] == "type"
    tags = []
    for one in union["oneOf"]:
        definition = schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        assert "type" in definition["required"]
        assert definition["additionalProperties"] is False
        tags.append(definition["properties"]["type"]["const"])
    assert len(tags) == len(set(tags))
    return set(tags)


def test_the_schema_holds_every_registered_type() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert tags_in(schema, "action") == set(FAULTS.keys())
    assert tags_in(schema, "trigger") == set(TRIGGERS.keys())


def test_the_schema_holds_a_type_that_was_registered_a_moment_ago() -> None:
    before = json_schema()
    FAULTS.register("quake")(Quake)
    TRIGGERS.register("full_moon")(FullMoon)
    after = json_schema()
    assert tags_in(after, "action") - tags_in(before, "action") == {"quake"}
    assert tags_in(after, "trigger") - tags_in(before, "trigger") == {"full_moon"}
    validator = Draft202012Validator(after)
    entry = {"trigger": {"type": "full_moon"}, "action": {"type": "quake", "magnitude": 2}}
    assert validator.is_valid(entry)
    assert not validator.is_valid({**entry, "action": {"type": "quake", "qps": 2}})
    assert not Draft202012Validator(before).is_valid(entry)
    FAULTS.unregister("quake")
    assert "quake" not in tags_in(json_schema(), "action")


def test_the_schema_holds_a_type_from_an_entry_point(tmp_path: Path) -> None:
    write_distribution(tmp_path, faults={"good": "quakes:Good"})
    script = "import json; from pytest_chaos.schema import json_schema; print(json.dumps(json_schema()))"
    assert tags_in(json.loads(run_python(script, tmp_path)), "action") == {"generate_load", "good"}


OUTSIDE_THE_SCHEMA = {
    # JSON cannot hold these, or JSON Schema cannot say it.
    "qps NaN",
    "qps infinite",
    "endless delay",
    "header of the connection",
    "body that is no text",
}


@pytest.mark.parametrize("name", sorted(set(BAD) - OUTSIDE_THE_SCHEMA))
def test_the_schema_refuses_what_validation_refuses(name: str) -> None:
    entry, _ = BAD[name]
    assert not Draft202012Validator(json_schema()).is_valid(entry)


@pytest.mark.parametrize(
    "entry",
    [
        load_spec(URL),
        load_spec(URL, qps=300.0, duration="1m30s", concurrency=7, timeout="1s", method="POST", body="{}"),
        load_spec(
            URL, headers={"X-A": "1", "Authorization": "{{TOKEN}}"}, min_delivered=0, duration="{{LONG}}"
        ),
        load_spec("{{SHOP_URL}}/x", name="{{NAME}}", verify="orders add up"),
        spec_with("verification", value="a"),
        *map(load_spec, GOOD_URLS),
    ],
)
def test_the_schema_takes_what_validation_takes(entry: dict[str, Any]) -> None:
    validate_spec(entry)
    Draft202012Validator(json_schema()).validate(entry)


SCHEMA = Draft202012Validator(json_schema())


@given(
    st.text("0123456789hms. \n", max_size=8)
    | st.from_regex(r"\d{1,3}h\d{1,3}m\d{1,3}(\.\d)?s\d{1,3}ms", fullmatch=True)
)
def test_schema_and_validation_agree_about_durations(text: str) -> None:
    entry = spec_with(*TARGET, "duration", value=text)
    try:
        validate_spec(entry)
    except ValidationError:
        assert not SCHEMA.is_valid(entry)
    else:
        assert SCHEMA.is_valid(entry)
        assert seconds(text) > 0


@given(st.text("htps:/@#?[]{}a.1 \n%", max_size=14).map(lambda rest: f"http://{rest}"))
def test_schema_and_validation_agree_about_urls(url: str) -> None:
    try:
        validate_spec(load_spec(url))
    except ValidationError:
        assert not SCHEMA.is_valid(load_spec(url))
    else:
        assert SCHEMA.is_valid(load_spec(url))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        ("name",),
        ("trigger",),
        ("action",),
        ("verify",),
        TARGET,
        QPS,
        (*TARGET, "headers"),
        (*TARGET, "body"),
        ("action", "type"),
    ]
)


@given(fields, anything)
def test_whatever_stands_in_a_spec_only_validation_errors_come_of_it(
    path: tuple[str, ...], value: Any
) -> None:
    entry = spec_with(*path, value=value)
    try:
        spec = validate_spec(entry)
    except ValidationError as error:
        said = explain(error, entry)
        assert said
        assert all(sentence.strip() for sentence in said)
    else:
        assert validate_spec(spec.model_dump(mode="json")) == spec


@given(anything)
def test_whatever_a_spec_is_only_validation_errors_come_of_it(entry: Any) -> None:
    with pytest.raises(ValidationError) as bad:
        validate_spec(entry)
    assert explain(bad.value, entry)


# ---------------------------------------------------------------------------------------------- results

HOSTILE = "\x1b[31mred\x1b[0m\x1b]0;title\x07 \ud800\udfff\x00\x08\x9b2J\u202eok\ufffe\r\nnext\tcell"


def test_a_result_is_scrubbed_when_it_is_made() -> None:
    details: dict[str, Any] = {
        HOSTILE: [HOSTILE, {"deep": HOSTILE}],
        "nan": math.nan,
        "inf": [math.inf, -math.inf],
        "path": Path("/x"),
    }
    result = ChaosResult(
        success=True,
        injected_fault=HOSTILE,
        output=HOSTILE,
        error=HOSTILE,
        details=details,
    )
    clean = "red ok\nnext\tcell"
    assert (result.injected_fault, result.output, result.error) == ("red ok next cell", clean, clean)
    assert result.details == {clean: [clean, {"deep": clean}], "nan": None, "inf": [None, None], "path": "/x"}


def test_a_result_is_cut_to_size() -> None:
    result = ChaosResult(
        success=True,
        injected_fault="f" * 10_000,
        output="o" * 10**6,
        error="e" * 10**6,
        details={"text": "t" * 10**6, "many": list(range(10**5)), **{f"k{n}": n for n in range(5000)}},
    )
    assert len(result.model_dump_json()) < 250_000
    assert "more characters" in result.output


def test_a_result_is_cut_to_size_as_a_whole() -> None:
    details: dict[str, Any] = {"many": [["x" * 4_000] * 100] * 100}
    result = ChaosResult(success=True, injected_fault="f", details=details)
    assert len(result.model_dump_json()) < 250_000


def test_details_are_plain_json_however_they_nest() -> None:
    deep: dict[str, Any] = {"end": True}
    for _ in range(500):
        deep = {"in": deep}
    details: dict[Any, Any] = {"deep": deep, 7: (1, {2}), "big": 2**70}
    result = ChaosResult(success=True, injected_fault="f", details=details)
    assert ChaosResult.model_validate(json.loads(result.model_dump_json())) == result
    assert result.details["7"] == [1, [2]]
    assert result.details["big"] == str(2**70)


@pytest.mark.parametrize(
    "wrong",
    [
        {"success": None},
        {"success": "maybe"},
        {"injected_fault": None},
        {"elapsed_time": -1},
        {"elapsed_time": math.nan},
        {"elapsed_time": math.inf},
        {"details": []},
        {"details": "text"},
        {"verdict": "held"},
    ],
    ids=str,
)
def test_what_is_no_result_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChaosResult.model_validate({"success": True, "injected_fault": "f", **wrong})


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=8), inside, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.text(st.characters(), max_size=60),
    st.dictionaries(st.text(st.characters(), max_size=8), nested, max_size=4),
)
def test_every_result_can_cross_a_process_and_stand_in_xml(text: str, details: dict[str, Any]) -> None:
    result = ChaosResult(success=True, injected_fault="f", output=text, error=text, details=details)
    outcome = ChaosOutcome(name=text or "n", verdict=Verdict.held, reason=text, result=result)
    plain = outcome.to_json()
    sent = json.dumps(plain, allow_nan=False).encode()
    assert ChaosOutcome.model_validate(json.loads(sent)) == outcome
    element = ET.Element("system-out")
    element.text = "".join(str(leaf) for leaf in leaves(plain))
    ET.fromstring(ET.tostring(element, "utf-8"))


def leaves(value: Any) -> list[Any]:
    """Return the keys and values in plain JSON, flat."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in (key, *leaves(item))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


# ---------------------------------------------------------------------------------------------- placeholders


def test_placeholders_stand_in_values_only_and_are_found_in_order() -> None:
    value = {
        "{{KEY}}": "{{B}} {{A}}",
        "list": ["{{ C }}", 7, None, {"x": "{{A}}"}],
        "no": "{A} {{}} {{ 1 }} {{a b}}",
    }
    assert names(value) == ["B", "A", "C"]
    assert fill(value, {"A": "1", "B": "2", "C": "3", "KEY": "k"}) == {
        "{{KEY}}": "2 1",
        "list": ["3", 7, None, {"x": "1"}],
        "no": "{A} {{}} {{ 1 }} {{a b}}",
    }


def test_a_filled_in_value_is_never_expanded_again() -> None:
    assert fill("{{A}}{{B}}", {"A": "{{B}}", "B": "{{A}}"}) == "{{B}}{{A}}"
    assert fill("{{A}}B}}", {"A": "{{", "B": "no"}) == "{{B}}"


def test_an_unknown_placeholder_stays() -> None:
    assert fill("{{A}} {{B}}", {"A": "1"}) == "1 {{B}}"


def test_a_filled_in_value_cannot_change_the_structure() -> None:
    hostile = '"}, "qps": 9999, "x": {"'
    spec = validate_spec(load_spec("http://127.0.0.1/", name="{{NAME}}", headers={"X-A": "{{NAME}}"}))
    filled = spec.filled({"NAME": hostile})
    assert filled.name == hostile
    assert isinstance(filled.action, GenerateLoadFault)
    assert filled.action.target.headers == {"X-A": hostile}
    assert filled.action.target.qps == 100


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (load_spec("http://127.0.0.1/", headers={"X-A": "{{VALUE}}"}), "one line of plain ASCII"),
        (load_spec("{{VALUE}}"), "only http"),
        (load_spec("http://{{VALUE}}/"), "plain ASCII URL"),
        (load_spec("http://127.0.0.1/", duration="{{VALUE}}"), "not a duration"),
        (load_spec("http://127.0.0.1/", name="{{VALUE}}" * 20), "at most 200"),
    ],
)
def test_a_filled_in_value_is_checked_where_it_stands(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        validate_spec(entry).filled({"VALUE": "two\r\nlines, which is far too much"})


@given(st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text(max_size=10)), anything)
def test_filling_keeps_every_shape(variables: dict[str, str], value: Any) -> None:
    def shape(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: shape(item) for key, item in one.items()}
        return [shape(item) for item in one] if isinstance(one, list) else type(one)

    assert shape(fill(value, variables)) == shape(value)
    if not names(value):
        assert fill(value, variables) == value


# ---------------------------------------------------------------------------------------------- the package


def test_the_package_offers_exactly_its_six_names() -> None:
    offered = ["FAULTS", "TRIGGERS", "ChaosResult", "ChaosSpec", "Fault", "Trigger"]
    assert sorted(pytest_chaos.__all__) == sorted(offered)
    assert dir(pytest_chaos) == sorted(offered)
    for name in offered:
        assert getattr(pytest_chaos, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Disruption'"):
        pytest_chaos.Disruption  # noqa: B018 - asking for it is what must fail


def test_importing_the_package_imports_nothing_that_costs_time(tmp_path: Path) -> None:
    script = "import sys, pytest_chaos; print(sorted({'pydantic', 'yaml', 'google.genai', 'pytest'} & {*sys.modules}))"
    assert run_python(script, tmp_path).strip() == "[]"


def test_a_registry_of_its_own_imports_nothing_before_it_is_asked() -> None:
    registry: Registry[Quake] = Registry("fault", Quake, group="no_such_package.faults")
    registry.register("quake")(Quake)
    with pytest.raises(ModuleNotFoundError):
        registry.keys()
