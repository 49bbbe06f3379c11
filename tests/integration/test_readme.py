"""What the README shows is run, and what it says of options is held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_chaos.plugin.options import OPTIONS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(containing: str) -> str:
    """Return the one Python block of the README that holds ``containing``."""
    (found,) = [one for one in BLOCKS if containing in one]
    return str(found)


def test_the_quick_start_runs_as_pasted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_quick=block("class Service"))
    result = pytester.runpytest("-p", "no:cacheprovider", "test_quick.py")
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [r"held +test_quick.py::test_answers_in_a_rush +'a rush' .* 100 -> .* overlap 100%"]
    )


def test_the_fault_in_one_file_runs_as_pasted(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(block("FullDisk(Fault)"))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.chaos({"trigger": {"type": "time"}, "action": {"type": "full_disk", "megabytes": 5}})
        def test_it():
            pass
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"held .*full_disk"])


def test_every_option_stands_in_the_table_with_all_its_names() -> None:
    rows = [line for line in README.splitlines() if line.startswith("|")]
    for option in OPTIONS:
        (row,) = [line for line in rows if f"`{option.variable}`" in line]
        assert not option.cli or option.switch in row
        assert not option.ini or f"`{option.dest}`" in row


def test_the_table_names_no_option_that_does_not_exist() -> None:
    known = {option.variable for option in OPTIONS}
    named = set(re.findall(r"`(PYTEST_CHAOS_[A-Z_]+)`", README))
    assert named <= known
