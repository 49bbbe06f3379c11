"""Whatever a file or a reference holds: entries or a ``SpecError``, soon, and the same with either YAML parser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pytest_chaos.errors import SpecError
from pytest_chaos.reading import yaml_text
from pytest_chaos.reading.position import SourceError
from pytest_chaos.schema import explain_in_file, validate_spec
from pytest_chaos.sources import Entry, Sources, read_file
from tests.support.authored import ODD_TEXTS, authored
from tests.support.written import ENTRY, YAML_ENTRY, Write, indented

SEEDS = [
    YAML_ENTRY,
    f"- {indented(YAML_ENTRY, 2)[2:]}",
    f"id: 1\nchaos_spec: |\n{indented(YAML_ENTRY, 2)}on: [!Ref x, *y]\n",
    f"chaos: '{json.dumps([ENTRY])}'\n",
    json.dumps([ENTRY, ENTRY], indent=2),
    json.dumps({"chaos_spec": json.dumps(ENTRY)}),
    "trigger: &a {type: time}\naction: [*a, *a, {b: *a}]\n",
]
PIECES = [
    "\n",
    " ",
    "  ",
    "\t",
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    " #",
    "&a ",
    "*a",
    "!",
    "!!int ",
]
PIECES += [
    "|\n",
    ">\n",
    "|2-\n",
    "'",
    '"',
    "\\",
    "\\u",
    "\\U00110000",
    "%",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "@",
    "`",
    "<<: ",
]
PIECES += [
    "{{",
    "}}",
    "{{A}}",
    "{{ B }}",
    "{{1}}",
    "chaos: ",
    "chaos_spec: ",
    "trigger: ",
    "action: ",
    "name: ",
    "a",
    "1",
]
PIECES += [
    "1e999",
    ".inf",
    "~",
    "null",
    "true",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "\0",
    "\x07",
    "\ud800",
    "\U0001f600",
]
PIECES += ["\ue041", "\\uE041", "9" * 30, "\uffff", "é", "=", "0o7", "0x", "+", ".", "..", "_", "'': "]


def texts(random: Random, count: int) -> Iterator[str]:
    """Yield texts that are nearly specs, or made of what YAML and JSON are made of."""
    for number in range(count):
        if number % 3 == 0:
            yield "".join(random.choice(PIECES) for _ in range(random.randint(1, 25)))
            continue
        text = random.choice(SEEDS)
        for _ in range(random.randint(1, 4)):
            at = random.randint(0, len(text))
            upto = min(len(text), at + random.choice([0, 0, 1, 2, 10]))
            text = text[:at] + random.choice([*PIECES, "", text[at : at + 9]]) + text[upto:]
        yield text


def contents(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of files."""
    random = Random(9)
    entries = authored(9, count)
    for text in texts(random, count):
        match random.randrange(8):
            case 0:
                yield "f.json", json.dumps(next(entries)).encode()
            case 1:
                yield (
                    "f.yaml",
                    json.dumps([next(entries)], ensure_ascii=False).encode("utf-8", "surrogatepass"),
                )
            case 2:
                yield "f.yaml", random.randbytes(random.randint(0, 60))
            case 3:
                yield "f.json", text.encode("utf-8", "surrogatepass")
            case 4:
                yield "f.yaml", text.encode(random.choice(["utf-16", "latin-1", "utf-8"]), "replace")
            case _:
                yield "f.yaml", text.encode("utf-8", "replace")


def entries_or_error(read: Callable[[], list[Entry]]) -> list[Entry] | str:
    try:
        return read()
    except SpecError as error:
        return str(error)


def test_a_file_holds_entries_or_is_an_error_whatever_it_holds(write: Write) -> None:
    read, valid = 0, 0
    for name, data in contents(10_000):
        path = write(data, name)
        found = entries_or_error(partial(read_file, path, shown=name))
        if isinstance(found, str):
            assert found.startswith(f"{name}:"), ascii(found)
            assert "\n" not in found, ascii(found)
            assert len(found) < 1_000, ascii(found)
            assert found.encode()
            continue
        assert found, ascii(data)
        for entry in found:
            read += 1
            sentences = complaints(entry)
            valid += not sentences
            assert all(sentence.startswith(f"{name}:") for sentence in sentences), ascii(sentences)
    assert read > 1_000  # the fuzz is not all noise
    assert valid > 300


def complaints(entry: Entry) -> list[str]:
    try:
        validate_spec(entry.data)
    except ValidationError as error:
        return explain_in_file(error, entry)
    return []


