"""The table in Markdown and the annotations: whatever stands in a name or a reason is shown as it is, and is nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict
from pytest_chaos.plugin.markdown import MAX_BYTES, annotation, table

HOSTILE = {
    "html": "<b>bold</b> <img src=x onerror=alert(1)> <!-- hidden --> <details>",
    "script": "<script>alert('x')</script>",
    "entities": "&lt;b&gt; &amp; &#60; &nbsp;",
    "table": "a | b || c \\| d \\\\| e |",
    "backslash": "ends with \\",
    "code": "`a` ``b`` ```c``` ` `` " + "`" * 200,
    "backticks": "`",
    "link": "[text](http://evil.example) ![image](x) <http://evil.example>",
    "bare link": "http://evil.example www.evil.example evil@evil.example mailto:a@b.c",
    "mention": "@octocat #1 GH-1 org/repo#1 :smile: deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    "emphasis": "*a* **b** _c_ __d__ ~~e~~ $x$ ~f~",
    "blocks": "# heading - item 1. item > quote --- === ```",
    "cdata": "]]> <![CDATA[ x ]]>",
    "right to left": "עברית ثم عربي",
    "emoji": "🧪 👩‍👩‍👧 ❤️",
    "command": "::error::x ##[error]x",
    "percent": "100%25 %0A %",
}


def outcome(name: str = "a rush", verdict: Verdict = Verdict.broke, **more: Any) -> ChaosOutcome:
    result = ChaosResult(
        success=True, injected_fault=more.pop("fault", "staged"), details=more.pop("details", {})
    )
    return ChaosOutcome(name=name, verdict=verdict, result=result, **{"reason": "as it went", **more})


def tokens(markdown: str) -> list[Token]:
    """Return what a parser of CommonMark with GitHub's tables makes of it, the content of cells included."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def cells(markdown: str) -> list[list[str]]:
    """Return the text of the cells of the one table, row by row. Nothing else than text and code may be in them."""
    rows: list[list[str]] = []
    for token in tokens(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"th_open", "td_open"}:
            rows[-1].append("")
        elif token.type in {"text", "code_inline", "text_special"} and rows:
            rows[-1][-1] += token.content
    return rows


SHAPE = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "code_inline"),
    *(f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")),
}


def shown(text: str) -> str:
    """Return how a text ought to look like: white space is one blank, in Markdown as in HTML."""
    return " ".join(text.split())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    page = table({f"test_it.py::test_it[{text}]": [outcome(text, reason=text, fault=text)]})
    assert {token.type for token in tokens(page)} <= SHAPE
    _, row = cells(page)
    assert row == [
        *("❌ broke", shown(f"test_it.py::test_it[{text}]")),
        *(shown(text), shown(text), "0%", shown(text)),
    ]


ANY = st.characters(codec="utf-8", exclude_categories=["C"])


@given(st.text(alphabet=ANY, max_size=80) | st.text(alphabet="`|\\ a&<_", max_size=40))
@example("`` ` ``")
@example(" | ")
def test_any_text_is_shown_as_it_is(text: str) -> None:
    page = table({text: [outcome("plain", reason=text)]})
    assert {token.type for token in tokens(page)} <= SHAPE
    _, row = cells(page)
    # GitHub's parser and this one strip blanks of Unicode at the ends of a cell.
    assert [row[1].strip(), row[5].strip()] == [shown(text), shown(text)]


def test_control_characters_and_line_feeds_are_gone() -> None:
    page = table({"a\nb\r\n\x1b[31mc\u202e\ud800": [outcome("x\n| y |\n", reason="one\n\n# two")]})
    assert cells(page)[1][1:3] == ["a b c", "x | y |"]
    assert cells(page)[1][5] == "one # two"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    page = table({"x" * 10_000: [outcome(reason="y" * 3000)]})
    _, row = cells(page)
    assert re.fullmatch(r"x{250,}\.\.\. \(\d+ more characters\)", row[1])
    assert len(row[1]) == len(row[5]) == 300


