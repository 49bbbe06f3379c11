"""Patterns: a bad one is found when the spec is read, a slow one is given up."""

from __future__ import annotations

import string
import time
from random import Random

import pytest
from pydantic import TypeAdapter, ValidationError

from pytest_chaos.errors import FaultFailed
from pytest_chaos.triggers._pattern import MAX_BYTES, Pattern, Search

ADAPTER: TypeAdapter[str] = TypeAdapter(Pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("paid (", "missing ) at position 6"),
        ("[a", "unterminated character set at position 2"),
        ("a**", "multiple repeat at position 2"),
        ("(?z)", "unknown extension at position 2"),
        ("\\", "bad escape"),
        (r"\1", "invalid group reference"),
        (r"\L<words>", "undefined named list"),
        ("(?a)(?u)b", "mutually incompatible"),
        ("(" * 450 + ")" * 450, "recursion"),
        ("", "at least 1 character"),
        ("x" * 1001, "at most 1000 characters"),
        ("\0", "NUL"),
        ("\ud800", "unicode"),
    ],
)
def test_a_bad_one_is_refused_with_the_position(pattern: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why.replace(")", r"\)")):
        ADAPTER.validate_python(pattern)


def test_whatever_is_written_is_a_pattern_or_an_error_of_the_spec() -> None:
    random, good = Random(3), 0
    pieces = [
        *string.printable,
        "(?:",
        "(?<",
        "(?P<n>",
        "\\p{",
        "{e<=1}",
        "(?(",
        "\\L<",
        "(?V1)",
        "[[:",
        "(?|",
        "\\g<",
    ]
    for _ in range(5_000):
        try:
            pattern = ADAPTER.validate_python("".join(random.choices(pieces, k=random.randint(1, 12))))
        except ValidationError:
            continue
        good += 1
        Search(pattern)
    assert 500 < good < 4_500


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("paid", "order 7 paid", True),
        ("^paid", "order 7 paid", False),
        (r"order \d+ paid$", "order 7 paid", True),
        ("(?i)PAID", "order 7 paid", True),
        ("a.b", "a\nb", False),
        ("ü{2}", "müüde", True),
    ],
)
def test_it_is_searched_for_anywhere(pattern: str, text: str, found: bool) -> None:
    assert Search(pattern).finds(text) is found


@pytest.mark.parametrize("pattern", ["(?:a|aa)+$", "(?:.*a){20}c", "(?R)*b"])
def test_a_slow_one_is_given_up(pattern: str) -> None:
    search, began = Search(pattern), time.process_time()
    with pytest.raises(FaultFailed) as caught:
        search.finds("a" * MAX_BYTES + "b")
    assert time.process_time() - began < 5
    assert f"the pattern {pattern!r} took longer than 0.5 s" in str(caught.value)


def test_one_with_placeholders_is_looked_at_once_they_are_filled() -> None:
    assert ADAPTER.validate_python("({{NAME}}") == "({{NAME}}"
    with pytest.raises(ValidationError):
        ADAPTER.validate_python("({ {NAME}}")
