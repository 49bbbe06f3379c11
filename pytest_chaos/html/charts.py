"""What the charts of one disruption show: its series, thinned where it is long, and its latencies by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from pytest_chaos.outcome import ChaosOutcome, Series

_LATENCIES: Final = {"p50": "p50_s", "p99": "p99_s", "max": "max_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: what it is, and what it shows in words."""

    kind: str
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """The charts of one disruption, the numbers that the page draws them from, and how these were come by."""

    charts: list[Chart]
    data: dict[str, Any]
    note: str


def charts(outcome: ChaosOutcome, limit: int) -> Charts | None:
    """Return the charts, of at most ``limit`` points a line; None if nothing was measured."""
    window = outcome.body_span
    found: list[Chart] = []
    data: dict[str, Any] = {"window": window}
    if (series := outcome.series) is not None:
        shaded = f" The body ran from {window[0]:.3f} s to {window[1]:.3f} s." if window else ""
        data |= {"start": series.start_s, "width": series.width_s}
        for kind, title, unit, lines in (
            ("rate", "Requests a second, by status", "", _rates(series)),
            ("latency", "Latency over time", " ms", _latencies(series)),
        ):
            data[kind] = [_line(name, values, limit) for name, values in lines.items()]
            words = f"{title}. {_ranges(lines, unit)}.{shaded}"
            found.append(Chart(kind=kind, title=title, words=words))
    if (histogram := _histogram(outcome)) is not None:
        data["histogram"] = histogram
        found.append(Chart(kind="histogram", title="Latency of all requests", words=_classes(histogram)))
    note = "" if series is None else _note(series, limit)
    return Charts(charts=found, data=data, note=note) if found else None


def thin(values: Sequence[float | None], limit: int) -> list[int]:
    """Return which of ``values`` to draw: all, or at most ``limit`` (at least 5) of them.

    Of each group of neighbours the lowest and the highest are kept, and one that is missing if there is any; the
    first and the last of all are kept as well. So every point was measured, and no peak and no gap is lost.
    """
    count = len(values)
    if count <= limit:
        return list(range(count))
    groups = (limit - 2) // (3 if None in values else 2)
    kept = {0, count - 1}
    for group in range(groups):
        members = range(group * count // groups, (group + 1) * count // groups)
        known = [(value, at) for at in members if (value := values[at]) is not None]
        if known:
            kept |= {min(known)[1], max(known)[1]}
        kept |= set([at for at in members if values[at] is None][:1])
    return sorted(kept)


def _line(name: str, values: Sequence[float | None], limit: int) -> dict[str, Any]:
    """Return a line as the page reads it; ``at`` counts stretches, and is left out where all of them are drawn."""
    at = thin(values, limit)
    placed = {"at": at} if len(at) < len(values) else {}
    return {"name": name, **placed, "value": [_short(values[one]) for one in at]}


def _rates(series: Series) -> dict[str, list[float | None]]:
    return {
        "no response" if code == "-1" else code: [count / series.width_s for count in counts]
        for code, counts in series.codes.items()
    }


def _latencies(series: Series) -> dict[str, list[float | None]]:
    return {
        name: [None if value is None else 1000 * value for value in getattr(series, key)]
        for name, key in _LATENCIES.items()
    }


def _short(value: float | None) -> float | None:
    if value is None:
        return None
    value = round(value, 3)
    return int(value) if value == int(value) else value


def _ranges(lines: Mapping[str, Sequence[float | None]], unit: str) -> str:
    known = {name: [value for value in values if value is not None] for name, values in lines.items()}
    return "; ".join(
        f"{name}: {min(values):g} to {max(values):g}{unit}" if values else f"{name}: nothing"
        for name, values in known.items()
    )


def _note(series: Series, limit: int) -> str:
    count = len(series.requests)
    note = f"{count} stretches of {series.width_s:g} s; the first and the last may be cut short."
    if count > limit:
        note += f" Of each line at most {limit} are drawn: the lowest and the highest of each group of neighbours."
    return note


def _histogram(outcome: ChaosOutcome) -> dict[str, Any] | None:
    told = outcome.result.details.get("histogram")
    if not isinstance(told, dict):
        return None
    edges, counts = told.get("edges_s"), told.get("counts")
    if not _numbers(edges) or not _numbers(counts) or len(edges) != len(counts) + 1:
        return None
    return {"edges": [float(f"{1000 * edge:.6g}") for edge in edges], "counts": counts}


def _numbers(value: object) -> TypeGuard[list[float]]:
    return isinstance(value, list) and bool(value) and all(type(one) in (int, float) for one in value)


def _classes(histogram: Mapping[str, Any]) -> str:
    edges, counts = histogram["edges"], histogram["counts"]
    most = max(range(len(counts)), key=counts.__getitem__)
    return (
        f"Latency of all requests, {len(counts)} classes from {edges[0]:g} ms to {edges[-1]:g} ms. "
        f"Most, {counts[most]} of {sum(counts)}, took {edges[most]:g} to {edges[most + 1]:g} ms."
    )
