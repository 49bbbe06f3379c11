"""The ``log`` trigger: fire when something is logged, or written to a file, that matches a pattern."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pytest_chaos import clocks
from pytest_chaos.base import TRIGGERS, TimedTrigger
from pytest_chaos.context import RunContext
from pytest_chaos.notation import Plain
from pytest_chaos.triggers._pattern import Pattern, Search
from pytest_chaos.triggers._records import Records
from pytest_chaos.triggers._tail import Tail

_SLICE_S: Final = 0.02


@TRIGGERS.register("log")
class LogTrigger(TimedTrigger):
    """Fire at a record of Python's ``logging`` whose message matches, or at a line of a file.

    Only what is logged or written from the moment on at which it begins to wait counts.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "dependentSchemas": {
                "file": {
                    "if": {"properties": {"file": {"type": "string"}}},
                    "then": {"properties": {"logger": {"type": "null"}}},
                }
            }
        }
    )

    listens: ClassVar[bool] = True

    type: Literal["log"] = "log"
    pattern: Annotated[
        Pattern,
        Field(
            description="A regular expression that is found in the message or line.",
            examples=["order \\d+ paid"],
        ),
    ]
    logger: Annotated[
        Annotated[str, Field(min_length=1, max_length=200), Plain] | None,
        Field(
            description="The logger whose records count, with those below it. All do without.",
            examples=["shop"],
        ),
    ] = None
    file: Annotated[
        Annotated[str, Field(min_length=1, max_length=4096), Plain] | None,
        Field(
            description="A file whose lines count instead of records, from the directory where pytest was started.",
            examples=["logs/shop.log"],
        ),
    ] = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.file is not None and self.logger is not None:
            raise PydanticCustomError(
                "between_keys",
                "{message}",
                {"key": "logger", "message": "records of a logger, or lines of a `file`: it cannot be both"},
            )
        return self

    def watch(self, ctx: RunContext, until: float) -> bool:
        """Look at what is logged or written until something matches."""
        looked = 0
        with self._source(ctx) as source:
            ctx.listening.set()
            search = Search(self.pattern)
            while (left := until - clocks.monotonic()) > 0:
                for text in source.texts(min(left, _SLICE_S)):
                    looked += 1
                    if search.finds(text):
                        return True
                    if ctx.stop.is_set() or clocks.monotonic() >= until:
                        break
                ctx.seen = f"{self._what()} that were looked at: {looked}{source.remark()}"
                ctx.sleep(0)
        return False

    def in_words(self) -> str:
        """Return the pattern and where it is looked for, in words."""
        if self.file is not None:
            return f"when a line that matches {self.pattern!r} is written to {self.file!r}"
        return f"when something that matches {self.pattern!r} is logged by {self._logger_in_words()}"

    def _source(self, ctx: RunContext) -> Records | Tail:
        if self.file is None:
            return Records(logging.getLogger(self.logger))
        return Tail(Path(ctx.settings.started_in, self.file))

    def _what(self) -> str:
        return f"records of {self._logger_in_words()}" if self.file is None else f"lines of {self.file!r}"

    def _logger_in_words(self) -> str:
        return "any logger" if self.logger is None else f"the logger {self.logger!r}"
