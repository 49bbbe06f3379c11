"""Each error in a spec names the file, the line and the column of the value."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from pytest_chaos import TRIGGERS, ChaosSpec
from pytest_chaos.reading.position import Where
from pytest_chaos.schema import explain_in_file, validate_spec
from pytest_chaos.sources import Entry, read_file
from tests.support.written import ENTRY, YAML_ENTRY, Write, indented

pytestmark = pytest.mark.usefixtures("each_parser")


def sentences(entry: Entry) -> list[str]:
    """Return what is wrong with an entry, as said at collection."""
    with pytest.raises(ValidationError) as caught:
        validate_spec(entry.data)
    return explain_in_file(caught.value, entry)


BROKEN = """\
name: rush
triger: {type: time}
trigger: {type: tiem, delay_seconds: 5}
action:
  type: generate_load
  target:
    service_url: {{URL}}/x
    headers: {A: b, c d: hunter2, e: 3}
    qps: '300'
    qsp: 1
verify: [a]
"""
ALLOWED = "service_url, qps, duration, concurrency, timeout, method, headers, body, min_delivered"
SAID = [
    f"3:17: trigger: unknown trigger type 'tiem'; registered: {', '.join(TRIGGERS.keys())}; did you mean 'time'?",
    "9:10: action.target.qps: must be a whole number, such as 300 (got '300')",
    "8:21: action.target.headers.c...: not the name of an HTTP header (got ***)",
    "8:38: action.target.headers.e: must be text (got ***)",
    f"10:5: action.target.qsp: unknown key; allowed: {ALLOWED}; did you mean 'qps'?",
    '11:9: verify: must be text, such as "orders add up" (got a list)',
    f"2:1: triger: unknown key; allowed: {', '.join(ChaosSpec.model_fields)}; did you mean 'trigger'?",
]


@pytest.mark.parametrize(
    ("head", "lines", "columns"),
    [
        ("", 0, 0),
        ("# a\n\nchaos_spec:\n", 3, 2),
        ("id: 1\nchaos_spec: |\n", 2, 2),
        ("id: 1\nchaos_spec: |-\n\n\n", 4, 7),
        ("id: 1\nlonger: {chaos: 1}\nchaos: |1\n", 3, 1),
        ("chaos:\n  |  # text\n", 2, 4),
    ],
)
def test_each_error_names_the_line_and_column_of_the_value(
    write: Write, head: str, lines: int, columns: int
) -> None:
    (entry,) = read_file(write(head + indented(BROKEN, columns)), shown="chaos.yaml")
    meant = []
    for said in SAID:
        line, column, rest = said.split(":", 2)
        meant.append(f"chaos.yaml:{int(line) + lines}:{int(column) + columns}:{rest}")
    assert sorted(sentences(entry)) == sorted(meant)


def test_errors_in_a_list_count_from_its_entry(write: Write) -> None:
    text = json.dumps([ENTRY, {**ENTRY, "name": 3}], indent=2)
    entries = read_file(write(text, "a.json"), shown="a.json")
    number = next(index for index, line in enumerate(text.splitlines(), 1) if '"name": 3' in line)
    assert sentences(entries[1]) == [f'a.json:{number}:13: name: must be text, such as "lunch rush" (got 3)']
    missing = read_file(write("- verify: a\n  trigger: {}\n"), shown="chaos.yaml")[0]
    assert [said.partition(" ")[0] for said in sentences(missing)] == ["chaos.yaml:2:12:", "chaos.yaml:1:3:"]


def test_text_on_one_line_is_located_exactly_and_folded_text_by_where_it_begins(write: Write) -> None:
    (entry,) = read_file(write("id: 3\nchaos: '{trigger: {}, name: 3}'\n"), shown="a.yaml")
    assert entry.locate(("name",)) == Where("a.yaml", 2, 29)
    (entry,) = read_file(write("id: 3\nchaos: >\n  {trigger: {},\n\n  name: 3}\n"), shown="a.yaml")
    assert str(entry.locate(("name",))) == "a.yaml:2:8 (line 2, column 7 of this text)"
    (entry,) = read_file(write(json.dumps({"chaos": '{"trigger": {}, "name": 3}'}), "a.json"), shown="a.json")
    assert str(entry.locate(("trigger",))) == "a.json:1:11 (line 1, column 13 of this text)"


def test_a_value_that_is_not_there_is_located_by_what_misses_it(write: Write) -> None:
    (entry,) = read_file(write(YAML_ENTRY), shown="a.yaml")
    at = {
        (): "1:1",
        ("name",): "1:7",
        ("trigger", "type"): "2:17",
        ("trigger", "typ"): "2:10",
        ("action", "target", "headers", "x"): "6:5",
        ("action", 0): "4:3",
    }
    assert {path: str(entry.locate(path)) for path in at} == {
        path: f"a.yaml:{place}" for path, place in at.items()
    }
    assert str(entry.locate(("action", "target"), key=True)) == "a.yaml:5:3"
    assert str(entry.locate((), key=True)) == "a.yaml:1:1"


def test_aliased_values_stand_where_they_are_written(write: Write) -> None:
    text = "- trigger: &t {type: tiem}\n- trigger: *t\n"
    entries = read_file(write(text), shown="a.yaml")
    assert [str(entry.locate(("trigger", "type"))) for entry in entries] == ["a.yaml:1:22"] * 2


def test_a_placeholder_where_a_number_belongs_is_told_so(write: Write) -> None:
    (entry,) = read_file(write(YAML_ENTRY.replace("300", "{{QPS}}")))
    (sentence,) = sentences(entry)
    assert sentence.endswith(
        "chaos.yaml:7:10: action.target.qps: must be a whole number, such as 300, "
        "and a placeholder only ever stands for text (got '{{QPS}}')"
    )


@pytest.mark.parametrize("more", [0, 1, 30])
def test_no_more_than_twenty_errors_are_told(write: Write, more: int) -> None:
    keys = "".join(f"k{number}: 1\n" for number in range(18 + more))
    (entry,) = read_file(write(f"action: 1\n{keys}"), shown="a.yaml")
    said = sentences(entry)
    assert len(said) == 20 + bool(more)
    if more:
        assert said[-1] == f"a.yaml:1:1: spec: {more} more errors"


def test_an_index_beyond_a_list_is_located_by_the_list(write: Write) -> None:
    (entry,) = read_file(write("trigger:\n- 1\n"), shown="a.yaml")
    assert [str(entry.locate(("trigger", index))) for index in (0, 1, -1, "x")] == [
        "a.yaml:2:3",
        *["a.yaml:2:1"] * 3,
    ]
