"""What an installed plugin costs a suite without chaos: nothing heavy is imported. Each check runs in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "pydantic",
    "pydantic_core",
    "yaml",
    "google.genai",
    "google",
    "asyncio",
    "pytest_chaos.plugin.lifecycle",
)
# Looks at the very end of a run, when everything of ours has had its turn; in the workers of xdist as well.
SPY = f"""
import sys

def pytest_unconfigure(config):
    heavy = [name for name in {HEAVY} if name in sys.modules]
    with open("seen.txt", "a") as file:
        print("process", *heavy, file=file)
"""
PEACEFUL = "def test_it(tmp_path, capsys): assert tmp_path\n"
CHAOS = """
import pytest
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault

@FAULTS.register("instant")
class Instant(Fault):
    type: Literal["instant"] = "instant"
    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        ctx.stop.wait()
        return ChaosResult(success=True, injected_fault="instant")

@pytest.mark.chaos({"trigger": {"type": "time"}, "action": {"type": "instant"}})
def test_it(): pass
"""


def fresh(*arguments: str, cwd: Path) -> str:
    """Return what a fresh interpreter prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_importing_the_package_brings_nothing(tmp_path: Path) -> None:
    code = f"import sys; before = set(sys.modules); import pytest_chaos; print(*[m for m in {HEAVY} if m in sys.modules])"
    assert fresh("-c", code, cwd=tmp_path).split() == []


def test_importing_the_plugin_brings_nothing_that_pytest_does_not(tmp_path: Path) -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_chaos.plugin\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    assert set(fresh("-c", code, cwd=tmp_path).split()) <= {"pytest_chaos", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--junitxml=out.xml", "--chaos-disable", "--chaos-var=A=1"],
        ["-p", "xdist", "-n2"],
    ],
    ids=" ".join,
)
def test_a_run_without_chaos_brings_nothing(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "test_inner.py").write_text(PEACEFUL, encoding="utf-8")
    expected = seen(tmp_path, *(option for option in options if "chaos" not in option), plugin=False)
    assert seen(tmp_path, *options) == expected
    assert len(expected) == (3 if "-n2" in options else 1)


def test_the_spy_sees_what_chaos_brings(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(CHAOS, encoding="utf-8")
    (modules,) = seen(tmp_path)
    assert {"pydantic", "pytest_chaos.plugin.lifecycle"} <= set(modules)
    assert not {"google", "google.genai"} & set(modules)


def seen(path: Path, *options: str, plugin: bool = True) -> list[list[str]]:
    """Return for each process of a run which heavy modules were there at its end, with or without the plugin."""
    (path / "conftest.py").write_text(SPY, encoding="utf-8")
    (path / "seen.txt").unlink(missing_ok=True)
    fresh("-m", "pytest", "-q", *(["-p", "chaos"] if plugin else []), *options, cwd=path)
    lines = (path / "seen.txt").read_text(encoding="utf-8").splitlines()
    return sorted(line.split()[1:] for line in lines)
