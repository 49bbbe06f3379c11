"""From a reference to authored entries: files of specs, entries of them by name, the catalogue, task files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_chaos.errors import SpecError
from pytest_chaos.reading.files import document_in, parse, read_document
from pytest_chaos.reading.position import Document, SourceError, Where
from pytest_chaos.reading.tree import Items, Leaf, Node, Pairs, Values, kind_of, offset_of
from pytest_chaos.registry import did_you_mean
from pytest_chaos.scrub import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TASK_KEYS: Final = ("chaos_spec", "chaos")
_FILE: Final = re.compile(r"(?P<file>.*?\.(?:ya?ml|json))(?:#(?P<name>.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One authored entry: what was written, not yet validated, and where.

    ``data`` is a mapping of plain values; it may be shared, so do not change it. ``name`` is the authored
    name, None if there is none. ``path`` is the file.
    """

    data: dict[str, Any]
    name: str | None
    where: Where
    path: Path
    _node: Node = field(repr=False)
    _document: Document = field(repr=False)

    def locate(self, path: Sequence[Any], *, key: bool = False) -> Where:
        """Return where the value under ``path`` stands; with ``key``, where its key does.

        What is not there is located by what it is missing in.
        """
        return self._document.at(offset_of(self._node, path, key=key))


def read_file(path: Path, *, shown: str | None = None) -> list[Entry]:
    """Return the entries of a file: of one entry, of a list of them, or of a task file. At least one.

    ``shown`` is what errors call the file, by default its path.

    Raises:
        Unreadable: it cannot be read as text.
        SourceError: it is no YAML or JSON, or holds no entries; the message begins with ``path:line:col``.
    """
    document = read_document(path, clean(str(path) if shown is None else shown, 1_000))
    root = parse(document, only_json=path.suffix.lower() == ".json")
    if root is None:
        raise document.error(0, "this file holds no spec")
    if isinstance(root, Pairs):
        if task := _task_value(root, document):
            return [*_entries(path, *_opened(task, document))]
        _expect_entry(root, document)
    return [*_entries(path, root, document)]


class Sources:
    """Look up references, each file read once.

    A reference is a path that ends in ``.yaml``, ``.yml`` or ``.json``, from the directory of the test file or
    else from ``root``; such a path with ``#name`` for one entry; or the name of an entry of the catalogue.
    """

    def __init__(self, *, root: Path, catalogue: Path | None = None) -> None:
        self._root = root
        self._catalogue = catalogue
        self._read: dict[Path, list[Entry] | SourceError] = {}
        self._named: dict[Path, dict[str, list[Entry]]] = {}

    def resolve(self, reference: str, *, base: Path) -> list[Entry]:
        """Return the entries that ``reference`` stands for, in a test file in the directory ``base``.

        Raises:
            SpecError: there are none, or the file is wrong; the message says where and what to do.
        """
        if file := _FILE.fullmatch(reference):
            path = self._find(file["file"], base)
            return self._entries(path) if file["name"] is None else [self._pick(path, file["name"])]
        if self._catalogue is None:
            raise SpecError(
                f"{_quoted(reference)} is no file (.yaml, .yml, .json), and there is no catalogue to look a name up in: "
                "put a chaos.yaml beside the ini file, or name one with chaos_catalogue"
            )
        return [self._pick(self._catalogue, reference)]

    def _entries(self, path: Path) -> list[Entry]:
        found = self._read.get(path)
        if found is None:
            try:
                found = read_file(path, shown=self._shown(path))
            except SourceError as error:
                found = error
            self._read[path] = found
        if isinstance(found, SourceError):
            raise found.with_traceback(None)
        return found

    def _pick(self, path: Path, name: str) -> Entry:
        entries = self._entries(path)
        if path not in self._named:
            self._named[path] = {}
            for entry in entries:
                if entry.name is not None:
                    self._named[path].setdefault(entry.name, []).append(entry)
        named = self._named[path]
        found = named.get(name, [])
        if len(found) == 1:
            return found[0]
        shown = self._shown(path)
        if found:
            lines = ", ".join(str(entry.where.line) for entry in found)
            raise SpecError(
                f"{shown}: {len(found)} entries are named {_quoted(name)} (lines {lines}); names must differ"
            )
        known = ", ".join(_quoted(one) for one in [*named][:20]) + (", ..." if len(named) > 20 else "")
        raise SpecError(
            f"{shown}: no entry is named {_quoted(name)}; there is {known or 'none with a name'}{did_you_mean(name, named)}"
        )

    def _find(self, reference: str, base: Path) -> Path:
        places = [*dict.fromkeys((base / reference, self._root / reference))]
        for place in places:
            if _exists(place):
                return place
        near = ""
        for place in places:
            near = near or did_you_mean(place.name, _siblings(place))
        looked = " and ".join(_quoted(self._shown(place.parent)) for place in places)
        raise SpecError(f"there is no file {_quoted(reference)}; looked in {looked}{near}")

    def _shown(self, path: Path) -> str:
        return clean(str(path.relative_to(self._root) if path.is_relative_to(self._root) else path), 1_000)


