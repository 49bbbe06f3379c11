"""``python -m pytest_chaos validate``: check files of specs without a test run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from pytest_chaos.printing import say
from pytest_chaos.reading.position import SourceError, Unreadable, Where
from pytest_chaos.reading.tree import dotted
from pytest_chaos.schema import problems, validate_spec
from pytest_chaos.sources import read_file

SCHEMA_VERSION = 1
_EXIT = {"valid": 0, "invalid": 1, "unreadable": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: where, the path in the entry (empty for the file as such), and what."""

    where: Where
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.path}: {self.message}" if self.path else f"{self.where}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "line": self.where.line,
            "column": self.where.column,
            "path": self.path,
            "message": self.message + self.where.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of one file."""

    file: str
    entries: int
    status: Literal["valid", "invalid", "unreadable"]
    findings: tuple[Finding, ...] = ()


def validate(files: Sequence[str], *, as_json: bool = False) -> int:
    """Check files and print what is wrong; return 0 if all are valid, 1 if one is not, 2 if one cannot be read."""
    checked = [check_file(file) for file in files]
    if as_json:
        listed = [
            {
                "file": one.file,
                "status": one.status,
                "entries": one.entries,
                "errors": [finding.to_json() for finding in one.findings],
            }
            for one in checked
        ]
        lines = [json.dumps({"schema_version": SCHEMA_VERSION, "files": listed}, indent=2)]
    else:
        lines = [line for one in checked for line in _lines(one)]
    say("\n".join(lines))
    return max(_EXIT[one.status] for one in checked)


def check_file(file: str) -> Checked:
    """Return what is right or wrong with a file of specs."""
    try:
        entries = read_file(Path(file), shown=file)
    except SourceError as error:
        status: Literal["invalid", "unreadable"] = (
            "unreadable" if isinstance(error, Unreadable) else "invalid"
        )
        return Checked(
            file=file,
            entries=0,
            status=status,
            findings=(Finding(where=error.where, path="", message=error.message),),
        )
    findings = []
    for entry in entries:
        try:
            validate_spec(entry.data)
        except ValidationError as error:
            findings += [
                Finding(
                    where=problem.where(entry),
                    path=dotted(problem.path) or "spec",
                    message=problem.message,
                )
                for problem in problems(error, entry.data)
            ]
    return Checked(
        file=file, entries=len(entries), status="invalid" if findings else "valid", findings=tuple(findings)
    )


def _lines(checked: Checked) -> list[str]:
    if checked.findings:
        return [str(finding) for finding in checked.findings]
    return [f"{checked.file}: {checked.entries} {'entry' if checked.entries == 1 else 'entries'}, valid"]
