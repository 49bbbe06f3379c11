"""Outcomes in JUnit XML: flat string properties, and one ``<system-out>`` that is valid by the published schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_chaos.engine.plan import lines
from pytest_chaos.outcome import ChaosOutcome, worst
from pytest_chaos.plugin import text
from pytest_chaos.plugin.explain import MAX_COLUMNS, command, explain
from pytest_chaos.plugin.planning import TestPlan

_FIGURES = ("asked_qps", "delivered_qps", "requests", "errors", "p99_s")


def write(
    config: pytest.Config, report: pytest.TestReport, outcomes: Sequence[ChaosOutcome], kinds: Sequence[str]
) -> None:
    """Add ``outcomes`` to the test case of ``report``, its last report. Does nothing without ``--junitxml``."""

    def told() -> str:
        again = command(config, report.nodeid)
        return system_out(
            report.nodeid, outcomes, explain(outcomes, again=again, blocks=True, columns=MAX_COLUMNS)
        )

    _add(config, report, kinds, properties(outcomes), told)


def write_plan(
    config: pytest.Config, report: pytest.TestReport, plan: TestPlan | None, kinds: Sequence[str]
) -> None:
    """Add what a dry run planned to the test case of ``report``."""
    if plan is None:
        return
    flat: list[tuple[str, str]] = [("chaos.plan", "decided in the body" if plan.by_hand else "dry run")]
    for number, one in enumerate(plan.disruptions, 1):
        flat += [
            (f"chaos.{number}.name", one.name),
            (f"chaos.{number}.fault", one.fault),
            (f"chaos.{number}.summary", one.summary),
        ]
    told = [line for one in plan.disruptions for line in lines(one)]
    _add(config, report, kinds, flat, lambda: "\n".join([*told, plan.model_dump_json()]) + "\n")


def _add(
    config: pytest.Config,
    report: pytest.TestReport,
    kinds: Sequence[str],
    flat: Iterable[tuple[str, str]],
    told: Callable[[], str],
) -> None:
    if "properties" in kinds:
        report.user_properties = [*report.user_properties, *flat]
    xml = _writer(config)
    if xml is not None and "system-out" in kinds:
        element = ET.Element("system-out")
        element.text = told()
        xml.node_reporter(report).append(element)


def properties(outcomes: Sequence[ChaosOutcome]) -> Iterator[tuple[str, str]]:
    """Yield the flat properties of one test; disruptions are numbered from 1."""
    yield "chaos.verdict", worst([one.verdict for one in outcomes]).value
    for number, one in enumerate(outcomes, 1):
        values = {
            "name": one.name,
            "fault": one.result.injected_fault,
            "verdict": one.verdict.value,
            "reason": one.reason,
            "overlap": round(one.overlap, 6),
            "success": one.result.success,
            "error": one.result.error or "",
            "elapsed_s": round(one.result.elapsed_time, 6),
            **{key: one.result.details[key] for key in _FIGURES if one.result.details.get(key) is not None},
        }
        for key, value in values.items():
            yield f"chaos.{number}.{key}", str(value)


def system_out(test: str, outcomes: Sequence[ChaosOutcome], told: str = "") -> str:
    """Return a line with the verdicts, what there is to say for people, then the outcomes as one JSON document."""
    line = "; ".join(text.summary_line(test, one) for one in outcomes).replace("\n", " ")
    document = json.dumps([one.to_json() for one in outcomes], ensure_ascii=True)
    return "".join(f"{part}\n" for part in (line, told, document) if part)


def _writer(config: pytest.Config) -> Any:
    """Return pytest's JUnit writer, if it writes. Its key is private; without it there is no system-out."""
    try:
        from _pytest.junitxml import xml_key
    except ImportError:  # pragma: no cover - a pytest that has moved it
        return None
    return config.stash.get(xml_key, None)
