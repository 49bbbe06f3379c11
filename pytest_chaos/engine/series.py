"""What a meter measured over time, as it stands in an outcome."""

from __future__ import annotations

from pytest_chaos.context import Meter
from pytest_chaos.outcome import Series

_FINE_S = 0.1
_FEW, _MANY = 5, 600


def series_of(meter: Meter, origin: float) -> Series | None:
    """Return what ``meter`` counted by second: by tenth of a second if it was over within five, coarser if it was long.

    Stretches are counted from ``origin`` on the clock of ``clocks.monotonic()``. None if nothing was measured.
    """
    width = 1.0
    slices = meter.slices(origin, width)
    if len(slices) <= _FEW:
        width = _FINE_S
        slices = meter.slices(origin, width)
    while len(slices) > _MANY:
        width *= 10
        slices = meter.slices(origin, width)
    if not slices:
        return None
    codes = sorted({code for one in slices for code in one.codes})
    return Series(
        start_s=round(slices[0].at - origin, 6),
        width_s=width,
        requests=[one.requests for one in slices],
        errors=[one.errors for one in slices],
        codes={str(code): [one.codes.get(code, 0) for one in slices] for code in codes},
        p50_s=[one.p50_s for one in slices],
        p99_s=[one.p99_s for one in slices],
        max_s=[one.max_s for one in slices],
    )
