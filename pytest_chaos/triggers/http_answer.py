"""The ``http`` trigger: fire when a URL gives a certain answer."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from pytest_chaos import clocks
from pytest_chaos.base import TRIGGERS, Integral, TimedTrigger
from pytest_chaos.context import RunContext
from pytest_chaos.notation import Url
from pytest_chaos.triggers._asking import Asker, NoAnswer
from pytest_chaos.triggers._pattern import MAX_BYTES, Pattern, Search

_TRY_S: Final = 1.0


@TRIGGERS.register("http")
class HttpTrigger(TimedTrigger):
    """Ask a URL again and again, with GET, and fire at the first answer that has the status and a body that matches.

    Redirects are answers like any other. One second is allowed for each answer.
    """

    type: Literal["http"] = "http"
    url: Annotated[Url, Field(description="What to ask.", examples=["http://127.0.0.1:8080/ready"])]
    status: Annotated[
        int, Field(ge=100, le=599, description="The status of the answer.", examples=[200]), Integral
    ] = 200
    body: Annotated[
        Pattern | None,
        Field(
            description="A regular expression that is found in the first 64 KiB of the body. Any body will do without.",
            examples=["queue: (full|closed)"],
        ),
    ] = None
    every: Annotated[
        float,
        Field(ge=0.01, le=60, description="Seconds between an answer and the next try.", examples=[0.5]),
    ] = 0.1

    def targets(self) -> list[str]:
        """Return the URL."""
        return [self.url]

    def watch(self, ctx: RunContext, until: float) -> bool:
        """Ask until the answer has come."""
        asker = Asker(self.url, ctx.allow(self.url), stop=ctx.stop)
        search = None if self.body is None else Search(self.body)
        tries, ctx.seen = 0, "no answer yet"
        while clocks.monotonic() < until:
            tries += 1
            try:
                status, body = asker.ask(
                    min(clocks.monotonic() + _TRY_S, until), max_bytes=0 if search is None else MAX_BYTES
                )
            except NoAnswer as error:
                said = f"no answer: {error}"
            else:
                said = f"last answer: {status}"
                if status == self.status:
                    if search is None or search.finds(body.decode("utf-8", "replace")):
                        return True
                    said += ", and its body does not match"
            # A try that had to end with the time has nothing to say of the server.
            if clocks.monotonic() < until:
                ctx.seen = f"{said}; tries: {tries}"
            ctx.sleep(min(self.every, until - clocks.monotonic()))
        return False

    def in_words(self) -> str:
        """Return the answer in words."""
        body = "" if self.body is None else f" with a body that matches {self.body!r}"
        return f"when {self.url} answers {self.status}{body}"
