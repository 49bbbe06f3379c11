"""JUnit XML: flat string properties, one system-out for people and programs, and a file that readers accept."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from tests.support.inner import InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[1] / "data" / "junit.xsd")
HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
# Every way for a test to end, each with an outcome of its own; and one test without chaos.
SOURCE = f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged())
def test_held(): pass

@pytest.mark.chaos(staged())
def test_broke(): assert not RUNNING

@pytest.mark.chaos(staged())
def test_skipped(): pytest.skip("x")

@pytest.mark.xfail
@pytest.mark.chaos(staged())
def test_expected(): assert not RUNNING

@pytest.mark.chaos(staged(play="raises"))
def test_never_started(): pass

@pytest.fixture
def fragile():
    yield
    raise OSError

@pytest.mark.chaos(staged())
def test_teardown_fails(fragile): pass

@pytest.mark.chaos(staged())
def test_both_fail(fragile): assert not RUNNING

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged()):
        pass

@pytest.mark.chaos
def test_plain(): pass

def test_peaceful(): pass
"""
VERDICTS = {
    "test_two": "inconclusive",
    "test_held": "held",
    "test_broke": "broke",
    "test_skipped": "not_judged",
    "test_expected": "broke",
    "test_never_started": "inconclusive",
    "test_teardown_fails": "held",
    "test_by_hand": "held",
}
WHERE = pytest.mark.parametrize("option", ["-n0", "-n2"])


def run_all(inner: InnerPytest, *options: str, **ini: object) -> InnerRun:
    """Run ``SOURCE`` with xdist at hand."""
    return inner(SOURCE, *options, conftest=STAGED, plugins=["xdist.plugin"], junit=True, ini=ini)


def cases(run: InnerRun) -> list[ET.Element]:
    """Return the test cases. A test with two failures has two."""
    return list(ET.parse(run.path / "junit.xml").getroot().iter("testcase"))


@WHERE
def test_properties_are_flat_and_numbered_from_one(inner: InnerPytest, option: str) -> None:
    run = run_all(inner, option, "--deselect=test_inner.py::test_both_fail")
    assert {name: case.properties.get("chaos.verdict") for name, case in run.junit.items()} == {
        **VERDICTS,
        "test_plain": None,
        "test_peaceful": None,
    }
    properties = run.junit["test_two"].properties
    elapsed = [float(properties.pop(f"chaos.{number}.elapsed_s")) for number in (1, 2)]
    overlaps = [float(properties.pop(f"chaos.{number}.overlap")) for number in (1, 2)]
    assert all(0 <= value < 5 for value in elapsed)
    assert all(0 < value <= 1 for value in overlaps)
    assert properties == {
        "chaos.verdict": "inconclusive",
        "chaos.1.name": "one",
        "chaos.1.fault": "staged",
        "chaos.1.verdict": "held",
        "chaos.1.reason": "the body passed while it was disrupted",
        "chaos.1.success": "True",
        "chaos.1.error": "",
        "chaos.2.name": "two",
        "chaos.2.fault": "staged",
        "chaos.2.verdict": "inconclusive",
        "chaos.2.reason": "the fault failed: it is not what it was",
        "chaos.2.success": "False",
        "chaos.2.error": "it is not what it was",
    }


@WHERE
def test_figures_of_a_load(inner: InnerPytest, shop: Shop, option: str) -> None:
    run = inner(
        f"import time, pytest\n@pytest.mark.chaos({load_spec(shop.url, qps=100)})\ndef test_it(): time.sleep(0.5)\n",
        option,
        plugins=["xdist.plugin"],
        junit=True,
    )
    case = run.junit["test_it"]
    properties = {key.removeprefix("chaos.1."): value for key, value in case.properties.items()}
    assert properties["fault"] == "generate_load"
    assert float(properties["asked_qps"]) == 100
    assert 80 <= float(properties["delivered_qps"]) <= 120
    assert int(properties["requests"]) == case.chaos[0]["result"]["details"]["requests"] >= 40
    assert properties["errors"] == "0"
    assert 0 < float(properties["p99_s"]) < 3
    assert float(properties["overlap"]) > 0.9


