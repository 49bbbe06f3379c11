"""A file that cannot be used says where and why, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_chaos.reading.position import Unreadable
from pytest_chaos.sources import read_file
from tests.support.written import Write, refusal

pytestmark = pytest.mark.usefixtures("each_parser")


def chain(link: str) -> str:
    """Return sixty keys with anchors, each holding ``link`` filled with the anchor before it."""
    links = (f"a{number}: &a{number} {link.format(f'a{number - 1}')}\n" for number in range(1, 60))
    return "a0: &a0 [1]\n" + "".join(links)


BAD = {
    "nothing": ("", ":1:1: this file holds no spec"),
    "only comments": ("# a\n\n", ":1:1: this file holds no spec"),
    "null": ("null", ":1:1: a spec is a mapping, or a list of mappings; nothing stands here"),
    "text": ("hello", ":1:1: a spec is a mapping, or a list of mappings; text stands here"),
    "a number": ("\n 3", ":2:2: a spec is a mapping, or a list of mappings; a number stands here"),
    "an empty list": ("[]", ":1:1: a spec is a mapping, or a list of mappings; an empty list stands here"),
    "a list of text": ("- trigger: 1\n- hello", ":2:3: a spec is a mapping, but text stands here"),
    "a list in a list": ("- - trigger: 1", ":1:3: a spec is a mapping, but a list stands here"),
    "a tagged list": ("!x [trigger: 1]", ":1:1: tags (!x) are not read"),
    "another mapping": ("a: 1\nb: 2", ":1:1: this is neither a spec (no `trigger`, no `action`) nor a task file"),
    "its keys": ("a: 1\nb: 2", "its keys: a, b"),
    "a near miss": ("chaos_spce: 2", "did you mean 'chaos_spec'?"),
    "a duplicate key": ("trigger: 1\naction:\n  a: 1\n  b: 1\n  a: 2", ":5:3: action: duplicate key 'a'; it stands in line 3 too"),
    "a duplicate key, quoted": ("trigger: 1\n'trigger': 1", ":2:1: duplicate key 'trigger'; it stands in line 1 too"),
    "a duplicate key in JSON": ('{"trigger": {"a": 1,\n"a": 2}}', ":2:1: trigger: duplicate key 'a'; it stands in line 1 too"),
    "a number as key": ("trigger: {1: 2}", ":1:11: trigger: a number cannot be a key; only text can, so quote it"),
    "null as key": ("trigger: {~: 2}", ":1:11: trigger: nothing cannot be a key"),
    "true as key": ("trigger: {true: 2}", ":1:11: trigger: true cannot be a key; only text can, so quote it"),
    "a list as key": ("trigger: {[a]: 2}", ":1:11: trigger: a list cannot be a key; only text can"),
    "a merge key": ("trigger: {<<: {a: 1}}", ":1:11: trigger: merge keys (<<) are not read"),
    "a tag": ("trigger: !!python/object:os.system x", ":1:10: trigger: tags (tag:yaml.org,2002:python/object:os.system)"),
    "a tag on a mapping": ("trigger: !!set {a}", ":1:10: trigger: tags (tag:yaml.org,2002:set) are not read"),
    "the empty tag": ("trigger: ! x", ":1:10: trigger: tags (!) are not read"),
    "infinite": ("trigger: [.inf]", ":1:11: trigger.0: numbers must be finite; quote it if it is text"),
    "no number": ("trigger: .nan", ":1:10: trigger: numbers must be finite"),
    "too large": ("trigger: 1e999", ":1:10: trigger: numbers must be finite"),
    "more than 64 bits": ("trigger: 9223372036854775808", ":1:10: trigger: a whole number of more than 64 bits"),
    "many digits": ("trigger: " + "9" * 10_000, ":1:10: trigger: a whole number of more than 64 bits"),
    "two documents": ("trigger: 1\n---\naction: 2", ":2:1: a second YAML document; put one document into a file"),
    "an unknown alias": ("trigger: *a", ":1:10: this alias has no anchor before it; a value that begins with * needs quotes"),
    "itself": ("trigger: &a [[*a]]", ":1:10: trigger.0.0: this contains itself, through an alias"),
    "a tab": ("trigger:\n\ta: 1", ":2:1: no YAML: found character"),
    "what to do with a tab": ("trigger:\n\ta: 1", "indent with spaces, not with tabs"),
    "a colon too many": ("trigger: a: b", ":1:11: no YAML: mapping values are not allowed"),
    "an open bracket": ("trigger: [1", ":1:12: no YAML: "),
    "a bad escape": ('trigger: "\\UFFFFFFFF"', ": no YAML"),
    "half a pair": ('trigger: "\\ud800"', ":1:1"),
    "a control character": ("trigger: a\x07", ":1:11: character U+0007 cannot stand in YAML"),
    "deep": ("trigger: " + "[" * 51, ":1:59: nested more than 50 deep"),
    "very deep": ("[" * 500_000, ":1:51: nested more than 50 deep"),
    "very deep in blocks": ("- " * 500_000, ":1:101: nested more than 50 deep"),
    "very deep in JSON": ('{"a":' * 100_000, ":1:251: nested more than 50 deep"),
    "deep through aliases": (f"trigger: 1\n{chain('[*{}]')}", "nested more than 50 deep, through aliases"),
    "a billion laughs": (f"trigger: 1\n{chain('[*{0}, *{0}]')}", "with its aliases written out this has more than 100000 values"),
    "many values": ("[" + "1," * 100_001 + "]", "more than 100000 values"),
    "both keys of a task": ("chaos: {}\nchaos_spec: {}", ":2:1: of `chaos_spec` and `chaos` only one may stand in a file"),
    "a key of a task twice": ("chaos: {}\nid: 1\nchaos: {}", ":3:1: of `chaos_spec` and `chaos` only one"),
    "a task with nothing": ("id: 1\nchaos:\n", ":2:7: a spec is a mapping, or a list of mappings; nothing stands here"),
    "a task with empty text": ("chaos: ''", ":1:8: this text holds no spec"),
    "a task with an empty list": ("chaos: []", ":1:8: a spec is a mapping, or a list of mappings; an empty list"),
    "a task with an empty list as text": ("chaos: ' []'", ":1:10: a spec is a mapping, or a list of mappings; an empty list"),
    "a task with text in text": ("chaos: '\"{}\"'", ":1:9: a spec is a mapping, or a list of mappings; text stands here"),
    "a task with broken text": ("id: 1\nchaos: |\n\n    trigger:\n      a: b: c\n", ":5:11: no YAML: "),
    "a task with a tag": ("chaos: !x '[]'", ":1:8: tags (!x) are not read"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "needle"), BAD.values(), ids=BAD)
def test_a_bad_file_says_where_and_what(write: Write, text: str, needle: str) -> None:
    message = refusal(write(text))
    assert message.startswith("chaos.yaml:")
    assert needle in message
    assert len(message) < 700
    assert "\n" not in message


LARGEST = {
    "bytes": "trigger: 1\n" + "#" * (1024 * 1024 - 11),
    "values": "trigger: [" + "1," * (100_000 - 3) + "]",
    "values with aliases": "trigger: [&a [" + "1," * 997 + "]" + ",*a" * 99 + ",[" + "1," * 197 + "]]",
    "depth": "trigger: " + "[" * 49 + "]" * 49,
    "depth with aliases": "trigger: [&a " + "[" * 24 + "]" * 24 + ", " + "[" * 24 + "*a" + "]" * 24 + "]",
}


@pytest.mark.parametrize("text", LARGEST.values(), ids=LARGEST)
def test_what_is_just_small_enough_is_read(write: Write, text: str) -> None:
    assert len(read_file(write(text))) == 1


def test_one_more_is_too_much(write: Write) -> None:
    assert "larger than" in refusal(write(LARGEST["bytes"] + "#"))
    assert "more than 100000 values" in refusal(write(LARGEST["values"].replace("]", "1,]")))
    assert "with its aliases" in refusal(write(LARGEST["values with aliases"].replace("]]", "1,]]")))
    assert "nested more than 50 deep" in refusal(write(LARGEST["depth"].replace("[]", "[[]]")))
    assert "through aliases" in refusal(write(LARGEST["depth with aliases"].replace("*a", "[*a]")))


BAD_JSON = {
    "nothing": ("", ":1:1: no JSON: a value should stand here"),
    "a comma too many": ('{"trigger": [1,]}', ":1:16: no JSON: a value should stand here"),
    "a comma too many in a mapping": ('{"trigger": 1,\n}', ":2:1: no JSON: a key in double quotes should stand here"),
    "single quotes": ("{'trigger': 1}", ":1:2: no JSON: a key in double quotes or } should stand here; JSON quotes with double"),
    "no quotes": ("{trigger: 1}", "should stand here; text and placeholders stand in double quotes"),
    "a bare placeholder": ('{"trigger": {{A}}}', ":1:14: no JSON: a key in double quotes or } should stand here; text and"),
    "a comment": ('{"trigger": 1} // ours', ":1:16: no JSON: the end should stand here; JSON has no comments"),
    "two values": ("{}{}", ":1:3: no JSON: the end should stand here"),
    "NaN": ('{"trigger": NaN}', ":1:13: no JSON: a value should stand here"),
    "01": ('{"trigger": 01}', ":1:13: no JSON: a value should stand here"),
    "+1": ('{"trigger": +1}', ":1:13: no JSON: a value should stand here"),
    "1e999": ('{"trigger": 1e999}', ":1:13: trigger: numbers must be finite"),
    "many digits": ('{"trigger": 1%s}' % ("0" * 5000), ":1:13: trigger: a whole number of more than 64 bits"),
    "a bad escape": ('{"trigger": "a\\q"}', ":1:15: no JSON: Invalid \\escape"),
    "a line feed in text": ('{"trigger": "a\n"}', ":1:13: no JSON: a value should stand here"),
    "half a pair": ('{"trigger": "\\ud800x"}', ":1:13: trigger: U+D800 alone is no character"),
    "a key that is half a pair": ('{"trigger": {"\\udfff": 1}}', ":1:14: trigger: U+DFFF alone is no character"),
    "a bracket too many": ('{"trigger": 1}]', ":1:15: no JSON: the end should stand here"),
    "the wrong bracket": ('{"trigger": [1}', ":1:15: no JSON: a comma or ] should stand here"),
    "no colon": ('{"trigger" 1}', ":1:12: no JSON: a colon should stand here"),
    "only a comma": ("[,]", ":1:2: no JSON: a value or ] should stand here"),
    "YAML": ("trigger: 1", ":1:1: no JSON: a value should stand here; text and placeholders stand in double quotes"),
    "very deep": ("[" * 500_000, ":1:51: nested more than 50 deep"),
    "half a word": ('{"trigger": nul}', ":1:13: no JSON"),
    "a word too long": ('{"trigger": nullx}', ":1:13: no JSON"),
    "a number and letters": ('{"trigger": 1x}', ":1:13: no JSON"),
    "open text": ('{"trigger": "a', ":1:13: no JSON: a value should stand here"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "needle"), BAD_JSON.values(), ids=BAD_JSON)
def test_a_bad_json_file_says_where_and_what(write: Write, text: str, needle: str) -> None:
    message = refusal(write(text, "chaos.json"))
    assert message.startswith("chaos.json:")
    assert needle in message


UNREADABLE = {
    "Latin-1": (b"trigger: 1\nname: caf\xe9\n", "chaos.yaml:2:10: byte 0xe9 is not UTF-8"),
    "Latin-1 at the start of a line": (b"a\n\xe9", "chaos.yaml:2:1: byte 0xe9 is not UTF-8"),
    "Latin-1 at the start": (b"\xe9", "chaos.yaml:1:1: byte 0xe9 is not UTF-8"),
    "surrogates": (b"name: \xed\xa0\x80", "chaos.yaml:1:7: byte 0xed is not UTF-8"),
    "UTF-16": ("trigger: 1".encode("utf-16"), "chaos.yaml: this is UTF-16; save it as UTF-8"),
    "UTF-32": ("\ufefftrigger: 1".encode("utf-32-be"), "chaos.yaml: this is UTF-32; save it as UTF-8"),
    "binary": (b"\x7fELF\0\0\xff", "chaos.yaml: this is binary; specs stand in a text file"),
    "large": (b"#" * (1024 * 1024 + 1), "chaos.yaml: larger than 1024 KiB; split it"),
}


@pytest.mark.parametrize(("data", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_text_is_unreadable(write: Write, data: bytes, message: str) -> None:
    path = write(data)
    with pytest.raises(Unreadable) as caught:
        read_file(path, shown=path.name)
    assert str(caught.value).startswith(message)


def test_what_is_no_file_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dir.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name, needle in {
        "dir.yaml": "this is a directory",
        "none.yaml": "there is no such file",
        "loop.yaml": "cannot be read: ",
        "a" * 300 + ".yaml": "cannot be read: ",
        "a\0.yaml": "cannot be read: ",
        "dir.yaml/none.yaml": "there is no such file",
    }.items():
        with pytest.raises(Unreadable, match=needle):
            read_file(tmp_path / name)
    with pytest.raises(Unreadable, match="no regular file"):
        read_file(Path("/dev/zero"))
    (tmp_path / "locked.yaml").touch()

    def locked(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)  # for root no file is locked
    with pytest.raises(Unreadable, match=r"locked.yaml: cannot be read: Permission denied"):
        read_file(tmp_path / "locked.yaml")
