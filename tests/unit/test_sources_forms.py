"""Every form in which a file may hold specs, placeholders anywhere in it, and what plain words mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_chaos.placeholders import fill
from pytest_chaos.schema import validate_spec
from pytest_chaos.sources import read_file
from tests.support.written import ENTRY, YAML_ENTRY, Write, indented, refusal

pytestmark = pytest.mark.usefixtures("each_parser")

TASK_ENTRY = """\
  - name: planned load
    trigger:
      type: time
      delay_seconds: 5
    action:
      type: generate_load
      target:
        service_url: http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}.svc.cluster.local
        qps: 300
    verification: the service scales out
"""

FORMS = {
    "YAML entry": ("a.yaml", YAML_ENTRY),
    "YAML list": ("a.yml", "- " + indented(YAML_ENTRY, 2)[2:]),
    "JSON entry": ("a.json", json.dumps(ENTRY)),
    "JSON list": ("a.json", json.dumps([ENTRY], indent=1)),
    "JSON with tabs": ("a.json", json.dumps([ENTRY], indent="\t")),
    "JSON in a YAML file": ("a.yaml", json.dumps([ENTRY], indent="\t")),
    "upper-case suffix": ("a.JSON", json.dumps(ENTRY)),
    "task with a mapping": ("a.yaml", f"task_id: 1\nchaos:\n{indented(YAML_ENTRY, 2)}prompt: do it\n"),
    "task with a list": ("a.yaml", f"chaos_spec:\n  - {indented(YAML_ENTRY, 4)[4:]}"),
    "task with YAML as text": ("a.yaml", f"chaos_spec: |\n{indented(YAML_ENTRY, 2)}"),
    "task with YAML as folded text": (
        "a.yaml",
        "chaos_spec: >-\n  [{name: rush, verify: orders add up,\n  "
        + YAML_ENTRY[11:50]
        + ",\n  action: {type: generate_load, target: {service_url: {{URL}}/x, qps: 300}}}]\n",
    ),
    "task with JSON as text": ("a.yaml", f"chaos_spec: |\n{indented(json.dumps([ENTRY], indent=2), 4)}\n"),
    "task with JSON in quotes": ("a.yaml", f"chaos_spec: '{json.dumps(ENTRY)}'\n"),
    "task with escaped JSON": ("a.json", json.dumps({"id": 1, "chaos": json.dumps([ENTRY])})),
    "comments and a start of document": ("a.yaml", f"%YAML 1.2\n---\n# ours\n{YAML_ENTRY}...\n"),
    "Windows": ("a.yaml", "\ufeff" + YAML_ENTRY.replace("\n", "\r\n")),
    "aliases": ("a.yaml", YAML_ENTRY.replace("name: rush", "name: &n rush") + "\n"),
}


@pytest.mark.parametrize(("name", "text"), FORMS.values(), ids=FORMS)
def test_each_form_holds_the_same_entry(write: Write, name: str, text: str) -> None:
    (entry,) = read_file(write(text, name))
    assert entry.data == ENTRY
    assert entry.name == "rush"
    assert validate_spec(entry.data) == validate_spec(ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        f"task_id: 12\nname: grow\nprompt: |\n  Look at {{{{NAMESPACE}}}}: it's slow\nchaos_spec:\n{TASK_ENTRY}",
        f"task_id: 12\nchaos_spec: |\n{TASK_ENTRY}on: [!Ref x, 1: 2]\n",
    ],
    ids=["native", "text"],
)
def test_a_task_file_holds_load_and_trigger_with_placeholders_unfilled(write: Write, text: str) -> None:
    (entry,) = read_file(write(text, "task.yaml"))
    spec = validate_spec(entry.data)
    assert json.loads(spec.model_dump_json(exclude_unset=True)) == {
        "name": "planned load",
        "trigger": {"type": "time", "delay_seconds": 5},
        "action": {
            "type": "generate_load",
            "target": {
                "service_url": "http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}.svc.cluster.local",
                "qps": 300,
            },
        },
        "verify": "the service scales out",
    }
    values = {"TARGET_DEPLOYMENT_NAME": "shop", "NAMESPACE": "default"}
    assert spec.filled(values).action.targets() == ["http://shop.default.svc.cluster.local"]


def test_all_entries_of_a_list_come_in_order(write: Write) -> None:
    entries = read_file(write("- trigger: 1\n  name: a\n- action: 2\n- {}\n"))
    assert [(entry.name, str(entry.where).rpartition("/")[2]) for entry in entries] == [
        ("a", "chaos.yaml:1:3"),
        (None, "chaos.yaml:3:3"),
        (None, "chaos.yaml:4:3"),
    ]


def test_a_foreign_part_of_a_task_file_may_be_anything(write: Write) -> None:
    odd = "1: 2\n1: 3\n? [a]\n: !Ref b\nlarge: 1e999\nlaughs: [&a [1], [*a, *a]]\n<<: {x: .nan}\n'{{A}}': {{ b | c }}\n"
    (entry,) = read_file(write(f"{odd}chaos:\n{indented(YAML_ENTRY, 2)}"))
    assert entry.data == ENTRY


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{URL}}", "{{URL}}"),
        ("{{ URL }}/x?a={{A}}&b={{B-1.c}}", "{{ URL }}/x?a={{A}}&b={{B-1.c}}"),
        ("http://{{A}}.{{B}}.svc:{{PORT}}", "http://{{A}}.{{B}}.svc:{{PORT}}"),
        ("'{{A}}'", "{{A}}"),
        ('"{{A}}\\u0041\\n"', "{{A}}A\n"),
        ('"{{A}}\\uE041\\uE0FF\\uE180"', "{{A}}\ue041\ue0ff\ue180"),
        ('"{{A}}\\U0000E041"', "{{A}}\ue041"),
        ("{{A}}: x", None),
        ("{{A}} # comment", "{{A}}"),
        ("{{A}} #no-space{{B}}", "{{A}}"),
        ("{{A}}#x", "{{A}}#x"),
        ("|\n  {{A}}\n  b", "{{A}}\nb\n"),
        ("a\n  {{A}}", "a {{A}}"),
        ("[{{A}}, {{B}}]", ["{{A}}", "{{B}}"]),
        ("{a: {{A}}}", {"a": "{{A}}"}),
        ("{a: {{A}}, b: {c: {{B}}}}", {"a": "{{A}}", "b": {"c": "{{B}}"}}),
        ("&x {{A}}", "{{A}}"),
        ("{ {{A}} }", None),
        ("\ue07b\ue080{{A}}", "\ue07b\ue080{{A}}"),
        ("{{A}}{{B}}", "{{A}}{{B}}"),
        ("{{}}", None),
        ("'{{}}{{1}}{{a b}}'", "{{}}{{1}}{{a b}}"),
    ],
)
def test_placeholders_stand_anywhere_in_values(write: Write, written: str, meant: Any) -> None:
    path = write(f"trigger: {written}\n")
    if meant is None:
        assert "chaos.yaml:1:" in refusal(path)
    else:
        (entry,) = read_file(path)
        assert entry.data == {"trigger": meant}


def test_what_fills_a_placeholder_cannot_change_the_structure(write: Write) -> None:
    (entry,) = read_file(write(f"chaos_spec: |\n{indented(YAML_ENTRY, 2)}"))
    accident = "\"', qps: 1}]}\n- {{OTHER}} # \\"
    filled = fill(entry.data, {"URL": accident, "OTHER": "no"})
    assert filled["action"]["target"] == {"service_url": f"{accident}/x", "qps": 300}
    assert {**filled, "action": None} == {**ENTRY, "action": None}


@pytest.mark.parametrize(
    ("written", "column", "needle"),
    [
        ("&{{A}} 1", 11, "cannot stand in an anchor"),
        ("*{{A}}", 11, "cannot stand in an anchor, an alias"),
        ("!{{A}} 1", 11, "cannot stand in an anchor, an alias, a tag"),
        ("!!int {{A}}", 10, "tags (tag:yaml.org,2002:int) are not read"),
        ("{a{{A}}: 1}", 11, "trigger: a placeholder cannot stand in a key"),
        ("{'{{A}}': 1}", 11, "trigger: a placeholder cannot stand in a key"),
        ("{{A b}}", 11, "a placeholder is {{NAME}}, of letters, digits"),
    ],
)
def test_a_placeholder_anywhere_else_is_an_error(
    write: Write, written: str, column: int, needle: str
) -> None:
    message = refusal(write(f"trigger: {written}\n"))
    assert message.startswith(f"chaos.yaml:1:{column}: ")
    assert needle in message


def test_text_with_all_private_characters_cannot_hold_placeholders(write: Write) -> None:
    everything = "".join(map(chr, range(0xE000, 0xF900)))
    (entry,) = read_file(write(f"trigger: {everything}\n"))
    assert entry.data == {"trigger": everything}
    assert "no private character" in refusal(write(f"trigger: {everything}{{{{A}}}}\n"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *[
            (text, text)
            for text in ("yes", "no", "on", "off", "y", "n", "12:30:00", "2026-01-01", "1_000", "0b1", "=")
        ],
        *[
            (text, text)
            for text in ("0o8", "1e", "e3", ".", "+", "-x", "0x", "NaN", "Infinity", "inf", "nUll", "tRue")
        ],
        *[(text, None) for text in ("null", "Null", "NULL", "~", "")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[
            ("false", False),
            ("010", 10),
            ("-7", -7),
            ("+7", 7),
            ("0o17", 15),
            ("0x1F", 31),
            ("9223372036854775807", 2**63 - 1),
        ],
        *[("1.5", 1.5), ("1e3", 1000.0), ("-.5", -0.5), ("1.", 1.0), ("300.0", 300.0), ("1E-2", 0.01)],
        *[("'1'", "1"), ('"null"', "null"), ("|\n  1", "1\n"), ("'yes'", "yes")],
    ],
)
def test_plain_words_mean_what_the_core_schema_says(write: Write, written: str, meant: Any) -> None:
    (entry,) = read_file(write(f"trigger: {written}\n"))
    value = entry.data["trigger"]
    assert (value, type(value)) == (meant, type(meant))
