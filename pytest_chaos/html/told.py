"""What the page tells of one outcome: figures in words, the agent's calls, the rest as it is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

import yaml

from pytest_chaos.outcome import ChaosOutcome

_TOLD_ELSEWHERE: Final = {
    *("asked_qps", "delivered_qps", "seconds", "requests", "responses", "errors", "warmup_requests"),
    *("p50_s", "p90_s", "p99_s", "max_s", "connections", "bytes", "fortio_version"),
    *("argv", "agent", "histogram"),
}
NOTHING: Final = "-"
# The one in C is a tenth as slow; it is there unless yaml was built without it.
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One thing that an agent asked for, and what became of it."""

    tool: str
    args: str
    fate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who planned, how that went, and its last words."""

    facts: list[tuple[str, str]]
    text: str
    calls: list[Call] = field(default_factory=list)


def number(value: object, digits: int = 1, unit: str = "") -> str:
    """Return a figure as text, or a dash for what is none."""
    if not _is_number(value):
        return NOTHING
    return f"{value:,}{unit}" if isinstance(value, int) else f"{value:,.{digits}f}{unit}"


def milliseconds(seconds: object) -> str:
    """Return seconds in milliseconds, as text."""
    return number(1000.0 * seconds, 2, " ms") if _is_number(seconds) else NOTHING


def moment(at: float | None) -> str:
    """Return a moment since the epoch in UTC, for people."""
    return NOTHING if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def figures(outcome: ChaosOutcome) -> Iterator[tuple[str, str]]:
    """Yield what was asked for and what was measured, by name."""
    details, window = outcome.result.details, outcome.window
    if "asked_qps" in details:
        yield "asked, a second", number(details["asked_qps"])
        yield "delivered, a second", number(details.get("delivered_qps"))
        yield "delivered within the body, a second", number(window.delivered_qps)
        yield "requests", f"{number(details.get('requests'))}, {number(window.requests)} within the body"
        yield "errors", f"{number(details.get('errors'))}, {number(window.errors)} within the body"
        yield "responses", _responses(details.get("responses"))
        yield "requests to warm up", number(details.get("warmup_requests"))
        shares = ("p50", "p90", "p99", "max")
        yield "latency", ", ".join(f"{share} {milliseconds(details.get(f'{share}_s'))}" for share in shares)
        yield "connections opened", number(details.get("connections"))
        yield "bytes received", number(details.get("bytes"))
        yield "fortio", str(details.get("fortio_version") or NOTHING)
    yield (
        "active while the body ran",
        f"{outcome.overlap:.1%}, {outcome.overlap_s:.3f} s of {window.seconds:.3f} s",
    )
    yield "the fault took", f"{outcome.result.elapsed_time:.3f} s"
    if outcome.started_at is not None:
        yield "setup began", moment(outcome.started_at)
    if outcome.worker:
        yield "worker", outcome.worker


def moments(outcome: ChaosOutcome) -> str:
    """Return every moment of the timeline in words, in their order."""
    ordered = sorted(outcome.timeline.items(), key=lambda item: item[1])
    return ", ".join(f"{name.replace('_', ' ')} at {at:.3f} s" for name, at in ordered)


def command(outcome: ChaosOutcome) -> str:
    """Return the command line that ran, empty if there was none."""
    argv = outcome.result.details.get("argv")
    return shlex.join(map(str, argv)) if isinstance(argv, list) else ""


def more(outcome: ChaosOutcome) -> str:
    """Return the details of the fault that nothing else tells; empty if there are none."""
    rest = {key: value for key, value in outcome.result.details.items() if key not in _TOLD_ELSEWHERE}
    return pretty(rest) if rest else ""


def agent(outcome: ChaosOutcome) -> Agent | None:
    """Return what the agent did, if one took part."""
    told = outcome.result.details.get("agent")
    if not isinstance(told, dict):
        return None
    facts = [
        (key.replace("_", " "), str(told[key]))
        for key in ("client", "model", "stop", "turns", "tokens")
        if told.get(key)
    ]
    calls = told.get("calls")
    return Agent(
        facts=facts,
        text=str(told.get("model_text") or ""),
        calls=[_call(one) for one in calls if isinstance(one, dict)] if isinstance(calls, list) else [],
    )


def pretty(value: Any) -> str:
    """Return plain JSON as YAML, for people."""
    text: str = yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)
    return text.removesuffix("...\n").rstrip()


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _call(told: Mapping[str, Any]) -> Call:
    refused = told.get("refused")
    fate = f"refused: {refused}" if refused else pretty(told.get("output"))
    return Call(tool=str(told.get("tool")), args=pretty(told.get("args")), fate=fate)


def _responses(told: object) -> str:
    if not isinstance(told, dict) or not told:
        return NOTHING
    return ", ".join(
        f"{number(count)} x {'no response' if code == '-1' else code}" for code, count in told.items()
    )
