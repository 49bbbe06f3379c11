"""Run pytest the way a user does, in a process of its own, and bring back what was recorded there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from benchmarks.recorder import RECORD

ROOT: Final = Path(__file__).resolve().parents[1]
SUITES: Final = Path(__file__).resolve().parent / "suites"
LIMIT_S: Final = 300.0


class MeasuringFailed(Exception):
    """What was to be measured did not run as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What one session recorded: the seconds of collection, and each test in the order of running."""

    collection_s: float
    tests: list[Mapping[str, Any]]

    def of(self, *, chaos: bool) -> list[Mapping[str, Any]]:
        """Return the tests with, or those without, chaos."""
        return [test for test in self.tests if bool(test["outcomes"]) is chaos]

    def outcomes(self) -> list[Mapping[str, Any]]:
        """Return all outcomes.

        Raises:
            MeasuringFailed: one did not hold, so its figures say nothing, or there are none.
        """
        found = [outcome for test in self.tests for outcome in test["outcomes"]]
        bad = [outcome for outcome in found if outcome["verdict"] != "held"]
        if bad or not found:
            raise MeasuringFailed(
                f"{len(bad)} of {len(found)} disruptions did not hold: {bad[0]['reason'] if bad else 'there are none'}"
            )
        return found


def arguments(folder: Path) -> list[str]:
    """Return arguments of pytest that keep ini files, other conftests and other plugins out of a session."""
    others = sorted({point.name for point in entry_points(group="pytest11")} - {"chaos"})
    return [
        *("-q", "-c", os.devnull, "--rootdir", str(folder), "--confcutdir", str(folder)),
        *("-p", "no:cacheprovider"),
        *(word for name in others for word in ("-p", f"no:{name}")),
    ]


def temporary(scratch: Path) -> Path:
    """Return the directory for the temporary files of all sessions, and nobody else's."""
    found = scratch / "temporary"
    found.mkdir(exist_ok=True)
    return found


def environment(scratch: Path, **more: str) -> dict[str, str]:
    """Return the environment without what steers Python or pytest, and with places for byte code and temporary files.

    An installed plugin has its byte code beside it; without, each process would compile it anew.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PY")}
    places = dict.fromkeys(("TMPDIR", "XDG_RUNTIME_DIR"), str(temporary(scratch)))
    return {**kept, **places, "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"), **more}


def session(scratch: Path, suite: str, *more: str, **variables: str) -> Recorded:
    """Run ``suites/SUITE.py``, with ``more`` arguments, ``variables`` in its environment.

    Raises:
        MeasuringFailed: a test failed, or the session did not end in time.
    """
    record = scratch / "record.json"
    record.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "benchmarks.recorder"),
                *(*arguments(SUITES), *more, str(SUITES / f"{suite}.py")),
            ],
            cwd=ROOT,
            env=environment(scratch, **variables, **{RECORD: str(record)}),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasuringFailed(f"{suite}: pytest was still running after {LIMIT_S:g} s") from None
    if done.returncode != 0 or not record.exists():
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise MeasuringFailed(f"{suite}: pytest ended with {done.returncode}:\n{last}")
    return Recorded(**json.loads(record.read_text()))
