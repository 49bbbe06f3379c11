"""Run the suites of pytest and pytest-xdist with this plugin installed and without it, and compare every single test.

``python tools/neighbours.py [NAME...]`` takes the source distributions from the package index. It takes some ten minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).parents[1]
LOOKS: Final = 3
"""How often the files are run whose tests do not end alike: some tests do not end twice alike without us, either."""
NEIGHBOURS: Final = {"pytest": ("testing", "dev"), "pytest-xdist": ("testing", "testing")}
"""Where each suite's own tests lie, and the extra that holds what they need."""


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
    without: dict[str, str] = {}
    with_plugin: dict[str, str] = {}
    files = [str(source / tests)]
    for _ in range(LOOKS):
        without |= run(python, source, folder / "without.xml", files)
        install(python, str(ROOT))
        with_plugin |= run(python, source, folder / "with.xml", files)
        uninstall(python)
        differing = sorted({test for test, _ in without.items() ^ with_plugin.items()})
        if not differing:
            break
        files = files_of(differing, source / tests)
    ended = ", ".join(f"{count} {word}" for word, count in Counter(without.values()).most_common())
    print(f"{name} {version(name)}: {ended}; with the plugin {len(differing)} end in another way", flush=True)
    for test in differing:
        print(f"  {test}: {without.get(test, 'not run')} -> {with_plugin.get(test, 'not run')}")
    return len(differing)


def files_of(tests: list[str], folder: Path) -> list[str]:
    """Return the files of the tests that are named, for a second look."""
    names = {part for test in tests for part in test.partition("::")[0].split(".")}
    return [str(path) for path in sorted(folder.rglob("*.py")) if path.stem in names]


def unpack(requirement: str, folder: Path) -> Path:
    """Fetch a source distribution and return the folder that was in it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--dest", folder, requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        packed.extractall(folder)  # noqa: S202 - filtered where Python can, and by its authors
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


def install(python: Path, *what: str) -> None:
    """Install into the environment of one neighbour."""
    subprocess.run([python, "-m", "pip", "install", "--quiet", *what], check=True)


def uninstall(python: Path) -> None:
    """Remove the plugin from the environment of one neighbour."""
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "pytest-chaos"], check=True)


def run(python: Path, source: Path, result: Path, files: list[str]) -> dict[str, str]:
    """Run some files of a suite and return how each of their tests ended."""
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
    command += [f"--junitxml={result}", *files]
    # Whoever has plugins switched off would compare nothing with nothing.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    subprocess.run(command, cwd=source, env=env, check=False, capture_output=True)
    ended = {}
    for case in ET.parse(result).getroot().iter("testcase"):  # noqa: S314 - written by the run above
        words = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        ended[f"{case.get('classname')}::{case.get('name')}"] = words[0] if words else "passed"
    return ended


if __name__ == "__main__":
    sys.exit(main())
