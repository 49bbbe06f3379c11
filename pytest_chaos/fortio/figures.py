"""LoadFigures: what a load asked for and what came of it, as it stands in ``ChaosResult.details``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pytest_chaos.context import Measured
from pytest_chaos.errors import FaultFailed
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.locate import ASK_DOCTOR

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Histogram(BaseModel):
    """How many requests took how long: ``counts[i]`` from ``edges_s[i]`` up to, but without, ``edges_s[i + 1]`` seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    edges_s: list[Seconds]
    counts: list[Count]


class LoadFigures(BaseModel):
    """What a load asked for and got.

    ``delivered_qps`` counts requests sent between start marker and stop that got an HTTP response of
    any status, a second; it comes from the access log. Percentiles are seconds over all requests,
    failed ones included. ``responses`` maps status to count, ``-1`` stands for no response.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    asked_qps: Seconds
    delivered_qps: Seconds
    seconds: Seconds
    requests: Count
    responses: dict[str, Count]
    errors: Count
    warmup_requests: Count
    p50_s: Seconds | None
    p90_s: Seconds | None
    p99_s: Seconds | None
    max_s: Seconds | None
    histogram: Histogram | None
    connections: Count | None
    bytes: Count | None
    fortio_version: str | None
    argv: list[str]


def figures(
    log: AccessLog,
    reports: Sequence[Mapping[str, Any]],
    *,
    measured: Measured,
    warmup_requests: int,
    argv: Sequence[str],
) -> LoadFigures:
    """Put together what ``log`` and the reports of all bursts hold; bursts that ended badly have no report."""
    p50, p90, p99, top = log.percentiles((0.5, 0.9, 0.99, 1.0))
    asked, delivered = (
        (measured.due / measured.seconds, measured.delivered / measured.seconds)
        if measured.seconds
        else (0.0, 0.0)
    )
    return LoadFigures(
        asked_qps=round(asked, 3),
        delivered_qps=round(delivered, 3),
        seconds=round(measured.seconds, 6),
        requests=len(log),
        responses=log.codes(),
        errors=log.failed,
        warmup_requests=warmup_requests,
        p50_s=p50,
        p90_s=p90,
        p99_s=p99,
        max_s=top,
        histogram=_histogram(log),
        connections=_total(reports, "SocketCount"),
        bytes=_total(reports, "Sizes", "Sum"),
        fortio_version=next((str(report.get("Version"))[:40] for report in reports), None),
        argv=list(argv),
    )


def cross_check(log_count: int, report: Mapping[str, Any]) -> None:
    """Hold fortio's own count against the access log's.

    Raises:
        FaultFailed: they disagree by more than one in a hundred (``figures_disagree``).
    """
    own = report["DurationHistogram"]["Count"]
    if abs(own - log_count) > max(2, own // 100):
        raise FaultFailed(
            "figures_disagree",
            f"fortio reports {own} requests, its access log holds {log_count}; neither is believed. {ASK_DOCTOR}",
        )


def _histogram(log: AccessLog) -> Histogram | None:
    edges, counts = log.histogram()
    return Histogram(edges_s=edges, counts=counts) if counts else None


def _total(reports: Sequence[Mapping[str, Any]], *path: str) -> int | None:
    total = 0
    for report in reports:
        value: Any = report
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            return None
        total += int(value)
    return total if reports else None
