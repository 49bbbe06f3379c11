"""The command line: the JSON Schema, and the check of files without a test run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_chaos import FAULTS
from pytest_chaos.__main__ import main
from pytest_chaos.schema import json_schema

GOOD = """\
- name: rush
  trigger: {type: time}
  action: {type: generate_load, target: {service_url: {{URL}}/x}}
- trigger: {type: time}
  action: {type: generate_load, target: {service_url: "http://127.0.0.1/"}}
"""
BAD = """\
chaos_spec: |
  trigger: {type: time}
  action: {type: generate_load, target: {service_url: {{URL}}/x, qsp: 3, headers: {Cookie: [hunter2]}}}
"""
ALLOWED = "service_url, qps, duration, concurrency, timeout, method, headers, body, min_delivered"
BAD_LINES = [
    f"bad.yaml:3:66: action.target.qsp: unknown key; allowed: {ALLOWED}; did you mean 'qps'?",
    "bad.yaml:3:92: action.target.headers.Cookie: must be text (got ***)",
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a directory with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "broken.json").write_text('{"trigger": 1,}', encoding="utf-8")
    (tmp_path / "binary.yaml").write_bytes(b"\0\1\2")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    assert err == ""
    return status, out


@pytest.mark.parametrize(
    ("names", "status", "lines"),
    [
        (["good.yaml"], 0, ["good.yaml: 2 entries, valid"]),
        (["bad.yaml"], 1, sorted(BAD_LINES)),
        (["broken.json"], 1, ["broken.json:1:15: no JSON: a key in double quotes should stand here"]),
        (["binary.yaml"], 2, ["binary.yaml: this is binary; specs stand in a text file"]),
        (["none.yaml"], 2, ["none.yaml: there is no such file"]),
        (["."], 2, [".: this is a directory; specs stand in a text file"]),
        (
            ["good.yaml", "none.yaml", "bad.yaml"],
            2,
            sorted(["good.yaml: 2 entries, valid", "none.yaml: there is no such file", *BAD_LINES]),
        ),
        (["./good.yaml", "good.yaml"], 0, ["./good.yaml: 2 entries, valid", "good.yaml: 2 entries, valid"]),
    ],
    ids=["good", "bad", "broken", "binary", "missing", "directory", "mixed", "spelled as given"],
)
def test_validate_says_what_is_wrong_by_line_and_by_status(
    files: Path, capsys: pytest.CaptureFixture[str], names: list[str], status: int, lines: list[str]
) -> None:
    found, out = run(capsys, "validate", *names)
    assert (found, sorted(out.splitlines())) == (status, lines)


def test_validate_takes_an_absolute_path_and_one_entry(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "one.yml").write_text(GOOD.partition("- trigger")[0], encoding="utf-8")
    assert run(capsys, "validate", str(files / "one.yml")) == (0, f"{files / 'one.yml'}: 1 entry, valid\n")


def test_validate_prints_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "validate", "--json", "good.yaml", "bad.yaml", "broken.json", "none.yaml")
    assert status == 2
    said: dict[str, Any] = json.loads(out)
    assert said["schema_version"] == 1
    good, bad, broken, none = said["files"]
    assert good == {"file": "good.yaml", "status": "valid", "entries": 2, "errors": []}
    assert (bad["status"], bad["entries"], broken["status"], none["status"]) == (
        "invalid",
        1,
        "invalid",
        "unreadable",
    )
    for error, line in zip(sorted(bad["errors"], key=lambda error: error["column"]), BAD_LINES, strict=True):
        assert line == f"bad.yaml:{error['line']}:{error['column']}: {error['path']}: {error['message']}"
    assert broken["errors"] == [
        {"line": 1, "column": 15, "path": "", "message": "no JSON: a key in double quotes should stand here"}
    ]
    assert none["errors"] == [{"line": None, "column": None, "path": "", "message": "there is no such file"}]
    assert "hunter2" not in out


def test_validate_knows_faults_from_entry_points_only_by_their_registry(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "own.yaml").write_text("trigger: {type: time}\naction: {type: full_disk}\n", encoding="utf-8")
    assert run(capsys, "validate", "own.yaml") == (
        1,
        f"own.yaml:2:16: action: unknown fault type 'full_disk'; registered: {', '.join(FAULTS.keys())}\n",
    )


def test_validate_without_a_file_is_a_mistake_in_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["validate"])
    assert caught.value.code == 2
    assert "FILE" in capsys.readouterr().err


def test_validate_copes_with_a_terminal_that_cannot_print_everything(files: Path) -> None:
    (files / "ü.yaml").write_text("trigger: ü\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest_chaos", "validate", "ü.yaml"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith(rb"\xfc.yaml:1:10: trigger: must be a mapping with a `type`, not str")
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "kind"), [([], "entry"), (["--kind", "entry"], "entry"), (["--kind", "file"], "file")]
)
def test_schema_prints_the_json_schema(
    capsys: pytest.CaptureFixture[str], arguments: list[str], kind: Any
) -> None:
    status, out = run(capsys, "schema", *arguments)
    assert status == 0
    schema = json.loads(out)
    Draft202012Validator.check_schema(schema)
    assert schema == json_schema(kind)
    assert out.isascii()
