"""The how-to pages are projects: their files are written as they stand there, and run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_chaos.__main__ import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# A block whose first line is a comment with a path is the file of that name.
FILE = re.compile(r"```(?:python|yaml)\n# (?P<name>\S+\.(?:py|yaml))\n(?P<text>.*?)```", re.DOTALL)


def files(page: str) -> dict[str, str]:
    """Return the files that a page shows."""
    return {found["name"]: found["text"] for found in FILE.finditer(text(page))}


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project that has all the files of the pages, and the shop of the examples."""
    shutil.copy(ROOT / "examples" / "shop.py", pytester.path)
    for name, content in {**files("write-a-spec.md"), **files("specs-in-files.md")}.items():
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(pytester.path)
    pytester.makeini("[pytest]\n")
    return pytester.path


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("test_smallest.py", 1),
        ("test_rush.py", 1),
        ("test_middle.py", 1),
        ("test_recovery.py", 1),
        ("test_shop.py", 3),
        ("test_each.py", 2),
    ],
)
def test_the_tests_of_a_page_run_as_pasted(
    project: Path, pytester: pytest.Pytester, name: str, tests: int
) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-v", name, timeout=120)
    result.assert_outcomes(passed=tests)
    held = len(re.findall(r"(?m)^held ", result.stdout.str()))
    assert held == tests + (name == "test_shop.py")  # one of its tests runs two disruptions
    if name == "test_each.py":
        result.stdout.fnmatch_lines(["*test_each.py::test_checkout_survives[[]lunch rush[]] PASSED*"])


def test_validate_says_what_the_page_says(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(
        r"```console\n\$ python -m pytest_chaos validate [^\n]*\n(?P<said>.*?)```",
        text("specs-in-files.md"),
        re.DOTALL,
    )
    assert block is not None
    names = ["chaos.yaml", *sorted(str(path) for path in Path("tasks").iterdir())]
    assert main(["validate", *names]) == 0
    assert capsys.readouterr().out == block["said"]


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run: python tools/generate.py"


def test_the_reference_names_every_field() -> None:
    page = text("reference.md")
    for key in (
        "name",
        "verify",
        "verify_phases",
        "recover_within",
        "verify_every",
        "delay_seconds",
        "service_url",
        "qps",
        "duration",
        "headers",
        "min_delivered",
        "bursts",
    ):
        assert f"| `{key}` |" in page


@pytest.mark.parametrize("page", ["write-a-spec.md", "specs-in-files.md", "reference.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page)):
        assert (DOCS / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]+)#([^)]*)\)", text(page)):
        headings = re.findall(r"(?m)^#+ (.*)$", text(target))
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
