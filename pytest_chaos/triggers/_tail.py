"""Follow a file that others write: whole lines, from now on, also when it is cut off or another one takes its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from pytest_chaos import clocks
from pytest_chaos.errors import FaultFailed
from pytest_chaos.triggers._pattern import MAX_BYTES

_MAX_CHUNKS: Final = 64


class Tail:
    """The lines that are written to ``path`` from now on. A file that does not exist yet counts from its start."""

    _file: int | None = None
    _which: tuple[int, int] | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._partial = b""
        self._open()
        self._at = self._size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def texts(self, seconds: float) -> Iterator[str]:
        """Wait a moment, then yield each line that has come to its end.

        Raises:
            FaultFailed: it is no file that can be followed.
        """
        clocks.sleep(seconds)
        replaced = self._replaced()  # asked first: what was written before that is still in the old file
        yield from self._lines()
        if replaced and self._at >= self._size:
            self._open()
            yield from self._lines()

    def remark(self) -> str:
        """Return what has to be said about it, in words."""
        return "" if self._file is not None else "; it does not exist"

    @property
    def _size(self) -> int:
        return 0 if self._file is None else os.fstat(self._file).st_size

    def _replaced(self) -> bool:
        """Tell whether another file has the name than the one that is open."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unreadable(error) from None
        return (found.st_dev, found.st_ino) != self._which

    def _open(self) -> None:
        """Open the file that has the name, if there is one."""
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise FaultFailed(
                    "no_file", f"{self._path} is no regular file; name the file that is written to"
                )
            # Should a pipe take its place just now, then nobody waits for who writes to it.
            opened = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(error) from None
        if self._file is not None:
            os.close(self._file)
        found = os.fstat(opened)
        self._file, self._which = opened, (found.st_dev, found.st_ino)
        self._at, self._partial = 0, b""

    def _unreadable(self, error: OSError) -> FaultFailed:
        return FaultFailed("no_file", f"{self._path} cannot be read: {error.strerror}")

    def _lines(self) -> Iterator[str]:
        """Yield the lines that are new in the file that is open. What has no end yet is kept for the next time."""
        if self._file is None:
            return
        if self._size < self._at:
            self._at, self._partial = 0, b""
        for _ in range(_MAX_CHUNKS):
            chunk = os.pread(self._file, MAX_BYTES, self._at)
            if not chunk:
                return
            self._at += len(chunk)
            *whole, rest = chunk.split(b"\n")
            for piece in whole:
                line = (self._partial + piece)[:MAX_BYTES]
                self._partial = b""
                yield line.decode("utf-8", "replace").removesuffix("\r")
            self._partial = (self._partial + rest)[:MAX_BYTES]
