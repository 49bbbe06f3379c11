"""The page about triggers: its tests run as they stand there, and what it quotes is what is said."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.integration.test_docs import DOCS, ROOT, files, text

PAGE = "triggers.md"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project with the files of the page, and the shop and fixtures that it builds on."""
    shutil.copy(ROOT / "examples" / "shop.py", pytester.path)
    conftest = files("write-a-spec.md")["conftest.py"]
    for name, content in {"conftest.py": conftest, **files(PAGE)}.items():
        (pytester.path / name).write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(pytester.path)
    pytester.makeini("[pytest]\n")
    return pytester.path


def run(pytester: pytest.Pytester, name: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", name, timeout=120)


@pytest.mark.parametrize("name", files(PAGE))
def test_the_tests_of_the_page_run_as_pasted(project: Path, pytester: pytest.Pytester, name: str) -> None:
    result = run(pytester, name)
    result.assert_outcomes(passed=1)
    verdicts = re.findall(r"(?m)^(held|broke|inconclusive|error|not_judged) ", result.stdout.str())
    assert verdicts == ["held"] * (2 if name == "test_two_rushes.py" else 1)


def test_every_trigger_has_a_place_on_the_page() -> None:
    triggers = text("reference.md").partition("## Triggers")[2].partition("## Faults")[0]
    kinds = re.findall(r"(?m)^### `(\w+)`$", triggers)
    assert set(re.findall(r'(?m)^\| `\{"type": "(\w+)"', text(PAGE))) == set(kinds) > {"time", "log"}


def test_a_checkpoint_that_never_comes_is_told_in_the_words_of_the_page(
    project: Path, pytester: pytest.Pytester
) -> None:
    test = project / "test_half_way.py"
    written = test.read_text(encoding="utf-8")
    test.write_text(
        written.replace('checkpoint("cart is full")', 'checkpoint("the cart is full")'), encoding="utf-8"
    )
    result = run(pytester, test.name)
    result.assert_outcomes(failed=1)
    quoted = re.search(r"```text\n(the body passed.*?)```", text(PAGE), re.DOTALL)
    assert quoted is not None
    assert told(quoted[1]) in told(result.stdout.str())


def told(words: str) -> str:
    """Return text without its line breaks and its seconds."""
    return re.sub(r"\d+\.\d+ s", "some time", " ".join(words.split()))


def test_the_page_says_what_is_said_of_a_level_that_hides() -> None:
    from pytest_chaos.triggers.log_line import LogTrigger  # noqa: PLC0415 - of this test alone

    words = LogTrigger(pattern="a", logger="shop")._what()
    assert f"`{words} that were looked at: 0`" in text(PAGE)


def test_its_links_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", text(PAGE)):
        headings = re.findall(r"(?m)^#+ (.*)$", (DOCS / target).read_text(encoding="utf-8"))
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}
