"""Overhear what is logged from now on, at next to no cost for whoever logs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Final, Self

from pytest_chaos.triggers._pattern import MAX_BYTES

_MAX_WAITING: Final = 10_000
_OURS: Final = "pytest_chaos"


class Records:
    """The messages of the records that reach ``logger`` from now on, except for our own.

    What is logged waits in a queue. When that is full, records are counted and left out.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._ear = _Ear()
        logger.addHandler(self._ear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._ear)
        self._ear.close()

    def texts(self, seconds: float) -> Iterator[str]:
        """Yield the messages that wait; if there are none, the first that comes within some seconds."""
        self._logger.addHandler(self._ear)  # again, because logging.config throws out what it does not know
        with contextlib.suppress(Empty):
            record = self._ear.waiting.get(timeout=seconds)
            while True:
                if str(record.name).partition(".")[0] != _OURS:
                    yield _message(record)
                record = self._ear.waiting.get_nowait()

    def remark(self) -> str:
        """Return what has to be said about it, in words."""
        return f"; {self._ear.lost} more came too fast" if self._ear.lost else ""


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: SimpleQueue[logging.LogRecord] = SimpleQueue()
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self.waiting.qsize() < _MAX_WAITING:
            self.waiting.put(record)
        else:
            self.lost += 1


def _message(record: logging.LogRecord) -> str:
    """Return the message with its arguments; as it was written, if they do not fit."""
    for read in (record.getMessage, lambda: str(record.msg)):
        with contextlib.suppress(Exception):
            return str(read())[:MAX_BYTES]
    return ""