def test_the_worst_come_first_and_all_are_counted() -> None:
    verdicts = [Verdict.held, Verdict.error, Verdict.broke, Verdict.held, Verdict.inconclusive]
    verdicts += [Verdict.disabled, Verdict.not_judged]
    page = table({f"test_{number}": [outcome(verdict=one)] for number, one in enumerate(verdicts)})
    heading, counts, *_ = [token.content for token in tokens(page) if token.type == "inline"]
    assert heading == "Chaos"
    assert counts == "1 error, 1 inconclusive, 1 broke, 1 not_judged, 1 disabled, 2 held"
    _, *rows = cells(page)
    assert [row[:2] for row in rows] == [
        *(["❌ error", "test_1"], ["❌ inconclusive", "test_4"], ["❌ broke", "test_2"]),
        *(["⚪ not_judged", "test_6"], ["⚪ disabled", "test_5"]),
        *(["✅ held", "test_0"], ["✅ held", "test_3"]),
    ]


def test_a_reason_stands_where_something_failed() -> None:
    page = table({"a": [outcome(verdict=Verdict.held)], "b": [outcome()]})
    assert [row[5] for row in cells(page)[1:]] == ["as it went", ""]


def test_a_load_is_told_by_its_figures() -> None:
    details = {
        "asked_qps": 300,
        "delivered_qps": 299.7,
        "requests": 308,
        "responses": {"200": 308},
        "p99_s": 0.001,
    }
    assert (
        cells(table({"a": [outcome(details=details)]}))[1][3]
        == "300 -> 299.7 qps 308 requests errors: none p99 1.0 ms"
    )


@pytest.mark.parametrize("text", ["x" * 20, "🧪" * 300])
def test_a_table_never_outgrows_what_is_shown(text: str) -> None:
    page = table({f"{text}{number}": [outcome(text, reason=text)] for number in range(9000)})
    assert len(page.encode()) < MAX_BYTES + 1000
    _, *rows = cells(page)
    rest = re.search(r"\n\n\.\.\. and (\d+) more, none of them worse than these\.\n$", page)
    assert rest is not None
    assert len(rows) + int(rest[1]) == 9000
    assert len(rows) > 100


def test_nothing_to_tell() -> None:
    assert "no disruption" in table({})


COMMAND = re.compile(
    r"::error file=(?P<file>[^,]*),line=(?P<line>\d+),title=(?P<title>[^,:]*)::(?P<message>.*)"
)


def obeyed(line: str) -> dict[str, str]:
    """Return what GitHub's runner reads out of a command: properties first, then the message, each unescaped."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    codes = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
    return {
        key: re.sub("%0D|%0A|%3A|%2C|%25", lambda code: codes[code[0]], value)
        for key, value in found.groupdict().items()
    }


@pytest.mark.parametrize("text", [*HOSTILE.values(), "a:b,c\nd"], ids=[*HOSTILE, "separators"])
def test_an_annotation_is_one_command_and_says_what_it_was_given(text: str) -> None:
    told = obeyed(annotation(f"tests/{text}.py", 7, text, outcome(text, reason=text)))
    assert told == {
        "file": f"tests/{text}.py",
        "line": "7",
        "title": f"chaos: {shown(text) if len(text) < 100 else told['title'][7:-9]} is broke",
        "message": f"{text}: {text}",
    }


def test_an_annotation_names_the_likely_causes() -> None:
    one = outcome(
        verdict=Verdict.inconclusive,
        reason="under-delivered while the body ran: asked 200, got 33",
        details={
            "asked_qps": 200,
            "p90_s": 0.2,
            "argv": ["fortio", "-c", "8", "-t", "1s"],
            "responses": {"200": 40},
        },
    )
    told = obeyed(annotation("test_it.py", 1, "test_it.py::test_it", one))
    assert told["message"].splitlines() == [
        "test_it.py::test_it: under-delivered while the body ran: asked 200, got 33",
        "perhaps too few connections: answers took 0.2 s (p90) over 8 of them; set `concurrency` to 60",
    ]


def test_an_annotation_has_no_control_characters_and_ends_somewhere() -> None:
    line = annotation(
        "a\x1b[31m\n.py", 1, "t" * 10_000, outcome("n" * 400, reason="\x1b]0;title\x07" + "r" * 10_000)
    )
    assert line.isprintable()
    assert len(line) < 5000
