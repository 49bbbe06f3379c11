"""Run the suites of pytest and pytest-xdist with this plugin installed and without it, and compare every single test.

``python tools/neighbours.py [NAME...]`` takes the source distributions from the package index. It takes some ten minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).parents[1]
# Where each suite's own tests lie, and the extra that holds what they need.
NEIGHBOURS: Final = {"pytest": ("testing", "dev"), "pytest-xdist": ("testing", "testing")}


def main() -> int:
    """Return 0 if no test of a neighbour ends in another way because this plugin is there."""
    asked = sys.argv[1:] or list(NEIGHBOURS)
    changed = 0
    with tempfile.TemporaryDirectory(prefix="neighbours-") as scratch:
        for name in asked:
            changed += compare(name, Path(scratch, name))
    return 1 if changed else 0


def compare(name: str, folder: Path) -> int:
    """Run the suite of ``name`` without and with the plugin; print what differs, and return how much that is."""
    tests, extra = NEIGHBOURS[name]
    folder.mkdir()
    source = unpack(f"{name}=={version(name)}", folder)
    python = folder / "env" / "bin" / "python"
    venv.create(folder / "env", with_pip=True)
    install(python, f"{source}[{extra}]", "pytest-xdist")
    without = run(python, source / tests, folder / "without.xml")
    install(python, str(ROOT))
    with_plugin = run(python, source / tests, folder / "with.xml")
    differing = sorted(
        test for test in without.keys() | with_plugin.keys() if without.get(test) != with_plugin.get(test)
    )
    # A test that is not the same twice without us tells nothing about us.
    again = (
        run(python, source / tests, folder / "again.xml", *differing_files(differing, source / tests))
        if differing
        else {}
    )
    differing = [test for test in differing if again.get(test) != without.get(test)]
    print(f"{name} {version(name)}: {len(without)} tests, {len(differing)} end in another way")
    for test in differing:
        print(f"  {test}: {without.get(test, 'not run')} -> {with_plugin.get(test, 'not run')}")
    return len(differing)


def differing_files(tests: list[str], folder: Path) -> list[str]:
    """Return the files of the tests that are named, for a second look."""
    names = {part for test in tests for part in test.partition("::")[0].split(".")}
    return [str(path) for path in sorted(folder.rglob("test_*.py")) if path.stem in names]


def unpack(requirement: str, folder: Path) -> Path:
    """Fetch a source distribution and return the folder that was in it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--dest", folder, requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


def install(python: Path, *what: str) -> None:
    """Install into the environment of one neighbour."""
    subprocess.run([python, "-m", "pip", "install", "--quiet", *what], check=True)


def run(python: Path, tests: Path, result: Path, *files: str) -> dict[str, str]:
    """Run a suite and return how each of its tests ended."""
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "-o",
        "junit_family=xunit1",
    ]
    command += [f"--junitxml={result}", *(files or [str(tests)])]
    subprocess.run(command, cwd=tests.parent, check=False, capture_output=True)
    ended = {}
    for case in ET.parse(result).getroot().iter("testcase"):  # noqa: S314 - written by the run above
        words = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        ended[f"{case.get('classname')}::{case.get('name')}"] = words[0] if words else "passed"
    return ended


if __name__ == "__main__":
    sys.exit(main())
