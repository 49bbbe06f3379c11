"""What a disruption would do, told before anything is touched: no socket, no name, no process."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from pytest_chaos.engine.guard import LOOPBACK, Guard
from pytest_chaos.engine.run import Wait
from pytest_chaos.outcome import Line, Text
from pytest_chaos.placeholders import names
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

PLAN_SCHEMA_VERSION: Final = 1


class TargetPlan(BaseModel):
    """One target, and what the guard says of it as far as that is known without resolving a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Line
    decision: Line


class DisruptionPlan(BaseModel):
    """One disruption as it would run.

    Attributes:
        source: ``file:line`` where it was authored.
        trigger: when it fires, in words.
        wait: what the body waits for.
        summary: what the fault does, in words.
        argv: the command line as it would run; what only a fixture can fill stays visible.
        agent: who plans the load.
        caps: the caps in force.
        max_requests: requests at most; None if the fault sends none.
        max_seconds: seconds at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: Line
    ordinal: int
    name: Line
    source: Line
    trigger: Line
    wait: str
    fault: Line
    summary: Line
    argv: list[Text]
    agent: Line
    caps: dict[str, float]
    targets: list[TargetPlan]
    max_requests: int | None
    max_seconds: float | None
    verify: Line | None
    verify_phases: list[Line]
    recover_within: float
    warnings: list[Text]


def plan_disruption(
    spec: ChaosSpec, *, test: str, ordinal: int, source: str, wait: Wait, settings: Settings
) -> DisruptionPlan:
    """Describe ``spec``. Its own ``plan`` says what ``inject`` will carry out.

    Raises:
        TargetRefused: the settings do not allow it.
    """
    plan = spec.action.plan(settings)
    guard = Guard(settings.allowed_targets)
    targets = [TargetPlan(url=url, decision=_decision(guard, url)) for url in _urls(spec)]
    caps = settings.caps
    told = DisruptionPlan(
        test=test,
        ordinal=ordinal,
        name=spec.name,
        source=source,
        trigger=spec.trigger.in_words(),
        wait=wait.value,
        fault=spec.action.type,
        summary=plan.summary,
        argv=list(plan.argv),
        agent=settings.agent if settings.agent == "planned" else f"{settings.agent} ({settings.model})",
        caps={
            "max_qps": caps.max_qps,
            "max_duration_s": caps.max_duration_s,
            "max_concurrency": caps.max_concurrency,
        },
        targets=targets,
        max_requests=plan.max_requests,
        max_seconds=plan.max_seconds,
        verify=spec.verify,
        verify_phases=list(spec.verify_phases) if spec.verify else [],
        recover_within=spec.recover_within,
        warnings=[*plan.warnings, *_warnings(spec, wait, targets)],
    )
    redactor = spec.redactor(settings)
    free = ("name", "trigger", "summary", "argv", "targets", "warnings")
    return DisruptionPlan.model_validate(redactor.fields(told.model_dump(), *free))


def lines(plan: DisruptionPlan) -> Iterator[str]:
    """Yield the plan as lines of text for people."""
    yield f"{plan.test}  {plan.name!r}  ({plan.source})"
    yield f"    when     {plan.trigger}; the body starts {_START[Wait(plan.wait)]} (wait={plan.wait!r})"
    yield f"    what     {plan.fault}: {plan.summary}"
    if plan.argv:
        yield f"    command  {shlex.join(plan.argv)}"
    limits = [f"{plan.max_requests} requests"] if plan.max_requests is not None else []
    limits += [f"{plan.max_seconds:g} s"] if plan.max_seconds is not None else []
    yield f"    limits   at most {', '.join(limits) or 'what the fault itself allows'}; caps: {_caps(plan.caps)}"
    yield f"    agent    {plan.agent}"
    for target in plan.targets:
        yield f"    target   {target.url}: {target.decision}"
    yield f"    verify   {_check(plan)}"
    for warning in plan.warnings:
        yield f"    warning  {warning}"


_START: Final = {
    Wait.active: "once it is active",
    Wait.done: "once it is over",
    Wait.none: "at once, and the trigger's clock with it",
}


def _check(plan: DisruptionPlan) -> str:
    if plan.verify is None:
        return "nothing"
    within = f", again within {plan.recover_within:g} s" if plan.recover_within else ""
    return f"{plan.verify!r} {', '.join(plan.verify_phases)}{within}"


def _urls(spec: ChaosSpec) -> list[str]:
    return list(dict.fromkeys((*spec.trigger.targets(), *spec.action.targets())))


def _caps(caps: dict[str, float]) -> str:
    return f"{caps['max_qps']:g} qps, {caps['max_duration_s']:g} s, {caps['max_concurrency']:g} connections"


def _decision(guard: Guard, url: str) -> str:
    if holes := names(url):
        return f"known once {', '.join('{{' + hole + '}}' for hole in holes)} is filled"
    return guard.forecast(url)


def _warnings(spec: ChaosSpec, wait: Wait, targets: list[TargetPlan]) -> Iterator[str]:
    delay: Any = getattr(spec.trigger, "delay_seconds", 0)
    if wait is Wait.active and delay:
        yield f'the delay of {delay:g} s is spent in setup; "{delay:g} s into the test" is wait="none"'
    for target in targets:
        if target.decision != LOOPBACK and not names(target.url):
            yield f"{target.url} is not certainly loopback: {target.decision}"
