"""The loads of one ``generate_load``: bounded, run one after another as the agent asks, measured together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, create_model

from pytest_chaos import clocks
from pytest_chaos.agent.chaos_agent import SYSTEM, ChaosAgent
from pytest_chaos.agent.clients import client_for
from pytest_chaos.agent.loop import LoopReport
from pytest_chaos.agent.protocol import Tool
from pytest_chaos.agent.record import PlanFile, PlanKey
from pytest_chaos.base import SPEC_CONFIG, Integral
from pytest_chaos.context import Live, Measured, RunContext, Slice, Span, intersect, total_seconds
from pytest_chaos.errors import Cancelled, ChaosError, FaultFailed, ToolRefused
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.argv import masked
from pytest_chaos.fortio.figures import cross_check, figures
from pytest_chaos.fortio.locate import locate
from pytest_chaos.fortio.run import FortioRun
from pytest_chaos.outcome import ChaosResult

if TYPE_CHECKING:
    from pytest_chaos.faults.generate_load import GenerateLoadFault


class LoadSession:
    """Run the loads of one fault when the agent asks for them, and be the meter of them all."""

    def __init__(self, fault: GenerateLoadFault, ctx: RunContext, active: Event) -> None:
        self._fault = fault
        self._ctx = ctx
        self._active = active
        self._log = AccessLog()
        self._bursts: list[tuple[int, FortioRun]] = []
        self._reports: list[Mapping[str, Any]] = []
        self._argv: list[str] = []
        self._binary = self._ip = ""
        self._capped = False
        self._failure: ChaosError | None = None

    def run(self) -> ChaosResult:
        """Let the agent run its loads. Raises ``Cancelled`` if nothing was measured before the stop."""
        ctx, settings = self._ctx, self._ctx.settings
        began = clocks.monotonic()
        agent: LoopReport | None = None
        try:
            self._fault.plan(settings)
            self._ip = ctx.allow(self._fault.target.service_url).ip
            self._binary = str(locate(settings.fortio).path)
            ctx.meter = self
            goal, tool = self._goal(), self._tool()
            plan = self._plan_file(goal, tool)
            client = client_for(settings, [("generate_load", self._as_written())], plan)
            agent = ChaosAgent(client=client, max_tokens=settings.max_tokens).run(
                goal,
                [tool],
                deadline=began + settings.start_timeout_s + settings.caps.max_duration_s,
                cancelled=ctx.stop.is_set,
            )
            if plan is not None and settings.agent == "record" and self._failure is None:
                plan.write(agent)
        except Cancelled:
            raise
        except ChaosError as error:
            self._failure = error
            agent = agent or getattr(error, "report", None)
        return self._result(agent, clocks.monotonic() - began)

    # ------------------------------------------------------------------ what the agent may do

    def _goal(self) -> str:
        """Return what the agent is told. The target is not part of it."""
        target = self._fault.target
        length = f"for {target.duration}" if target.duration else "until the test is over"
        written = self._ctx.authored.get("action", {}).get("goal") or self._fault.goal
        asked = written or f"Put a steady {target.qps} requests a second on the service, {length}."
        return f"{asked}\nYou may run at most {self._fault.bursts} load(s) of at most {self._max_qps()} requests a second."

    def _plan_file(self, goal: str, tool: Tool) -> PlanFile | None:
        settings = self._ctx.settings
        if settings.plan_dir is None:
            return None
        key = PlanKey.of(
            spec=self._ctx.authored, prompt=f"{SYSTEM}\n{goal}", model=settings.model, tools=[tool]
        )
        return PlanFile(
            directory=Path(settings.plan_dir), test=self._ctx.task_id, ordinal=self._ctx.ordinal, key=key
        )

    def _max_qps(self) -> int:
        cap = self._ctx.settings.caps.max_qps
        return min(self._fault.target.qps, cap) if "qps" in self._fault.target.model_fields_set else cap

    def _as_written(self) -> dict[str, Any]:
        """Return the load that the spec asks for, as arguments of the tool."""
        target = self._fault.target
        return {
            "qps": target.qps,
            "duration_s": target.seconds,
            "concurrency": self._fault.connections(self._ctx.settings),
        }

    def _tool(self) -> Tool:
        """Return the one thing an agent may do. What the spec says is a ceiling for the rate, and exact for the rest."""
        target, caps = self._fault.target, self._ctx.settings.caps
        length: Any = (Annotated[float, Field(ge=0.001, le=caps.max_duration_s)] | None, None)
        if target.seconds is not None:
            length = (Annotated[float, Field(ge=target.seconds, le=target.seconds)], target.seconds)
        connections: Any = (Annotated[int, Field(ge=1, le=caps.max_concurrency), Integral] | None, None)
        if target.concurrency is not None:
            exact = Field(ge=target.concurrency, le=target.concurrency)
            connections = (Annotated[int, exact, Integral], target.concurrency)
        rate: Any = (
            Annotated[int, Field(ge=1, le=self._max_qps(), description="Requests a second."), Integral],
            ...,
        )
        args: type[BaseModel] = create_model(
            "GenerateLoad", __config__=SPEC_CONFIG, qps=rate, duration_s=length, concurrency=connections
        )
        return Tool(
            name="generate_load",
            description=(
                "Send requests to the service at `qps` a second, for `duration_s` seconds (null: until the test is over), "
                "over `concurrency` connections (null: as many as fit). Returns what was measured."
            ),
            args=args,
            run=self._burst,
            max_calls=self._fault.bursts,
        )

    def _burst(self, args: Any) -> Mapping[str, Any]:
        ctx, settings = self._ctx, self._ctx.settings
        left = settings.caps.max_duration_s - total_seconds(self._spans())
        if left <= 0 or (args.duration_s or 0) > left + 0.001:
            raise ToolRefused(f"only {max(0.0, left):.3g} s of load are left for all bursts together")
        self._argv = self._fault.argv(
            settings,
            binary=self._binary,
            ip=self._ip,
            qps=args.qps,
            concurrency=args.concurrency,
            label=f"pytest-chaos:{ctx.task_id}",
        )
        since = len(self._log)
        try:
            run = FortioRun(self._argv, qps=args.qps, spawn=ctx.spawn, log=self._log)
            self._bursts.append((args.qps, run))
            report = run.run(
                stop=ctx.stop,
                seconds=args.duration_s,
                limit_s=left,
                start_within_s=0.9
                * settings.start_timeout_s,  # so that fortio's own words come before the engine gives up
                grace_s=max(1.0, min(self._fault.target.timeout_s + 2, settings.stop_timeout_s - 2)),
                active=self._active,
            )
            self._reports.append(report)
            cross_check(run.logged, report)
            self._capped |= args.duration_s is None and not ctx.stop.is_set()
        except Cancelled:
            if not self._spans():
                raise
            return {"error": "cancelled"}  # what was measured before counts all the same
        except FaultFailed as error:
            self._failure = error
            return {"error": error.kind}
        measured = self.measure([run.span] if run.span else [])
        p50, p90, p99 = self._log.percentiles((0.5, 0.9, 0.99), since)
        return {
            "asked_qps": args.qps,
            "delivered_qps": round(measured.delivered / measured.seconds, 1) if measured.seconds else 0.0,
            "seconds": round(measured.seconds, 3),
            "requests": measured.requests,
            "errors": measured.errors,
            "responses": self._log.codes(since),
            "p50_s": p50,
            "p90_s": p90,
            "p99_s": p99,
        }

    # ------------------------------------------------------------------ what was measured

    def _spans(self) -> list[Span]:
        return [run.span for _, run in self._bursts if run.span]

    def measure(self, spans: Sequence[Span]) -> Measured:
        """Count what the bursts were due to send inside ``spans``, and what was answered."""
        due, running = 0.0, []
        for qps, run in self._bursts:
            inside = intersect([run.span], spans) if run.span else []
            due += qps * total_seconds(inside)
            running += inside
        requests, delivered, errors = self._log.count(running)
        return Measured(
            seconds=total_seconds(running), due=due, requests=requests, delivered=delivered, errors=errors
        )

    def live(self) -> Live:
        """Return what all bursts have come to so far; the rate that is asked for is that of the last one."""
        seconds = total_seconds(self._spans())
        return Live(
            asked_qps=self._bursts[-1][0] if self._bursts else self._fault.target.qps,
            delivered_qps=self._log.answered / seconds if seconds else 0.0,
            requests=len(self._log),
            errors=self._log.failed,
        )

    def slices(self, origin: float, width_s: float) -> Sequence[Slice]:
        """Return the requests of all bursts over time."""
        spans = self._spans()
        return self._log.slices((spans[0][0], spans[-1][1]), origin=origin, width_s=width_s) if spans else []

    @property
    def min_delivered(self) -> float:
        """The share of the asked rate that must arrive."""
        return self._fault.target.min_delivered

    @property
    def remedy(self) -> str:
        """What to change when too little arrived, from what was measured."""
        target = self._fault.target
        connections = self._fault.connections(self._ctx.settings)
        pace = connections / target.qps
        (slow,) = self._log.percentiles((0.9,))
        unanswered = self._log.codes().get("-1", 0)
        advice = []
        if slow is not None and slow > 0.8 * pace and unanswered < len(self._log) / 2:
            advice.append(
                f"answers took {slow:.3g} s (p90), but each of the {connections} connections must answer within "
                f"{pace:.3g} s to keep up: set `concurrency` to {math.ceil(target.qps * slow * 1.5)} or more"
            )
        if unanswered:
            advice.append(
                f"{unanswered} of {len(self._log)} requests got no response: is the target still up?"
            )
        advice.append("ask for a lower `qps`, or accept less with `min_delivered`")
        return "; ".join(advice)

    def _result(self, agent: LoopReport | None, elapsed: float) -> ChaosResult:
        """Say what was measured over all bursts. What the agent says of it does not matter."""
        measured = self.measure(self._spans())
        if self._failure is None:
            self._failure = self._nothing(agent, measured)
        shortfall = self._shortfall(measured) if self._failure is None else None
        numbers = figures(
            self._log,
            self._reports,
            measured=measured,
            warmup_requests=sum(run.threads for _, run in self._bursts),
            argv=masked(self._argv),
        )
        details: dict[str, Any] = {
            **numbers.model_dump(mode="json"),
            "agent": agent.to_json() if agent else None,
        }
        if shortfall:
            details["shortfall"] = shortfall
        if isinstance(self._failure, FaultFailed):
            details["failure"] = self._failure.kind
        return ChaosResult(
            success=self._failure is None and shortfall is None,
            injected_fault=self._fault.type,
            output=f"{numbers.requests} requests, {numbers.delivered_qps:g} of {numbers.asked_qps:g} a second answered",
            elapsed_time=elapsed,
            error=str(self._failure) if self._failure else shortfall,
            details=details,
        )

    def _nothing(self, agent: LoopReport | None, measured: Measured) -> FaultFailed | None:
        if not self._bursts:
            if self._ctx.stop.is_set():
                raise Cancelled("asked to stop before the agent had run a load")
            why = f" ({agent.stop}: {agent.text or 'no words'})" if agent else ""
            return FaultFailed("no_load", f"the agent ended without having run a load{why}")
        if measured.delivered == 0:
            return FaultFailed("no_response", "no request got a response; is the target up?")
        return None

    def _shortfall(self, measured: Measured) -> str | None:
        if self._capped:
            cap = self._ctx.settings.caps.max_duration_s
            return f"the load ended at the cap of {cap:g} s, before the body did; raise chaos_max_duration"
        if measured.is_short(self.min_delivered):
            return f"under-delivered: {measured.in_words()}; {self.remedy}"
        return None
