"""YAML with positions: event by event, with the core schema of YAML 1.2, and with placeholders out of harm's way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from pytest_chaos.placeholders import PLACEHOLDER
from pytest_chaos.reading.tree import Items, Leaf, Node, Pairs, Tree, float_leaf, integer_leaf, text_leaf
from pytest_chaos.scrub import clean

if TYPE_CHECKING:
    from pytest_chaos.reading.position import Document

# Both only split the text into events here; nothing is ever constructed. libyaml is the faster one, and there wherever
# PyYAML came as a wheel. What both read, they read alike; without libyaml a tab between words is refused, and `?` in braces.
LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ODD: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NULL: Final = {"", "~", "null", "Null", "NULL"}
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER: Final = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<odd>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)


def read_yaml(document: Document) -> Node | None:
    """Return the tree of a YAML text; None if it holds nothing.

    Raises:
        SourceError: it is no YAML, or several documents, or too deep, or too much.
    """
    text = document.text
    if odd := _ODD.search(text):
        raise document.error(odd.start(), f"character U+{ord(odd[0]):04X} cannot stand in YAML")
    shield = _Shield(document)
    tree = Tree(document)
    documents = offset = 0
    try:
        for event in yaml.parse(shield.hidden, Loader=LOADER):
            offset = event.start_mark.index if event.start_mark else 0
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise document.error(offset, "a second YAML document; put one document into a file")
            else:
                _grow(tree, event, offset, shield)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(document, shield, error) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # escapes beyond Unicode, and the like
        raise document.error(offset, f"no YAML from here on: {clean(str(error), 200)}") from None
    return tree.root


def _grow(tree: Tree, event: yaml.Event, offset: int, shield: _Shield) -> None:
    if isinstance(event, yaml.ScalarEvent):
        leaf = _leaf(event, offset, shield)
        leaf.problem = leaf.problem or _tagged(event.tag)
        tree.leaf(leaf, event.anchor)
    elif isinstance(event, yaml.SequenceStartEvent):
        tree.open(Items(offset, _tagged(event.tag)), event.anchor)
    elif isinstance(event, yaml.MappingStartEvent):
        tree.open(Pairs(offset, _tagged(event.tag)), event.anchor)
    elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
        tree.close()
    elif isinstance(event, yaml.AliasEvent):
        tree.alias(event.anchor or "", offset)


def _leaf(event: yaml.ScalarEvent, offset: int, shield: _Shield) -> Leaf:
    style = event.style or ""
    return (
        text_leaf(offset, shield.shown(event.value), style)
        if style
        else _plain(shield.shown(event.value), offset)
    )


def _plain(text: str, offset: int) -> Leaf:
    """Return what text without quotes stands for; dates, times, yes and no are text."""
    if text in _NULL:
        return Leaf(offset, None)
    if text in _BOOL:
        return Leaf(offset, _BOOL[text])
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text_leaf(offset, text, "")
    if number["odd"]:
        return Leaf(offset, 0.0, "numbers must be finite; quote it if it is text")
    if number["float"]:
        return float_leaf(offset, text)
    base = 8 if number["oct"] else 16 if number["hex"] else 10
    return integer_leaf(offset, number["oct"] or number["hex"] or text, base)


def _tagged(tag: str | None) -> str:
    return "" if tag is None else f"tags ({clean(tag, 80)}) are not read; quote what is text"


def _no_yaml(document: Document, shield: _Shield, error: yaml.MarkedYAMLError) -> Exception:
    mark = error.problem_mark or error.context_mark
    offset = min(mark.index, len(document.text)) if mark else 0
    if shield.hides(offset):
        return document.error(
            offset, "a placeholder cannot stand in an anchor, an alias, a tag or a directive"
        )
    problem = shield.shown(error.problem or error.context or "cannot be read")
    at = document.text[offset : offset + 1]
    advice = "; indent with spaces, not with tabs" if at == "\t" else ""
    return document.error(offset, f"no YAML: {clean(problem, 200)}{advice}")


class _Shield:
    """Hide placeholders from YAML, and bring them back.

    Each character of one is moved into a block of 128 private characters that occurs nowhere in the text, not even
    as an escape. So the text stays as long as it is, YAML sees mere letters, and what comes out is unmistakable.
    """

    def __init__(self, document: Document) -> None:
        text = document.text
        self.hidden = text
        self._back = re.compile("(?!)")
        self._base = 0
        if not PLACEHOLDER.search(text):
            return
        taken = {ord(char) >> 7 for char in set(text)}
        escapes = re.finditer(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})", text)
        taken |= {int(found[1] or found[2], 16) >> 7 for found in escapes}
        free = next((block << 7 for block in range(0xE000 >> 7, 0xF900 >> 7) if block not in taken), None)
        if free is None:
            raise document.error(0, "no private character of Unicode is left to stand for placeholders")
        self._base = free
        self._back = re.compile(f"[{chr(free)}-{chr(free + 127)}]")
        self.hidden = PLACEHOLDER.sub(lambda hole: "".join(chr(free + ord(char)) for char in hole[0]), text)

    def shown(self, text: str) -> str:
        """Return ``text`` with its placeholders as they were written."""
        return self._back.sub(lambda char: chr(ord(char[0]) - self._base), text)

    def hides(self, offset: int) -> bool:
        """Tell whether a placeholder is hidden at ``offset``."""
        return self._back.match(self.hidden, offset) is not None
