"""Ten thousand marks of nonsense: each is a spec or a SpecError, never anything else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.errors import SpecError
from pytest_chaos.plugin.marks import SpecReader
from pytest_chaos.schema import validate_spec
from pytest_chaos.settings import Settings
from tests.support.inner import InnerPytest

VALID: dict[str, Any] = {
    "name": "rush",
    "trigger": {"type": "time", "delay_seconds": 0.5},
    "action": {"type": "generate_load", "target": {"service_url": "http://127.0.0.1:9/", "qps": 10}},
    "verify": "a check",
}
NONSENSE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**400,
    float("nan"),
    float("inf"),
    1e308,
    "",
    "\x00",
    "\udce9",
    "{{",
    "{{X}}",
    "\u202e\u2066",
    "A" * 100_000,
    b"bytes",
    b"\xff",
    (),
    [],
    [[[[]]]],
    {},
    {"type": []},
    {1: 2},
    {None: None},
    {"type": "time", "\ud800": 1},
    set(),
    object(),
    Path("nope.yaml"),
    "x.yaml#",
    "#.json",
    "../" * 50 + "etc/passwd.yaml",
)


def deep(levels: int) -> Any:
    """Return a mapping that is nested that often."""
    value: Any = 1
    for _ in range(levels):
        value = {"action": value}
    return value


def broken(chance: random.Random) -> Any:
    """Return something that somebody might put into a mark, mostly wrong somewhere."""
    if chance.random() < 0.2:
        return chance.choice([*NONSENSE, deep(50), deep(3_000)])
    entry: Any = {key: dict(value) if isinstance(value, dict) else value for key, value in VALID.items()}
    entry["action"]["target"] = dict(VALID["action"]["target"])
    for _ in range(chance.randint(1, 3)):
        node = chance.choice([entry, entry["trigger"], entry["action"], entry["action"].get("target")])
        if not isinstance(node, dict):
            continue
        key = chance.choice([*node, "unknown", "typ", ""])
        if chance.random() < 0.3:
            node.pop(key, None)
        else:
            node[key] = chance.choice(NONSENSE)
        if not all(isinstance(entry.get(part), dict) for part in ("trigger", "action")):
            break
    return entry


def test_whatever_stands_in_a_mark_it_is_a_spec_or_an_error_in_words(tmp_path: Path) -> None:
    chance = random.Random(20_261_123)
    reader = SpecReader(Settings(), root=tmp_path)
    refused = problems = 0
    for _ in range(10_000):
        entry = broken(chance)
        keywords = chance.choice([{}, {}, {"wait": chance.choice(["active", "none", *NONSENSE])}, {"x": 1}])
        mark = pytest.mark.chaos(entry, **keywords).mark
        try:
            marked = reader.marks([mark], place="test.py:1", base=tmp_path)
        except SpecError as error:
            refused += 1
            problems += not 0 < len(str(error)) < 20_000
        else:
            problems += not marked.specs or any(validate_spec(spec) != spec for spec in marked.specs)
    assert problems == 0
    assert 5_000 < refused < 10_000


def test_hundreds_of_bad_marks_are_collection_errors_and_nothing_runs(inner: InnerPytest) -> None:
    run = inner(
        """
import random
import pytest
from pytest_chaos.errors import SpecError
from pytest_chaos.plugin.marks import SpecReader
from pytest_chaos.settings import Settings
from tests.unit.test_marks_fuzzed import broken, reads

chance = random.Random(7)
BAD = [entry for entry in (broken(chance) for _ in range(400)) if not reads(entry)]

@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.chaos(entry)) for n, entry in enumerate(BAD)])
def test_it(n):
    raise SystemError("a test with a bad mark ran")

def test_how_many():
    assert len(BAD) > 200
""",
        "--continue-on-collection-errors",
        "-q",
    )
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert run.words == {"test_how_many": "passed"}
    assert run.stdout.count("bad chaos mark on") > 200


def reads(entry: Any) -> bool:
    """Tell whether ``entry`` can be read as specs."""
    try:
        SpecReader(Settings(), root=Path()).marks(
            [pytest.mark.chaos(entry).mark], place="test.py:1", base=Path()
        )
    except SpecError:
        return False
    return True
