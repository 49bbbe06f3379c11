"""Outcomes for those who read them: from a JUnit XML file, or from a report of pytest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, Final, NoReturn
from xml.etree import ElementTree as ET

from pydantic import TypeAdapter, ValidationError

from pytest_chaos.errors import ReportError
from pytest_chaos.outcome import ChaosOutcome, Verdict
from pytest_chaos.scrub import clean

_OUTCOMES: Final = TypeAdapter(list[ChaosOutcome])
_NUMBERED: Final = re.compile(r"chaos\.([1-9]\d{0,5})\.(\w+)")
# Ours begins with a verdict in a column of twelve; what pytest has captured begins with a heading.
_OURS: Final = re.compile("|".join(rf"{verdict:<12} \S" for verdict in Verdict))


def outcomes(report: object) -> list[ChaosOutcome]:
    """Return the outcomes that a report of pytest carries; none if it carries none.

    They stand on the report of the call, or on that of setup if the test never got there. If clean-up fails
    later, a corrected list stands on the report of teardown: the last list of a test counts.

    Raises:
        ReportError: what stands there is no list of outcomes.
    """
    try:
        return _OUTCOMES.validate_python(getattr(report, "chaos", None) or [])
    except ValidationError as error:
        raise _error("the report", str(getattr(report, "nodeid", "")), _said(error)) from None


def read_junit(path: str | PathLike[str]) -> dict[str, list[ChaosOutcome]]:
    """Return the outcomes in a JUnit XML file that pytest wrote, by test; tests without chaos are left out.

    A test is named by its node id; where the outcomes do not tell it, by ``classname::name``. If a test case stands
    in a suite more than once, as reruns do, the last outcomes count; those of several suites add up. Where the file
    has flat properties only (``chaos_junit = properties``), an outcome holds what they tell: name, verdict, reason and
    overlap, and of the result ``success``, ``error``, ``elapsed_time`` and the figures of a load.

    Raises:
        ReportError: it cannot be read, is no JUnit XML, declares a document type, or its chaos is damaged or of
            another version. The message names the file and the test.
    """
    tests: dict[str, list[ChaosOutcome]] = {}
    file = fspath(path)
    for suite in _root(file).iter("testsuite"):
        for name, case in _cases(suite).items():
            try:
                found = case.outcomes()
            except ValidationError as error:
                raise _error(file, name, _said(error)) from None
            for one in found:
                tests.setdefault(one.test or _line(name), []).append(one)
    return tests


@dataclass(slots=True)
class _Case:
    """What the test cases of one name hold. With a failure and an error, pytest writes two for one test."""

    document: str | None = None
    flat: dict[str, str] = field(default_factory=dict)

    def add(self, case: ET.Element) -> None:
        """Take what is ours in a test case; it replaces what an earlier one had."""
        flat = {one.get("name", ""): one.get("value", "") for one in case.iterfind("properties/property")}
        if "chaos.verdict" in flat:  # a dry run has chaos.plan instead
            self.flat = flat
        for one in case.iterfind("system-out"):
            told = (one.text or "").strip()
            if _OURS.match(told):
                self.document = told.rpartition("\n")[2]

    def outcomes(self) -> list[ChaosOutcome]:
        """Return what they tell. Raises ``ValidationError``."""
        if self.document is not None:
            return _OUTCOMES.validate_json(self.document)
        return _OUTCOMES.validate_python(_rebuilt(self.flat)) if self.flat else []


def _root(file: str) -> ET.Element:
    try:
        root = ET.parse(file, ET.XMLParser(target=_Builder())).getroot()  # noqa: S314 - no document type, no entities
    except OSError as error:
        raise _error(file, "", f"cannot be read: {error.strerror or error}") from None
    except (ET.ParseError, LookupError, ValueError) as error:  # the last two: an encoding that nobody knows
        raise _error(file, "", f"no XML: {error}") from None
    if root.tag not in {"testsuites", "testsuite"}:
        raise _error(file, "", f"no JUnit XML: it begins with <{root.tag}>")
    return root


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002 - the parser's call
        """Refuse it before an entity can be declared: JUnit XML has none."""
        raise ValueError("it declares a document type, which JUnit has not")


def _cases(suite: ET.Element) -> dict[str, _Case]:
    cases: dict[str, _Case] = {}
    for case in suite.iterfind("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        cases.setdefault(name, _Case()).add(case)
    return cases


def _rebuilt(flat: dict[str, str]) -> list[dict[str, Any]]:
    numbered: dict[int, dict[str, str]] = {1: {}}  # if there is none at all, the first is what is missed
    for key, value in flat.items():
        if found := _NUMBERED.fullmatch(key):
            numbered.setdefault(int(found[1]), {})[found[2]] = value
    return [_one(numbered[number]) for number in sorted(numbered)]


def _one(told: dict[str, str]) -> dict[str, Any]:
    outcome: dict[str, Any] = {key: told.pop(key, None) for key in ("name", "verdict", "reason", "overlap")}
    result = {
        "injected_fault": told.pop("fault", None),
        "success": told.pop("success", None),
        "error": told.pop("error", "") or None,
        "elapsed_time": told.pop("elapsed_s", None),
    }
    figures = {key: number for key, text in told.items() if (number := _number(text)) is not None}
    return {**outcome, "result": {**result, "details": figures}}


def _number(text: str) -> float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _line(text: str) -> str:
    return " ".join(clean(text, 500).split())


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    path = ".".join(map(str, first["loc"]))
    return (
        f"its chaos cannot be read: {path and f'{path}: '}{what}; "
        "it was written by another version of pytest-chaos, or damaged since"
    )


def _error(file: str, test: str, what: str) -> ReportError:
    return ReportError(": ".join(_line(part) for part in (file, test, what) if part))