def test_a_reference_leads_to_entries_or_is_an_error_whatever_it_holds(write: Write, tmp_path: Path) -> None:
    write("- {name: a, trigger: 1}\n", "a.yaml")
    sources = Sources(root=tmp_path, catalogue=write("- {name: b, trigger: 1}\n"))
    random, found = Random(10), 0
    pieces = [*PIECES, "a.yaml", ".yaml", ".json", "#a", "#", "/", "..", "b", "~", "%2e", "con", *ODD_TEXTS]
    for _ in range(3_000):
        reference = "".join(random.choice(pieces) for _ in range(random.randint(0, 4)))
        entries = entries_or_error(partial(sources.resolve, reference, base=tmp_path / "tests"))
        if isinstance(entries, str):
            assert len(entries) < 1_000, ascii(entries)
            assert entries.encode()
        else:
            found += 1
    assert found


def read_with(parser: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any] | None:
    monkeypatch.setattr(yaml_text, "LOADER", parser)
    try:
        entries = read_file(path)
    except SourceError:
        return None
    return [(entry.data, entry.name, entry.where, entry.locate(("trigger",))) for entry in entries]


def test_what_both_yaml_parsers_read_is_the_same(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    both, one = 0, 0
    for text in texts(Random(11), 4_000):
        path = write(text.encode("utf-8", "replace"))
        fast = read_with(yaml.CSafeLoader, path, monkeypatch)
        slow = read_with(yaml.SafeLoader, path, monkeypatch)
        if fast is None or slow is None:
            one += (
                fast is not slow
            )  # tabs between words, `?` in braces: one of them is stricter than the other
            continue
        both += 1
        assert (fast == slow) is True, ascii((text, fast, slow))
    assert both > 300
    assert one < both / 5


HOSTILE = {
    "brackets": "[" * 500_000,
    "braces": "{" * 500_000,
    "dashes": "- " * 500_000,
    "question marks": "? " * 500_000,
    "half placeholders": "{{" * 500_000,
    "spaces in a placeholder": "{{" + " " * 1_000_000,
    "placeholders": "[" + "{{A}}," * 150_000 + "]",
    "anchors": "[" + ",".join(f"&a{number} x" for number in range(70_000)) + "]",
    "aliases": "[&a x" + ",*a" * 300_000 + "]",
    "laughs": "a: &a0 [x,x]\n" + "".join(f"b{n}: &a{n + 1} [*a{n},*a{n}]\n" for n in range(60)),
    "values": "[" + "1," * 500_000 + "]",
    "keys": "trigger: {" + "a: 1," * 200_000 + "}",
    "one word": "a" * 1_000_000,
    "words": "a " * 500_000,
    "lines": "\n" * 1_000_000,
    "escapes": 'trigger: "' + "\\u0041" * 170_000 + '"',
    "quotes": "trigger: '" + "''" * 500_000 + "'",
    "open quote": '"' + "a\\\\" * 300_000,
    "digits": "trigger: " + "9" * 1_000_000,
    "tag": "!" * 1_000_000,
    "documents": "---\n" * 250_000,
    "indentation": "\n".join(" " * n + "a:" for n in range(1_400)),
    "unknown keys": "trigger: 1\n" + "".join(f"k{n}: 1\n" for n in range(40_000)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", ["f.yaml", "f.json"])
def test_a_hostile_file_costs_seconds_at_most(write: Write, text: str, name: str) -> None:
    path = write(text, name)
    assert path.stat().st_size <= 1024 * 1024
    began = time.process_time()
    try:
        for entry in read_file(path):
            with pytest.raises(ValidationError) as caught:
                validate_spec(entry.data)
            assert len(explain_in_file(caught.value, entry)) <= 21
    except SourceError:
        pass
    assert time.process_time() - began < 20


def test_a_thousand_entries_are_read_soon(write: Write) -> None:
    text = "".join("- " + indented(YAML_ENTRY, 2)[2:].replace("rush", f"rush {n}", 1) for n in range(1_000))
    path = write(text)
    began = time.process_time()
    sources = Sources(root=path.parent, catalogue=path)
    found = [sources.resolve(f"rush {n}", base=path.parent)[0] for n in range(1_000)]
    assert time.process_time() - began < 5
    assert [entry.name for entry in found] == [f"rush {n}" for n in range(1_000)]
    assert str(found[-1].where).endswith(":7993:3")
