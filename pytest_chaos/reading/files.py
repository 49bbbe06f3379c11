"""Files and strings as trees: what cannot be read says why, and nothing is read that is no small text file."""

from __future__ import annotations

import codecs
import stat
from typing import TYPE_CHECKING, Final

from pytest_chaos.reading.json_text import read_json
from pytest_chaos.reading.position import Document, SourceError, Unreadable, Where
from pytest_chaos.reading.yaml_text import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_chaos.reading.tree import Leaf, Node

MAX_BYTES: Final = 1024 * 1024
_OTHER_ENCODINGS: Final = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF32_BE: "UTF-32",  # in little endian it begins like UTF-16
}


def read_document(path: Path, shown: str) -> Document:
    """Return the text of a file, which errors will call ``shown``. A byte order mark of UTF-8 is dropped.

    Raises:
        Unreadable: it is not there, no regular file, too large, or no text in UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a directory" if path.is_dir() else "no regular file"
            raise Unreadable(f"this is {what}; specs stand in a text file", Where(shown))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable("there is no such file", Where(shown)) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise Unreadable(
            f"cannot be read: {getattr(error, 'strerror', None) or error}", Where(shown)
        ) from None
    if len(data) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES // 1024} KiB; split it", Where(shown))
    return Document(_decoded(data, shown), shown)


def _decoded(data: bytes, shown: str) -> str:
    for mark, name in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise Unreadable(f"this is {name}; save it as UTF-8", Where(shown))
    if b"\0" in data:
        raise Unreadable("this is binary; specs stand in a text file", Where(shown))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].splitlines(keepends=True) or [b""]
        whole = before[-1].endswith((b"\n", b"\r"))
        place = Where(
            shown, len(before) + whole, 1 if whole else len(before[-1].decode("utf-8", "replace")) + 1
        )
        raise Unreadable(
            f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", place
        ) from None


def parse(document: Document, *, only_json: bool = False) -> Node | None:
    """Return what a text holds; None if it holds nothing.

    What is JSON is read as JSON, for YAML's own reading of it fails at tabs and at pairs of escaped surrogates.

    Raises:
        SourceError: it is neither, or too deep, or too much.
    """
    if only_json:
        return read_json(document)
    if document.text.lstrip()[:1] in {"{", "["}:
        try:
            return read_json(document)
        except SourceError:
            pass  # YAML with braces; if it is none either, YAML's error is as good
    return read_yaml(document)


def document_in(outer: Document, leaf: Leaf) -> Document:
    """Return the text that a string in a document holds, as a document whose places lead into the same file.

    Places are exact where the string is written as it is: in a literal block, or on one line. Elsewhere they lead
    to the string, with line and column in it.
    """
    text = str(leaf.value)
    inner = Document(text, outer.file)
    start_line, start_column = outer.line_and_column(leaf.offset)
    opening = outer.line(start_line)[start_column + bool(leaf.style) :]

    def origin(line: int, column: int) -> Where:
        written, meant = outer.line(start_line + 1 + line), inner.line(line)
        indent = len(written) - len(meant)
        if leaf.style == "|" and indent >= 0 and written == " " * indent + meant:
            return Where(outer.file, start_line + 2 + line, indent + column + 1)
        if leaf.style not in {"|", ">"} and line == 0 and opening.startswith(meant[: column + 1]):
            return Where(outer.file, start_line + 1, start_column + bool(leaf.style) + column + 1)
        where = outer.at(leaf.offset)
        return Where(
            where.file, where.line, where.column, f" (line {line + 1}, column {column + 1} of this text)"
        )

    return Document(text, outer.file, origin=origin)
