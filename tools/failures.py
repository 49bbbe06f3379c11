"""Run the failing tests of docs/when-a-test-fails.md and put what they say into the page.

``python tools/failures.py`` runs all of them; names of test files, without ``.py``, choose some.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "when-a-test-fails.md"
_BLOCK: Final = re.compile(r"^```(?P<kind>python|console|text)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE: Final = re.compile(r"# (\S+\.py)\n")
_HEADING: Final = re.compile(r"^### (.+)$", re.MULTILINE)
_SECTION: Final = re.compile(r"^-+ chaos -+\n(.*?)^(?:=+ |-+ )", re.DOTALL | re.MULTILINE)
_INI: Final = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"


@dataclass(frozen=True, slots=True)
class Situation:
    """A failing test of the page: its heading, what is typed, what the page says comes of it, and where that stands."""

    heading: str
    commands: str
    told: str
    place: tuple[int, int]


def files(page: str) -> dict[str, str]:
    """Return the files that the page shows."""
    found = {}
    for block in _BLOCK.finditer(page):
        if block["kind"] == "python" and (name := _FILE.match(block["text"])):
            found[name[1]] = block["text"]
    return found


def situations(page: str) -> Iterator[Situation]:
    """Yield the failing tests; without a block of commands, pytest runs the file that stands before the text."""
    commands = ""
    for block in _BLOCK.finditer(page):
        if block["kind"] == "python" and (name := _FILE.match(block["text"])):
            commands = f"pytest {name[1]}"
        elif block["kind"] == "console":
            commands = re.sub(r"^\$ ", "", block["text"], flags=re.MULTILINE)
        elif block["kind"] == "text":
            heading = _HEADING.findall(page, 0, block.start())[-1]
            yield Situation(heading, commands, block["text"], block.span("text"))


def run(situation: Situation, project: Path) -> str:
    """Return what the section ``chaos`` of the failure says, in a project that has all the files of the page."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    for name in ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS"):
        clean.pop(name, None)
    done = subprocess.run(  # noqa: S602 - the commands of the page, as they would be typed
        situation.commands,
        shell=True,
        cwd=project,
        env={
            **clean,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            "COLUMNS": "100",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = _SECTION.search(done.stdout)
    if found is None:
        raise AssertionError(f"{situation.heading}: no section of chaos:\n{done.stdout}{done.stderr}")
    return found[1].replace(str(project), "/project")


def write_project(page: str, project: Path) -> None:
    """Write the files that the page shows."""
    for name, text in {**files(page), "pytest.ini": _INI}.items():
        (project / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the tests of the page and write what they say into it."""
    chosen = sys.argv[1:] if arguments is None else arguments
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        write_project(page, Path(folder))
        for situation in reversed(
            list(situations(page))
        ):  # from the end, so that the places before stay right
            if not chosen or any(f"{name}.py" in situation.commands for name in chosen):
                start, end = situation.place
                page = page[:start] + run(situation, Path(folder)) + page[end:]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