def _task_value(root: Pairs, document: Document) -> Node | None:
    """Return what a task file holds under its key of ours; None if the mapping is no task file."""
    ours = [(key, value) for key, value in root.pairs if isinstance(key, Leaf) and key.value in TASK_KEYS]
    if len(ours) > 1:
        second = ours[1][0]
        raise document.error(
            second.offset, "of `chaos_spec` and `chaos` only one may stand in a file, and only once"
        )
    return ours[0][1] if ours else None


def _opened(value: Node, document: Document) -> tuple[Node, Document]:
    """Return the value of a task file; if it is text, what the text holds."""
    if not isinstance(value, Leaf) or not isinstance(value.value, str):
        return value, document
    Values(document).read(value)
    inner = document_in(document, value)
    root = parse(inner)
    if root is None:
        raise document.error(value.offset, "this text holds no spec")
    return root, inner


def _entries(path: Path, node: Node, document: Document) -> Iterator[Entry]:
    if isinstance(node, Leaf) or (isinstance(node, Items) and not node.items):
        what = "an empty list" if isinstance(node, Items) else kind_of(node)
        raise document.error(node.offset, f"a spec is a mapping, or a list of mappings; {what} stands here")
    if node.problem:
        raise document.error(node.offset, node.problem)
    values = Values(document)
    for item in node.items if isinstance(node, Items) else [node]:
        if not isinstance(item, Pairs):
            raise document.error(item.offset, f"a spec is a mapping, but {kind_of(item)} stands here")
        data = values.read(item)
        name = data.get("name")
        yield Entry(
            data=data,
            name=name if isinstance(name, str) else None,
            where=document.at(item.offset),
            path=path,
            _node=item,
            _document=document,
        )


def _expect_entry(root: Pairs, document: Document) -> None:
    """Raise ``SourceError`` for a mapping that cannot be meant as an entry."""
    keys = [str(key.value) for key, _ in root.pairs if isinstance(key, Leaf)]
    if "trigger" in keys or "action" in keys:
        return
    near = next(filter(None, (did_you_mean(key, ["trigger", "action", *TASK_KEYS]) for key in keys)), "")
    listed = ", ".join(clean(key, 40) for key in keys[:10]) + (", ..." if len(keys) > 10 else "")
    raise document.error(
        root.offset,
        "this is neither a spec (no `trigger`, no `action`) nor a task file (no `chaos_spec`, no `chaos`); "
        f"its keys: {listed or 'none'}{near}",
    )


def _quoted(text: str) -> str:
    return repr(clean(text, 200))


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return False
    return True


def _siblings(path: Path) -> list[str]:
    try:
        return [one.name for one in path.parent.iterdir() if _FILE.fullmatch(one.name)]
    except (OSError, ValueError):
        return []
