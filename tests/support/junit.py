"""Read JUnit XML the way a reader of ours would: properties, and the outcomes in ``<system-out>``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True)
class JunitCase:
    """One test case. ``outcome`` is ``passed``, ``failure``, ``error`` or ``skipped``."""

    name: str
    classname: str
    outcome: str
    message: str
    properties: dict[str, str]
    system_out: list[str]
    repeated: list[str] = field(default_factory=list)

    @property
    def chaos(self) -> list[dict[str, Any]]:
        """The outcomes in the one chaos ``<system-out>``: the JSON document behind what is for people."""
        found = [text for text in self.system_out if '"verdict"' in text]
        assert len(found) == 1, f"{len(found)} chaos system-outs in {self.name}: {self.system_out}"
        outcomes = json.loads(found[0].rstrip().rpartition("\n")[2])
        assert isinstance(outcomes, list)
        return outcomes


def read_junit(path: Path) -> dict[str, JunitCase]:
    """Return the test cases of ``path`` by name. Properties that stand there twice are listed in ``repeated``."""
    cases: dict[str, JunitCase] = {}
    for element in ET.parse(path).getroot().iter("testcase"):
        pairs = [
            (one.get("name", ""), one.get("value", "")) for one in element.iterfind("properties/property")
        ]
        keys = [key for key, _ in pairs]
        bad = next((child for child in element if child.tag in {"failure", "error", "skipped"}), None)
        name = element.get("name", "")
        assert name not in cases, f"{name} stands in {path} twice"
        cases[name] = JunitCase(
            name=name,
            classname=element.get("classname", ""),
            outcome="passed" if bad is None else bad.tag,
            message="" if bad is None else f"{bad.get('message', '')}\n{bad.text or ''}",
            properties=dict(pairs),
            system_out=[child.text or "" for child in element.iterfind("system-out")],
            repeated=sorted({key for key in keys if keys.count(key) > 1}),
        )
    return cases
