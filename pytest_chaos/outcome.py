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
    requests: Annotated[int, Field(ge=0)] | None = None
    delivered_qps: Seconds | None = None
    errors: Annotated[int, Field(ge=0)] | None = None


class VerifyReport(BaseModel):
    """What the named check said, and when."""

    model_config = REPORT_CONFIG

    name: Line
    phases: dict[str, bool] = Field(default_factory=dict)
    tries: Annotated[int, Field(ge=0)] = 0
    time_to_recover_s: Seconds | None = None
    failures: list[Text] = Field(default_factory=list)


class ChaosOutcome(BaseModel):
    """What we say of one disruption of one test.

    ``overlap`` is the share (0 to 1) of the body window during which it was active, ``overlap_s`` the
    seconds; ``timeline`` maps moments to seconds since the start of setup.
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

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that reports carry."""
        return self.model_dump(mode="json")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts. Raises ``ValueError`` for none."""
    return max(verdicts, key=lambda verdict: verdict.rank)