@WHERE
def test_system_out_is_a_line_what_there_is_to_say_and_one_document(inner: InnerPytest, option: str) -> None:
    run = run_all(inner, option, "--deselect=test_inner.py::test_both_fail")
    for name, verdict in VERDICTS.items():
        (text,) = run.junit[name].system_out
        line, *told, document = text.rstrip("\n").split("\n")
        assert f"test_inner.py::{name}" in line
        assert verdict in line
        assert told[0].startswith(f"'{run.test(f'::{name}').chaos[-1]['name']}' (staged) is {verdict}: ")
        assert ("again:    pytest test_inner.py::" in text) is (verdict in {"broke", "inconclusive"})
        assert json.loads(document) == run.test(f"::{name}").chaos
    assert run.junit["test_plain"].system_out == []
    assert run.junit["test_peaceful"].system_out == []


def test_the_width_of_the_terminal_does_not_matter(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    (told,) = run_all(inner, "-k", "test_broke").junit["test_broke"].system_out
    assert max(map(len, told.splitlines()[1:-1])) > 90


@WHERE
def test_nothing_stands_there_twice(inner: InnerPytest, option: str) -> None:
    run = run_all(inner, option)
    seen: dict[str, int] = {}
    for case in cases(run):
        keys = [one.get("name") for one in case.iterfind("properties/property")]
        assert len(keys) == len(set(keys))
        seen[case.get("name", "")] = seen.get(case.get("name", ""), 0) + len(case.findall("system-out"))
    assert seen.pop("test_both_fail") >= 1
    assert seen == {**dict.fromkeys(VERDICTS, 1), "test_plain": 0, "test_peaceful": 0}


@WHERE
@pytest.mark.parametrize("logging", ["no", "all"])
def test_with_system_out_alone_readers_accept_the_file(inner: InnerPytest, option: str, logging: str) -> None:
    run = run_all(inner, option, chaos_junit="system-out", junit_logging=logging)
    SCHEMA.validate(run.path / "junit.xml")
    assert sum(len(case.findall("properties")) for case in cases(run)) == 0
    texts = [one.text or "" for case in cases(run) for one in case.iter("system-out")]
    assert sum('"verdict"' in text for text in texts) >= len(VERDICTS) + 1


def test_the_schema_refuses_properties_in_a_test_case(inner: InnerPytest) -> None:
    run = run_all(inner)
    errors = list(SCHEMA.iter_errors(run.path / "junit.xml"))
    assert errors
    assert all("properties" in str(error.reason) for error in errors)


@pytest.mark.parametrize(
    ("kinds", "properties", "system_out"),
    [
        ("properties system-out", True, True),
        ("properties\nsystem-out", True, True),
        ("system-out properties", True, True),
        ("properties", True, False),
        ("system-out", False, True),
        ("", False, False),
    ],
)
def test_kinds(inner: InnerPytest, kinds: str, properties: bool, system_out: bool) -> None:
    case = run_all(inner, "-k", "test_held", chaos_junit=kinds).junit["test_held"]
    assert bool(case.properties) is properties
    assert bool(case.system_out) is system_out


@pytest.mark.parametrize("family", ["xunit1", "xunit2", "legacy"])
def test_every_family(inner: InnerPytest, family: str) -> None:
    case = run_all(inner, "-k", "test_held", junit_family=family).junit["test_held"]
    assert case.properties["chaos.verdict"] == "held"
    assert [one["verdict"] for one in case.chaos] == ["held"]


@WHERE
def test_properties_of_others_stay(inner: InnerPytest, option: str) -> None:
    source = (
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(record_property): record_property('mine', 'x')\n"
    )
    run = inner(
        source,
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
        junit=True,
        ini={"junit_family": "xunit1"},
    )
    assert run.junit["test_it"].properties["mine"] == "x"
    assert run.junit["test_it"].properties["chaos.verdict"] == "held"


@WHERE
def test_a_failure_says_in_its_message_what_it_was_under(inner: InnerPytest, option: str) -> None:
    run = run_all(inner, option, "--deselect=test_inner.py::test_both_fail")
    assert (
        "'a rush' (staged) is broke: the body failed while it was disrupted"
        in run.junit["test_broke"].message
    )
    assert "'two' (staged) is inconclusive: the fault failed" in run.junit["test_two"].message
    assert run.junit["test_never_started"].outcome == "error"
    assert "the disk is on fire" in run.junit["test_never_started"].message
