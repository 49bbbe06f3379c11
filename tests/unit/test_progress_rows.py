"""The one row of live progress: what is left out where it is too long."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.plugin.liverow import behind, below, cells, cut, row

LONG = "a disruption with a long name: active 12 s, 3600 requests, 300 / 300 qps, no errors"


@pytest.mark.parametrize(
    ("parts", "columns", "expected"),
    [
        (["a: active 1 s"], 13, "a: active 1 s"),
        (["a: active 1 s", "b: waiting 0 s"], 40, "a: active 1 s  |  b: waiting 0 s"),
        ([LONG], 70, "a disruption w..: active 12 s, 3600 requests, 300 / 300 qps, no errors"),
        ([LONG], 40, "a di..: active 12 s, 3600 requests, 30.."),
        ([LONG, LONG], 60, "a di..: active 12 s, 3600..  |  a di..: active 12 s, 3600.."),
        ([LONG] * 9, 40, "a di..: active 12 s, 3..  |  a di..: a.."),
        (["漢字漢字漢字漢字: active 1 s"], 20, "漢字漢..: active 1 s"),
        ([LONG], 3, "a.."),
        ([LONG], 1, "."),
        ([LONG], 0, ""),
        ([LONG], -5, ""),
    ],
)
def test_rows(parts: list[str], columns: int, expected: str) -> None:
    assert row(parts, columns) == expected


@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(-3, 200))
def test_no_row_is_ever_wider(parts: list[str], columns: int) -> None:
    assert sum(map(cells, row(parts, columns))) <= max(0, columns)


@given(st.text(max_size=60), st.integers(-3, 60))
def test_a_text_is_only_cut_where_it_must_be(text: str, columns: int) -> None:
    found = cut(text, columns)
    assert sum(map(cells, found)) <= max(0, columns)
    assert (found == text) is (sum(map(cells, text)) <= columns) or text.startswith(found.rstrip("."))


@given(st.characters())
def test_no_character_counts_for_less_than_its_cells(char: str) -> None:
    wide = unicodedata.east_asian_width(char) in "WF"
    assert cells(char) in ({2} if wide else {1, 2})


def test_what_a_dumb_terminal_shows_is_taken_back_by_as_many_backspaces() -> None:
    shown, back = behind(["漢字: active 1 s"], 80, 10)
    assert shown == "??: active 1 s"
    assert back == "\b" * 14 + " " * 14 + "\b" * 14
    assert behind([LONG], 20, 19) == ("", "")


def test_what_stands_below_is_cleared_from_the_cursor_on() -> None:
    shown, back = below(["a: active 1 s"], 80, 10)
    assert shown.endswith("\ra: active 1 s\x1b8")
    assert back == "\x1b[J"
