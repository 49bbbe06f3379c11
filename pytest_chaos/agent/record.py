"""Record what a model decided, and replay it without the model: one small JSON file for each disruption."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pytest_chaos.agent.loop import LoopReport
from pytest_chaos.agent.protocol import Tool
from pytest_chaos.errors import ModelError

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """What a recorded plan depends on, each part as a hash: if one changes, the plan is stale."""

    spec: str
    prompt: str
    model: str
    tools: str

    @classmethod
    def of(cls, *, spec: Mapping[str, Any], prompt: str, model: str, tools: Sequence[Tool]) -> PlanKey:
        """Hash the unfilled spec, the prompt, the model and the schemas of the tools."""
        schemas = [
            [tool.name, tool.description, tool.max_calls, tool.args.model_json_schema()] for tool in tools
        ]
        return cls(spec=_hash(spec), prompt=_hash(prompt), model=model, tools=_hash(schemas))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """Where the plan of one disruption stands, and what it must fit."""

    directory: Path
    test: str
    ordinal: int
    key: PlanKey

    @property
    def path(self) -> Path:
        """The file: readable, and different for each disruption of each test."""
        identity = f"{self.test}#{self.ordinal}"
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.test).strip("-")[-60:]
        return self.directory / f"{readable}-{self.ordinal}-{_hash(identity)[:8]}.json"

    def write(self, report: LoopReport) -> None:
        """Keep the accepted calls of ``report`` and the numbers that came back.

        Raises:
            ModelError: the file cannot be written.
        """
        calls = [
            {"tool": call["tool"], "args": call["args"], "output": call["output"]}
            for call in report.calls
            if call.get("accepted")
        ]
        document = {
            "schema_version": SCHEMA_VERSION,
            "test": self.test,
            "key": asdict(self.key),
            "calls": calls,
        }
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise ModelError(f"the plan cannot be recorded in {self.directory}: {error}") from None

    def read(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the recorded calls.

        Raises:
            ModelError: there is no such file, or it was recorded for something else; says how to record it.
        """
        again = (
            f"record it again: pytest --chaos-agent record --chaos-plan-dir {self.directory} {self.test!r}"
        )
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(f"no plan was recorded for this disruption ({self.path}); {again}") from None
        except (OSError, ValueError) as error:
            raise ModelError(f"the plan {self.path} cannot be read: {error}; {again}") from None
        try:
            version, recorded, calls = document["schema_version"], document["key"], document["calls"]
            wanted: list[tuple[str, Mapping[str, Any]]] = [
                (str(call["tool"]), dict(call["args"])) for call in calls
            ]
            changed = [part for part, value in asdict(self.key).items() if recorded[part] != value]
        except (KeyError, TypeError, ValueError):
            raise ModelError(f"{self.path} is no recorded plan; {again}") from None
        if version != SCHEMA_VERSION:
            raise ModelError(
                f"the plan {self.path} has schema_version {version}, not {SCHEMA_VERSION}; {again}"
            )
        if changed:
            raise ModelError(f"the plan {self.path} is stale: {', '.join(changed)} changed; {again}")
        return wanted


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
