"""Outcomes for readers: what a JUnit XML file or a report tells, and what becomes of files that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from pydantic import JsonValue

from pytest_chaos.errors import ChaosError, ReportError
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict
from pytest_chaos.report import outcomes, read_junit

Junit = Callable[[str], Path]
DAMAGED = "it was written by another version of pytest-chaos, or damaged since"


@pytest.fixture
def junit(tmp_path: Path) -> Junit:
    """Return what writes test cases into a file of one suite."""

    def make(cases: str) -> Path:
        path = tmp_path / "results.xml"
        path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
        return path

    return make


def outcome(name: str = "a rush", verdict: Verdict = Verdict.held, **more: Any) -> ChaosOutcome:
    result = ChaosResult(success=True, injected_fault="staged", elapsed_time=0.25)
    return ChaosOutcome(name=name, verdict=verdict, reason="as it went", result=result, **more)


def told(*outcomes: ChaosOutcome, line: str | None = None) -> str:
    """Return a system-out as the plugin writes it, with JSON for plain text to be put behind the line."""
    first = line if line is not None else f"{outcomes[0].verdict:<12} test_it.py::test_it  'a rush'"
    return system_out(f"{first}\n{json.dumps([one.to_json() for one in outcomes])}\n")


def system_out(text: str) -> str:
    return f"<system-out>{escape(text)}</system-out>"


def flat(**properties: object) -> str:
    """Return properties; an underscore at the front stands for the number of the only disruption."""
    named = {f"chaos.{key}".replace("chaos._", "chaos.1."): str(value) for key, value in properties.items()}
    return properties_of(named)


def properties_of(named: dict[str, str]) -> str:
    each = (f"<property name={quoteattr(key)} value={quoteattr(value)}/>" for key, value in named.items())
    return f"<properties>{''.join(each)}</properties>"


def case(*children: str, name: str = "test_it", classname: str = "test_it") -> str:
    return f"<testcase classname={quoteattr(classname)} name={quoteattr(name)}>{''.join(children)}</testcase>"


FLAT = {
    "verdict": "broke",
    "_name": "a rush",
    "_fault": "generate_load",
    "_verdict": "broke",
    "_reason": "the body failed\nwhile it was disrupted",
    "_overlap": "0.987654",
    "_success": "True",
    "_error": "",
    "_elapsed_s": "1.5",
    "_asked_qps": "300.0",
    "_delivered_qps": "299.7",
    "_requests": "308",
    "_errors": "0",
    "_p99_s": "1e-05",
}


def test_a_report_gives_its_outcomes() -> None:
    both = [outcome("one"), outcome("two", Verdict.broke)]
    assert outcomes(SimpleNamespace(chaos=[one.to_json() for one in both])) == both


@pytest.mark.parametrize(
    "report", [SimpleNamespace(), SimpleNamespace(chaos=None), SimpleNamespace(chaos=[])]
)
def test_a_report_without_chaos_gives_none(report: object) -> None:
    assert outcomes(report) == []


def test_a_report_with_something_else_is_an_error_that_names_the_test() -> None:
    report = SimpleNamespace(nodeid="test_it.py::test_it", chaos=[{**outcome().to_json(), "colour": "red"}])
    with pytest.raises(ReportError) as caught:
        outcomes(report)
    assert isinstance(caught.value, ChaosError)
    assert str(caught.value) == (
        f"the report: test_it.py::test_it: its chaos cannot be read: 0.colour: unknown key; {DAMAGED}"
    )


def test_outcomes_in_a_file_are_those_that_were_written(junit: Junit) -> None:
    both = [outcome("one", test="test_it.py::test_it"), outcome("two", test="test_it.py::test_it")]
    path = junit(case(told(*both)) + case(name="test_peaceful"))
    assert read_junit(path) == read_junit(str(path)) == {"test_it.py::test_it": both}


def test_a_test_that_the_outcomes_do_not_name_is_named_by_its_test_case(junit: Junit) -> None:
    path = junit(case(told(outcome()), classname="tests.test_it.TestIt", name="test_it[a\nb\u202e]"))
    assert read_junit(path) == {"tests.test_it.TestIt::test_it[a b]": [outcome()]}


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_read(junit: Junit, verdict: Verdict) -> None:
    assert read_junit(junit(case(told(outcome(verdict=verdict))))) == {
        "test_it::test_it": [outcome(verdict=verdict)]
    }


def test_properties_alone_give_what_they_tell(junit: Junit) -> None:
    (found,) = read_junit(junit(case(flat(**FLAT))))["test_it::test_it"]
    details: dict[str, JsonValue] = {
        "asked_qps": 300.0,
        "delivered_qps": 299.7,
        "requests": 308,
        "errors": 0,
        "p99_s": 1e-05,
    }
    assert found == ChaosOutcome(
        name="a rush",
        verdict=Verdict.broke,
        reason="the body failed\nwhile it was disrupted",
        overlap=0.987654,
        result=ChaosResult(
            success=True, injected_fault="generate_load", elapsed_time=1.5, error=None, details=details
        ),
    )
    assert {key: type(value) for key, value in found.result.details.items()} == {
        "asked_qps": float,
        "delivered_qps": float,
        "requests": int,
        "errors": int,
        "p99_s": float,
    }


def test_properties_of_a_fault_without_figures(junit: Junit) -> None:
    without = {key: value for key, value in FLAT.items() if not key.endswith(("qps", "requests", "p99_s"))}
    (found,) = read_junit(
        junit(case(flat(**{**without, "_errors": "['a list']", "_error": "it burnt", "_success": "False"})))
    )["test_it::test_it"]
    assert found.result.details == {}
    assert found.result.error == "it burnt"
    assert not found.result.success


def test_properties_are_in_the_order_of_their_numbers(junit: Junit) -> None:
    numbered = {"chaos.verdict": "broke"}
    for number in (10, 9, *range(1, 9)):
        for key, value in FLAT.items():
            if key.startswith("_"):
                numbered[f"chaos.{number}.{key[1:]}"] = value
        numbered[f"chaos.{number}.name"] = f"number {number}"
    found = read_junit(junit(case(properties_of(numbered))))["test_it::test_it"]
    assert [one.name for one in found] == [f"number {number}" for number in range(1, 11)]


def test_the_document_counts_before_the_properties(junit: Junit) -> None:
    assert read_junit(junit(case(flat(**FLAT), told(outcome())))) == {"test_it::test_it": [outcome()]}


def test_a_failure_and_an_error_are_one_test(junit: Junit) -> None:
    """The document stands in the test case of the failure, the properties stand in that of the error."""
    path = junit(case(told(outcome(test="test_it.py::test_it"))) + case(flat(**FLAT)))
    assert read_junit(path) == {"test_it.py::test_it": [outcome(test="test_it.py::test_it")]}


def test_a_rerun_replaces_what_there_was(junit: Junit) -> None:
    broke, held = outcome(verdict=Verdict.broke), outcome()
    path = junit(case(told(broke, broke)) + case(told(broke), name="test_other") + case(told(held)))
    assert read_junit(path) == {"test_it::test_it": [held], "test_it::test_other": [broke]}


def test_a_rerun_replaces_properties(junit: Junit) -> None:
    two = {**FLAT, **{key.replace("_", "2.", 1): value for key, value in FLAT.items() if key.startswith("_")}}
    once = {**FLAT, "verdict": "held", "_verdict": "held"}
    path = junit(case(flat(**two)) + case(flat(**once)))
    assert [one.verdict for one in read_junit(path)["test_it::test_it"]] == [Verdict.held]


def test_a_damaged_attempt_before_the_last_does_not_matter(junit: Junit) -> None:
    path = junit(case(system_out("held         x\n[{")) + case(told(outcome())))
    assert read_junit(path) == {"test_it::test_it": [outcome()]}


def test_long_names_that_look_alike_are_not_taken_for_a_rerun(junit: Junit) -> None:
    broke, held = (
        told(outcome(verdict=verdict, test=f"test_it.py::{end}"))
        for verdict, end in ((Verdict.broke, "a"), (Verdict.held, "b"))
    )
    found = read_junit(junit(case(broke, name="x" * 600 + "a") + case(held, name="x" * 600 + "b")))
    assert found.keys() == {"test_it.py::a", "test_it.py::b"}


def test_suites_add_up(tmp_path: Path) -> None:
    path = tmp_path / "merged.xml"
    broke = outcome(verdict=Verdict.broke)
    inner = f"<testsuite>{case(told(broke))}</testsuite>"
    path.write_text(
        f"<testsuites><testsuite>{case(told(outcome()))}{inner}</testsuite><testsuite/></testsuites>",
        encoding="utf-8",
    )
    assert read_junit(path) == {"test_it::test_it": [outcome(), broke]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_single_suite_and_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "single.xml"
    suite = f"<testsuite>{case(told(outcome()), name='test_ü')}</testsuite>"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?>{suite}', encoding=encoding)
    assert read_junit(path) == {"test_it::test_ü": [outcome()]}


CAPTURED = f"{' Captured Out ':-^80}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '[{"verdict": "held", "result": {}}]',
        '{"verdict": "held"}\n',
        "held\n[{}]",
        "held back by us\n[{}]",
        "held         \n[{}]",
        "error: it burnt\n[1, 2",
        "test_it.py::test_it  'a rush'  (test_it.py:3)\n{}",
        CAPTURED + json.dumps([outcome("of somebody else").to_json()]) + "\n\n",
        CAPTURED + f"held         test_it.py::test_it  'a rush'\n{json.dumps([outcome().to_json()])}",
    ],
)
def test_what_somebody_else_has_written_is_not_ours(junit: Junit, text: str) -> None:
    assert read_junit(junit(case(system_out(text)))) == {}
    for children in ((system_out(text), told(outcome())), (told(outcome()), system_out(text))):
        assert read_junit(junit(case(*children))) == {"test_it::test_it": [outcome()]}


def test_a_dry_run_has_no_outcomes(junit: Junit) -> None:
    planned = properties_of({"chaos.plan": "dry run", "chaos.1.name": "a rush", "chaos.1.fault": "staged"})
    assert read_junit(junit(case(planned, system_out("test_it.py::test_it  'a rush'\n{}")))) == {}


def test_text_is_one_line_and_has_no_control_characters(junit: Junit) -> None:
    raw = {**outcome().to_json(), "name": "\x1b[31mred\nand\x07 \u202eblue", "test": "a\nb\x9b31m"}
    path = junit(case(system_out(f"held         x\n{json.dumps([raw])}")))
    ((test, (found,)),) = read_junit(path).items()
    assert (test, found.name) == ("a b", "red and blue")


VALID = outcome().to_json()


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("", "Invalid JSON: expected value at line 1 column 1"),
        (json.dumps([VALID])[:-20], "Invalid JSON: EOF while parsing"),
        ("[" * 100_000, "Invalid JSON: "),
        (f'[{{"overlap": 1{"0" * 5000}}}]', "Invalid JSON: "),
        ("{}", "Input should be a valid array"),
        ("[1]", "0: Input should be "),
        (json.dumps([VALID, {**VALID, "colour": "red"}]), "1.colour: unknown key"),
        (
            json.dumps([{**VALID, "result": {**VALID["result"], "\x1b[1ma\nb": 1}}]),
            "0.result.a b: unknown key",
        ),
        (json.dumps([{**VALID, "verdict": "splendid"}]), "0.verdict: Input should be 'held', "),
        (json.dumps([{**VALID, "overlap": 2}]), "0.overlap: Input should be less than or equal to 1"),
        (json.dumps([{**VALID, "overlap": float("nan")}]), "0.overlap: Input should be "),
        (
            json.dumps([{key: value for key, value in VALID.items() if key != "reason"}]),
            "0.reason: Field required",
        ),
    ],
    ids=range(12),
)
def test_a_damaged_document_is_an_error_that_names_file_and_test(
    junit: Junit, document: str, what: str
) -> None:
    path = junit(case(flat(**FLAT), system_out(f"held         test_it.py::test_it  'a rush'\n{document}\n")))
    with pytest.raises(ReportError) as caught:
        read_junit(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: test_it::test_it: its chaos cannot be read: {what}")
    assert message.endswith(DAMAGED)
    assert message.isprintable()


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ({"_name": None}, "0.name: "),
        ({"_success": "perhaps"}, "0.result.success: "),
        ({"_overlap": "much"}, "0.overlap: "),
        ({key: None for key in FLAT if key.startswith("_")}, "0.name: "),
    ],
)
def test_damaged_properties_are_an_error_too(junit: Junit, missing: dict[str, str | None], what: str) -> None:
    left = {key: value for key, value in {**FLAT, **missing}.items() if value is not None}
    path = junit(case(flat(**left)))
    with pytest.raises(ReportError) as caught:
        read_junit(path)
    assert str(caught.value).startswith(f"{path}: test_it::test_it: its chaos cannot be read: {what}")


LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10 if n else 'lol'}'>" for n in range(12))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "no XML: no element found"),
        (b"\0\1\2", "no XML: not well-formed"),
        (b"<testsuite><testcase>", "no XML: no element found"),
        (b"<testsuite>&secret;</testsuite>", "no XML: undefined entity"),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', "no XML: unknown encoding: klingon"),
        (
            b'<?xml version="1.0" encoding="big5"?><testsuite/>',
            "no XML: ",
        ),
        (b"<html/>", "no JUnit XML: it begins with <html>"),
        (b"<x:testsuite xmlns:x='a&#10;b'/>", "no JUnit XML: it begins with <{a b}testsuite>"),
        (
            f"<!DOCTYPE x [{LAUGHS}]><testsuite>&l11;</testsuite>".encode(),
            "no XML: it declares a document type",
        ),
        (
            b"<!DOCTYPE x [<!ENTITY s SYSTEM 'secret.txt'>]><testsuite>&s;</testsuite>",
            "no XML: it declares a document type",
        ),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE testsuite><testsuite/>'.encode("utf-16"),
            "no XML: it declares a document type",
        ),
    ],
    ids=range(11),
)
def test_what_is_no_junit_xml_is_an_error_that_names_the_file(tmp_path: Path, text: bytes, what: str) -> None:
    path = tmp_path / "results.xml"
    path.write_bytes(text)
    with pytest.raises(ReportError) as caught:
        read_junit(path)
    assert str(caught.value).startswith(f"{path}: {what}")
    assert str(caught.value).isprintable()


def test_what_cannot_be_opened_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"a b\.xml: cannot be read: No such file or directory$"):
        read_junit(tmp_path / "a\nb.xml")
    with pytest.raises(ReportError, match=r": cannot be read: Is a directory$"):
        read_junit(tmp_path)


def test_a_file_nested_without_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.xml"
    path.write_text(
        "<testsuite>" * 50_000 + case(told(outcome())) + "</testsuite>" * 50_000, encoding="utf-8"
    )
    assert read_junit(path) == {"test_it::test_it": [outcome()]}
