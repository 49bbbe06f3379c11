"""The timeline of the whole suite: which disruption ran when, in which worker."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_chaos.html.links import Disruption
from pytest_chaos.html.scale import Bar, Lane, Scale, span


def suite(disruptions: Sequence[Disruption]) -> tuple[Scale, list[Lane]]:
    """Return one lane for each worker, and their scale; what never began has no place on it."""
    begun = [
        (one.outcome.started_at, one)
        for one in disruptions
        if one.outcome.started_at and one.outcome.timeline
    ]
    zero = min((at for at, _ in begun), default=0.0)
    spans = sorted(
        ((at - zero, at - zero + max(one.outcome.timeline.values()), one) for at, one in begun),
        key=lambda item: item[0],
    )
    scale = Scale(max((end for _, end, _ in spans), default=0.0))
    lanes: dict[str, list[Bar]] = {}
    free: dict[str, list[float]] = {}
    for start, end, one in spans:
        worker = one.outcome.worker or "this process"
        rows = free.setdefault(worker, [])
        row = next((number for number, until in enumerate(rows) if until <= start), len(rows))
        rows[row : row + 1] = [end]
        words = f"{one.outcome.verdict}: {one.outcome.test}, {one.outcome.name}, {span(start, end)}"
        lanes.setdefault(worker, []).append(
            scale.bar(start, end, one.outcome.verdict, words, link=one.id, row=row)
        )
    return scale, [Lane(label=worker, bars=lanes[worker], rows=len(free[worker])) for worker in sorted(lanes)]
