"""JSON with positions: strict, and without recursion."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pytest_chaos.reading.tree import Items, Leaf, Node, Pairs, Tree, float_leaf, integer_leaf, text_leaf

if TYPE_CHECKING:
    from pytest_chaos.reading.position import Document

_SPACE: Final = " \t\n\r"
_TOKEN: Final = re.compile(
    rf"[{_SPACE}]*(?:"
    r"(?P<mark>[{}\[\],:])"
    r'|(?P<text>"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?))(?![0-9A-Za-z_.])"
    r"|(?P<word>true|false|null)(?![0-9A-Za-z_])"
    r"|(?P<end>\Z))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}

# What may come next, in words for the error, and the tokens that are that.
_VALUE: Final = "a value"
_ITEM: Final = "a value or ]"
_KEY: Final = "a key in double quotes"
_FIRST_KEY: Final = "a key in double quotes or }"
_COLON: Final = "a colon"
_MORE_ITEMS: Final = "a comma or ]"
_MORE_PAIRS: Final = "a comma or }"
_END: Final = "the end"
_FITTING: Final = {
    _VALUE: {"{", "[", "text", "number", "word"},
    _ITEM: {"{", "[", "text", "number", "word", "]"},
    _KEY: {"text"},
    _FIRST_KEY: {"text", "}"},
    _COLON: {":"},
    _MORE_ITEMS: {",", "]"},
    _MORE_PAIRS: {",", "}"},
    _END: {"end"},
}


def read_json(document: Document) -> Node | None:
    """Return the tree of a JSON text.

    Raises:
        SourceError: it is no JSON, or too deep, or too much.
    """
    tree = Tree(document)
    brackets: list[str] = []
    offset, expected = 0, _VALUE
    while True:
        token = _TOKEN.match(document.text, offset)
        kind = "" if token is None else token["mark"] or token.lastgroup or ""
        if token is None or kind not in _FITTING[expected]:
            raise _no_json(document, offset, expected)
        if kind == "end":
            return tree.root
        start, offset = token.start(token.lastgroup or 0), token.end()
        if kind in {"{", "["}:
            brackets.append(kind)
            tree.open(Pairs(start) if kind == "{" else Items(start))
            expected = _FIRST_KEY if kind == "{" else _ITEM
        elif kind == ":":
            expected = _VALUE
        elif kind == ",":
            expected = _KEY if brackets[-1] == "{" else _VALUE
        else:
            if kind in {"}", "]"}:
                brackets.pop()
                tree.close()
            else:
                tree.leaf(_leaf(document, token, start))
            expected = _COLON if expected in {_KEY, _FIRST_KEY} and kind == "text" else _after(brackets)


def _after(brackets: list[str]) -> str:
    if not brackets:
        return _END
    return _MORE_PAIRS if brackets[-1] == "{" else _MORE_ITEMS


def _leaf(document: Document, token: re.Match[str], start: int) -> Leaf:
    if token["number"] is not None:
        return float_leaf(start, token["number"]) if token["real"] else integer_leaf(start, token["number"])
    if token["word"] is not None:
        return Leaf(start, _WORDS[token["word"]])
    try:
        return text_leaf(start, json.loads(token["text"]), '"')
    except json.JSONDecodeError as error:
        raise document.error(start + error.pos, f"no JSON: {error.msg}") from None


def _no_json(document: Document, offset: int, expected: str) -> Exception:
    rest = document.text[offset:].lstrip(_SPACE)
    advice = ""
    at = len(document.text) - len(rest)
    if document.text[max(0, at - 1) : at + 2].count("{") > 1 or rest[:1].isalpha():
        advice = "; text and placeholders stand in double quotes"
    elif rest.startswith("'"):
        advice = "; JSON quotes with double quotes only"
    elif rest.startswith(("#", "/")):
        advice = "; JSON has no comments"
    return document.error(at, f"no JSON: {expected} should stand here{advice}")
