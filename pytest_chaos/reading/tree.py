"""What was written, as a tree of nodes that know their place; and from there to plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_chaos.placeholders import PLACEHOLDER
from pytest_chaos.scrub import clean, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_chaos.reading.position import Document

MAX_DEPTH: Final = 50
MAX_VALUES: Final = 100_000
_MAX_DIGITS: Final = 40


@dataclass(slots=True, eq=False)
class Leaf:
    """Text, a number, true, false or nothing.

    ``problem`` says why the value cannot be used; it counts only if somebody wants the value, because a
    task file may hold what is not for us. ``style`` is how YAML wrote it: ``|``, ``>``, a quote, or empty.
    """

    offset: int
    value: str | int | float | bool | None
    problem: str = ""
    style: str = ""


@dataclass(slots=True, eq=False)
class Items:
    """A list."""

    offset: int
    problem: str = ""
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Pairs:
    """A mapping, with everything that was written: also keys that stand twice."""

    offset: int
    problem: str = ""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    def find(self, key: Any) -> tuple[Node, Node] | None:
        """Return the key and the value that are written under ``key``."""
        return next(((k, v) for k, v in self.pairs if isinstance(k, Leaf) and k.value == key), None)


Node: TypeAlias = Leaf | Items | Pairs


class Tree:
    """Put nodes together in the order in which they are read, never deeper or more of them than allowed."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[Items | Pairs] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self.root: Node | None = None

    def leaf(self, node: Leaf, anchor: str | None = None) -> None:
        """Add a value."""
        self._add(node, anchor)

    def open(self, node: Items | Pairs, anchor: str | None = None) -> None:
        """Add a list or mapping; until ``close``, what is added goes into it."""
        self._add(node, anchor)
        self._open.append(node)
        self._keys.append(None)
        if len(self._open) > MAX_DEPTH:
            raise self._document.error(node.offset, f"nested more than {MAX_DEPTH} deep")

    def close(self) -> None:
        """Leave the innermost list or mapping."""
        self._open.pop()
        self._keys.pop()

    def alias(self, name: str, offset: int) -> None:
        """Add once more what was named ``&name``."""
        if name not in self._anchors:
            raise self._document.error(
                offset, "this alias has no anchor before it; a value that begins with * needs quotes"
            )
        self._add(self._anchors[name], None, offset)

    def _add(self, node: Node, anchor: str | None, offset: int | None = None) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._document.error(
                node.offset if offset is None else offset, f"more than {MAX_VALUES} values"
            )
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        inside = self._open[-1]
        if isinstance(inside, Items):
            inside.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = node
        else:
            inside.pairs.append((key, node))
            self._keys[-1] = None


class Values:
    """Turn nodes into plain values, strictly.

    One object for one file: what aliases stand for is counted each time, over all its values.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = MAX_VALUES
        self._inside: set[int] = set()

    def read(self, node: Node, path: tuple[str | int, ...] = ()) -> Any:
        """Return the value of ``node``; ``path`` leads to it and stands in errors.

        Raises:
            SourceError: something cannot be used: a key twice, a tag, a number out of bounds, too much.
        """
        self._left -= 1
        if self._left < 0:
            raise self._error(
                node, path, f"with its aliases written out this has more than {MAX_VALUES} values"
            )
        if node.problem:
            raise self._error(node, path, node.problem)
        if isinstance(node, Leaf):
            return node.value
        if id(node) in self._inside:
            raise self._error(node, path, "this contains itself, through an alias")
        if len(self._inside) >= MAX_DEPTH:
            raise self._error(node, path, f"nested more than {MAX_DEPTH} deep, through aliases")
        self._inside.add(id(node))
        try:
            if isinstance(node, Items):
                return [self.read(item, (*path, index)) for index, item in enumerate(node.items)]
            return self._mapping(node, path)
        finally:
            self._inside.remove(id(node))

    def _mapping(self, node: Pairs, path: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.pairs:
            name = self.key(key, path)
            if name in found:
                first = node.find(name)
                line = self._document.at(first[0].offset).line if first else None
                raise self._error(
                    key, path, f"duplicate key {clean(repr(name), 80)}; it stands in line {line} too"
                )
            found[name] = self.read(value, (*path, name))
        return found

    def key(self, key: Node, path: tuple[str | int, ...] = ()) -> str:
        """Return a key, which must be text. Raises ``SourceError``."""
        if key.problem:
            raise self._error(key, path, key.problem)
        if not isinstance(key, Leaf):
            braces = self._document.text[max(0, key.offset - 1) :].startswith("{{")
            advice = "; a placeholder is {{NAME}}, of letters, digits, _ . and -" if braces else ""
            raise self._error(key, path, f"{kind_of(key)} cannot be a key; only text can{advice}")
        if not isinstance(key.value, str):
            raise self._error(key, path, f"{kind_of(key)} cannot be a key; only text can, so quote it")
        if key.value == "<<" and not key.style:
            raise self._error(
                key,
                path,
                "merge keys (<<) are not read; write the keys out, or use an alias for a whole value",
            )
        if PLACEHOLDER.search(key.value):
            raise self._error(key, path, "a placeholder cannot stand in a key; only values are filled")
        return key.value

    def _error(self, node: Node, path: tuple[str | int, ...], message: str) -> Exception:
        return self._document.error(node.offset, f"{dotted(path)}: {message}" if path else message)


def dotted(path: Sequence[Any]) -> str:
    """Return a path in a spec as it is written in messages; a key that cannot be printed is quoted."""
    return ".".join(part if clean(part, 80) == part != "" else shown(part, 80) for part in map(str, path))


def kind_of(node: Node) -> str:
    """Return what a node is, in words."""
    if isinstance(node, Pairs):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if isinstance(node.value, str):
        return "text"
    if node.value is None:
        return "nothing"
    return str(node.value).lower() if isinstance(node.value, bool) else "a number"


def offset_of(node: Node, path: Sequence[Any], *, key: bool = False) -> int:
    """Return where the value under ``path`` stands, or what holds it if there is none; with ``key``, its key."""
    for part in path:
        if isinstance(node, Pairs) and (found := node.find(part)) is not None:
            at, node = found
        elif isinstance(node, Items) and isinstance(part, int) and 0 <= part < len(node.items):
            at = node = node.items[part]
        else:
            return node.offset
    return at.offset if path and key else node.offset


def text_leaf(offset: int, text: str, style: str) -> Leaf:
    """Return text that is quoted or cannot be anything else."""
    lone = next((char for char in text if "\ud800" <= char <= "\udfff"), None)
    problem = f"U+{ord(lone):04X} alone is no character (half of a surrogate pair)" if lone else ""
    return Leaf(offset, text, problem, style)


def integer_leaf(offset: int, text: str, base: int = 10) -> Leaf:
    """Return a whole number; one that 64 bits cannot hold is a problem."""
    if len(text) <= _MAX_DIGITS and abs(value := int(text, base)) < 2**63:
        return Leaf(offset, value)
    return Leaf(offset, 0, "a whole number of more than 64 bits; quote it if it is text")


def float_leaf(offset: int, text: str) -> Leaf:
    """Return a number with a fraction or an exponent; one that is not finite is a problem."""
    value = float(text)
    if value - value == 0:
        return Leaf(offset, value)
    return Leaf(offset, 0.0, "numbers must be finite; quote it if it is text")
