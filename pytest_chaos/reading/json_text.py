"""JSON with positions: strict, and without recursion."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pytest_chaos.reading.tree import Items, Leaf, Node, Pairs, Tree, float_leaf, integer_leaf, text_leaf

if TYPE_CHECKING:
    from pytest_chaos.reading.position import Document

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_TOKEN: Final = re.compile(
    r"(?P<mark>[{}\[\],:])"
    r'|(?P<text>"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?))(?![0-9A-Za-z_.])"
    r"|(?P<word>true|false|null)\b"
)
_WORDS: Final = {"true": True, "false": False, "null": None}

# What may come, by the state after the last token; in words for the error.
_VALUE: Final = "a value"
_ITEM: Final = "a value or ]"
_KEY: Final = "a key in double quotes"
_FIRST_KEY: Final = "a key in double quotes or }"
_COLON: Final = "a colon"
_NEXT: Final = "a comma or the closing bracket"
_END: Final = "the end of the file"


def read_json(document: Document) -> Node:
    """Return the tree of a JSON text.

    Raises:
        SourceError: it is no JSON, or too deep, or too much.
    """
    tree = Tree(document)
    text, offset, state = document.text, 0, _VALUE
    brackets: list[str] = []
    while True:
        offset = _match(_SPACE, text, offset).end()
        if offset == len(text):
            break
        token = _TOKEN.match(text, offset)
        if token is None:
            raise document.error(offset, f"no JSON: expected {state}{_advice(text, offset)}")
        mark = token["mark"]
        if mark is None or mark in "{[":
            if (
                state == _END
                or state in {_COLON, _NEXT}
                or (state in {_KEY, _FIRST_KEY} and token["text"] is None)
            ):
                raise document.error(offset, f"no JSON: expected {state}")
            if mark:
                brackets.append(mark)
                tree.open(Pairs(offset) if mark == "{" else Items(offset))
                state = _FIRST_KEY if mark == "{" else _ITEM
            else:
                tree.leaf(_leaf(document, token))
                state = _COLON if state in {_KEY, _FIRST_KEY} else _NEXT
        elif mark == ":" and state == _COLON:
            state = _VALUE
        elif mark == "," and state == _NEXT and brackets:
            state = _KEY if brackets[-1] == "{" else _VALUE
        elif brackets and (
            (mark == "}" and brackets[-1] == "{" and state in {_NEXT, _FIRST_KEY})
            or (mark == "]" and brackets[-1] == "[" and state in {_NEXT, _ITEM})
        ):
            brackets.pop()
            tree.close()
            state = _NEXT
        else:
            raise document.error(offset, f"no JSON: expected {state}")
        if state == _NEXT and not brackets:
            state = _END
        offset = token.end()
    if state != _END or tree.root is None:
        raise document.error(offset, f"no JSON: it ends where {state} is expected")
    return tree.root


def _leaf(document: Document, token: re.Match[str]) -> Leaf:
    offset = token.start()
    if token["number"] is not None:
        return float_leaf(offset, token["number"]) if token["real"] else integer_leaf(offset, token["number"])
    if token["word"] is not None:
        return Leaf(offset, _WORDS[token["word"]])
    try:
        return text_leaf(offset, json.loads(token["text"]), '"')
    except json.JSONDecodeError as error:
        raise document.error(offset + error.pos, f"no JSON: {error.msg}") from None


def _match(pattern: re.Pattern[str], text: str, offset: int) -> re.Match[str]:
    found = pattern.match(text, offset)
    assert found is not None  # noqa: S101 - the pattern matches the empty text too
    return found


def _advice(text: str, offset: int) -> str:
    if text.startswith("{{", offset) or text[offset].isalpha():
        return "; text and placeholders stand in double quotes"
    if text[offset] == "'":
        return "; JSON quotes with double quotes only"
    return "; JSON has no comments" if text[offset] in "#/" else ""
