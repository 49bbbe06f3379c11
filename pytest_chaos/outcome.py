"""What is said of a disruption when it is over: the fault's own result, and our outcome."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from pytest_chaos.scrub import clean, clean_json


def _text(limit: int) -> BeforeValidator:
    return BeforeValidator(lambda value: clean(value, limit) if isinstance(value, str) else value)


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_one_line), _text(500)]
Text = Annotated[str, _text(4_000)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]

REPORT_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Verdict(StrEnum):
    """What a disruption proved. The order is from best to worst."""

    held = "held"
    disabled = "disabled"
    not_judged = "not_judged"
    broke = "broke"
    inconclusive = "inconclusive"
    error = "error"

    @property
    def rank(self) -> int:
        """0 for the best verdict, growing with how bad it is."""
        return list(Verdict).index(self)

    @property
    def fails(self) -> bool:
        """Tell whether a test with this verdict must not be green."""
        return self.rank >= Verdict.broke.rank

    @property
    def proves_nothing(self) -> bool:
        """Tell whether nothing can make up for it: not an expected failure, not an expected error."""
        return self in {Verdict.inconclusive, Verdict.error}


class ChaosResult(BaseModel):
    """What a fault says of itself. Text is scrubbed and capped when the model is built.

    ``success`` is what was measured, never an exit status. A fault that was real but weaker than
    asked says ``success=False`` and how under ``details["shortfall"]``.
    """

    model_config = REPORT_CONFIG

    success: bool
    injected_fault: Line
    output: Text = ""
    elapsed_time: Seconds = 0.0
    error: Text | None = None
    details: Annotated[dict[str, JsonValue], BeforeValidator(clean_json)] = Field(default_factory=dict)


class Window(BaseModel):
    """Figures of the stretch in which the body was meant to be disrupted."""

    model_config = REPORT_CONFIG

    seconds: Seconds = 0.0
    requests: Count | None = None
    delivered_qps: Seconds | None = None
    errors: Count | None = None


class CheckFailure(BaseModel):
    """One time that a check did not hold: when (seconds since the start of setup), in which phase, and what it said."""

    model_config = REPORT_CONFIG

    at_s: float
    phase: Line
    message: Text


class VerifyReport(BaseModel):
    """What the named check said, and when.

    ``phases`` tells of each phase that was asked whether it held. ``samples`` counts how often the check was asked
    during the disruption, ``tries`` how often after it; ``failed`` counts all failures, of which ``failures``
    keeps the first and the last. ``time_to_recover_s`` is the time from the fault's end to the first of two
    consecutive passes (to the one pass, if nothing but one try was allowed).
    """

    model_config = REPORT_CONFIG

    name: Line
    phases: dict[str, bool] = Field(default_factory=dict)
    samples: Count = 0
    tries: Count = 0
    time_to_recover_s: Seconds | None = None
    failed: Count = 0
    failures: list[CheckFailure] = Field(default_factory=list)


class Series(BaseModel):
    """What was measured over time, one entry for each stretch of ``width_s`` seconds.

    The first stretch begins ``start_s`` seconds after the start of setup. ``codes`` maps a status (``-1``: no response) to
    its counts; latencies are seconds, None where nothing was sent.
    """

    model_config = REPORT_CONFIG

    start_s: float
    width_s: Annotated[float, Field(gt=0)]
    requests: list[Count]
    errors: list[Count]
    codes: dict[str, list[Count]]
    p50_s: list[Seconds | None]
    p99_s: list[Seconds | None]
    max_s: list[Seconds | None]


class ChaosOutcome(BaseModel):
    """What we say of one disruption of one test.

    ``test`` is the test's node id, ``asked`` what the spec asks for in words. ``overlap`` is the share (0 to 1) of the
    body window during which it was active, ``overlap_s`` the seconds; ``timeline`` maps moments to seconds since the
    start of setup, which was at ``started_at`` (seconds since the epoch; None if there was none). ``worker`` is the
    process of xdist that ran it, empty without one. ``spec`` is what was written: placeholders unfilled, secrets masked.
    """

    model_config = REPORT_CONFIG

    name: Line
    verdict: Verdict
    reason: Text
    result: ChaosResult
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    overlap_s: Seconds = 0.0
    window: Window = Field(default_factory=Window)
    timeline: dict[str, float] = Field(default_factory=dict)
    verify: VerifyReport | None = None
    series: Series | None = None
    test: Line = ""
    asked: Line = ""
    worker: Line = ""
    started_at: Annotated[float, Field(ge=0, lt=253_402_300_800)] | None = None
    spec: Annotated[dict[str, JsonValue], BeforeValidator(clean_json)] = Field(default_factory=dict)

    @property
    def body_span(self) -> tuple[float, float] | None:
        """When the body began and ended, on the timeline; None if it never began."""
        start = self.timeline.get("body_started")
        end = self.timeline.get("body_failed", self.timeline.get("body_ended"))
        return None if start is None or end is None else (start, end)

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that reports carry."""
        return self.model_dump(mode="json")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts. Raises ``ValueError`` for none."""
    return max(verdicts, key=lambda verdict: verdict.rank)
