"""The ``generate_load`` fault: real requests from a real fortio, at a rate, against one URL."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, create_model

from pytest_chaos.agent.chaos_agent import ChaosAgent
from pytest_chaos.agent.loop import LoopReport
from pytest_chaos.agent.planned import PlannedClient
from pytest_chaos.agent.protocol import Tool
from pytest_chaos.base import FAULTS, SPEC_CONFIG, Fault, Integral, Plan
from pytest_chaos.context import Measured, RunContext, Span, intersect, total_seconds
from pytest_chaos.errors import Cancelled, ChaosError, FaultFailed, TargetRefused
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.argv import Load, load_argv, masked
from pytest_chaos.fortio.figures import cross_check, figures
from pytest_chaos.fortio.locate import locate
from pytest_chaos.fortio.run import FortioRun
from pytest_chaos.notation import Duration, HeaderName, HeaderValue, Url, seconds
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.placeholders import PLACEHOLDER
from pytest_chaos.settings import HARD_MAX_CONCURRENCY, HARD_MAX_QPS, Settings

# fortio paces wrongly under a short -t, so it always gets a long one; it only bounds an orphan.
_RUN_LIMIT_S: Final = 600.0
_ANSWER_WITHIN_S: Final = 0.25
_FRAMING: Final = {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}


def _no_framing(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if name.lower() in _FRAMING:
            raise ValueError(f"header {name!r} belongs to the connection; it cannot be set")
    return headers


class LoadTarget(BaseModel):
    """What is put under load, how hard, and how much of it must really arrive."""

    model_config = SPEC_CONFIG

    service_url: Annotated[
        Url,
        StringConstraints(max_length=2000),
        Field(description="URL that is requested.", examples=["http://127.0.0.1:8080/checkout"]),
    ]
    qps: Annotated[
        int, Field(ge=1, le=HARD_MAX_QPS, description="Requests a second over all connections."), Integral
    ] = 100
    duration: Annotated[
        Duration | None, Field(description="How long the load lasts; without it, until the body ends.", examples=["30s"])
    ] = None
    concurrency: Annotated[
        Annotated[int, Field(ge=1, le=HARD_MAX_CONCURRENCY), Integral] | None,
        Field(
            description="Connections. Without it as many as answers of 0.25 s need. A connection that answers slower "
            "than concurrency / qps skips its turns."
        ),
    ] = None
    timeout: Annotated[
        Duration, Field(description="How long one request may take, at most 30s.", examples=["500ms"])
    ] = "3s"
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], Field(description="HTTP method.")
    ] = "GET"
    headers: Annotated[
        dict[HeaderName, HeaderValue],
        Field(max_length=50, description="Request headers; their values are masked in all output."),
        AfterValidator(_no_framing),
    ] = Field(default_factory=dict)
    body: Annotated[str | None, Field(max_length=65_536, description="Request body.")] = None
    min_delivered: Annotated[
        float, Field(ge=0, le=1, description="Share of the asked rate that must arrive for the load to count.")
    ] = 0.9

    @property
    def seconds(self) -> float | None:
        """The duration in seconds; None if there is none or it is not filled in yet."""
        return None if self.duration is None or PLACEHOLDER.search(self.duration) else seconds(self.duration)

    @property
    def timeout_s(self) -> float:
        """The time limit of one request in seconds."""
        return 3.0 if PLACEHOLDER.search(self.timeout) else seconds(self.timeout)


@FAULTS.register("generate_load")
class GenerateLoadFault(Fault):
    """Put a URL under load with fortio, and count what was really answered."""

    type: Literal["generate_load"] = "generate_load"
    target: LoadTarget

    def targets(self) -> list[str]:
        """Return the one URL."""
        return [self.target.service_url]

    def ends_by_itself(self) -> bool:
        """Tell whether there is a duration."""
        return self.target.duration is not None

    def plan(self, settings: Settings) -> Plan:
        """Return the load in numbers, with the command line that will run.

        Raises:
            TargetRefused: rate, duration, connections or time limit are above the caps.
        """
        target, caps = self.target, settings.caps
        for name, asked, cap, ini in (
            ("qps", target.qps, caps.max_qps, "chaos_max_qps"),
            ("duration", target.seconds, caps.max_duration_s, "chaos_max_duration"),
            ("concurrency", target.concurrency, caps.max_concurrency, "chaos_max_concurrency"),
            ("timeout", target.timeout_s, 30, None),
        ):
            if asked is not None and asked > cap:
                fix = f"ask for less, or raise {ini}" if ini else "ask for less"
                raise TargetRefused(f"action.target.{name}: {asked:g} is above the cap of {cap:g}; {fix}")
        limit = target.seconds or caps.max_duration_s
        warnings = []
        if target.qps < 10:
            warnings.append(f"at {target.qps} requests a second a body under {2 / target.qps:g} s may see none")
        length = "until the body ends" if target.duration is None else f"for {target.duration}"
        return Plan(
            summary=f"{target.qps} requests a second to {target.service_url} {length}",
            argv=masked(self.argv(settings, binary="fortio", ip=_known_address(target.service_url))),
            max_requests=math.ceil(target.qps * limit) + self.connections(settings),
            max_seconds=limit,
            warnings=tuple(warnings),
        )

    def connections(self, settings: Settings, qps: int | None = None) -> int:
        """Return the connections for ``qps`` (the spec's own rate if None): as written, or enough for 0.25 s answers."""
        fitting = max(2, math.ceil((qps or self.target.qps) * _ANSWER_WITHIN_S))
        return self.target.concurrency or min(fitting, settings.caps.max_concurrency)

    def argv(
        self,
        settings: Settings,
        *,
        binary: str,
        ip: str,
        qps: int | None = None,
        concurrency: int | None = None,
        label: str = "pytest-chaos",
    ) -> list[str]:
        """Return the command line for one load; without numbers, for the one that the spec asks for."""
        target = self.target
        load = Load(
            url=target.service_url,
            qps=qps or target.qps,
            concurrency=concurrency or self.connections(settings, qps),
            timeout_s=target.timeout_s,
            method=target.method,
            headers=tuple(target.headers.items()),
            body=target.body,
            label=label,
        )
        run_limit_s = max(_RUN_LIMIT_S, 2 * settings.caps.max_duration_s)
        return load_argv(load, binary=binary, ip=ip, run_limit_s=run_limit_s)

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        """Run the load until its duration is over or ``ctx.stop`` is set, and say what was measured.

        Raises:
            Cancelled: ``ctx.stop`` was set before a request was measured.
        """
        began = time.monotonic()
        session = _Session(self, ctx, chaos_active_event or threading.Event())
        agent: LoopReport | None = None
        try:
            session.prepare()
            agent = ChaosAgent(client=PlannedClient([("generate_load", session.as_written())])).run(
                f"Put {self.target.qps} requests a second on the target.", [session.tool()], cancelled=ctx.stop.is_set
            )
        except Cancelled:
            raise
        except ChaosError as error:
            session.failure = error
        return session.result(agent, time.monotonic() - began)


class _Session:
    """The loads of one ``inject``: runs them when the agent asks, and is the meter of them all."""

    def __init__(self, fault: GenerateLoadFault, ctx: RunContext, active: threading.Event) -> None:
        self._fault = fault
        self._ctx = ctx
        self._active = active
        self._log = AccessLog()
        self._bursts: list[tuple[int, FortioRun]] = []
        self._reports: list[Mapping[str, Any]] = []
        self._argv: list[str] = []
        self._binary = self._ip = ""
        self.failure: ChaosError | None = None

    def prepare(self) -> None:
        """Check the target and find fortio, before anything is started."""
        self._fault.plan(self._ctx.settings)
        self._ip = self._ctx.allow(self._fault.target.service_url).ip
        self._binary = str(locate(self._ctx.settings.fortio).path)
        self._ctx.meter = self

    def as_written(self) -> dict[str, Any]:
        """Return the load that the spec asks for, as arguments of the tool."""
        target = self._fault.target
        return {
            "qps": target.qps,
            "duration_s": target.seconds,
            "concurrency": self._fault.connections(self._ctx.settings),
        }

    def tool(self) -> Tool:
        """Return the one thing an agent may do, with the bounds that the spec and the caps leave it."""
        target, caps = self._fault.target, self._ctx.settings.caps
        args = create_model(
            "GenerateLoad",
            __config__=SPEC_CONFIG,
            qps=(Annotated[int, Field(ge=1, le=min(target.qps, caps.max_qps)), Integral], ...),
            duration_s=(Annotated[float, Field(ge=0.001, le=caps.max_duration_s)] | None, None),
            concurrency=(Annotated[int, Field(ge=1, le=caps.max_concurrency), Integral], ...),
        )
        return Tool(
            name="generate_load",
            description="Send requests to the target at `qps` a second; returns what was measured.",
            args=args,
            run=self._burst,
        )

    def _burst(self, args: Any) -> Mapping[str, Any]:
        ctx, settings = self._ctx, self._ctx.settings
        self._argv = self._fault.argv(
            settings,
            binary=self._binary,
            ip=self._ip,
            qps=args.qps,
            concurrency=args.concurrency,
            label=f"pytest-chaos:{ctx.task_id}",
        )
        try:
            run = FortioRun(self._argv, qps=args.qps, spawn=ctx.spawn, log=self._log)
            self._bursts.append((args.qps, run))
            report = run.run(
                stop=ctx.stop,
                seconds=args.duration_s,
                limit_s=settings.caps.max_duration_s,
                start_within_s=settings.start_timeout_s,
                grace_s=max(1.0, min(self._fault.target.timeout_s + 2, settings.stop_timeout_s - 2)),
                active=self._active,
            )
            self._reports.append(report)
            cross_check(run.logged, report)
        except FaultFailed as error:
            self.failure = error
            return {"error": error.kind}
        measured = self.measure([run.span] if run.span else [])
        p50, p99 = self._log.percentiles((0.5, 0.99))
        return {
            "delivered_qps": round(measured.delivered / measured.seconds, 1) if measured.seconds else 0.0,
            "requests": measured.requests,
            "errors": measured.errors,
            "responses": self._log.codes(),
            "p50_s": p50,
            "p99_s": p99,
        }

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

    @property
    def min_delivered(self) -> float:
        """The share of the asked rate that must arrive."""
        return self._fault.target.min_delivered

    @property
    def remedy(self) -> str:
        """What to change when too little arrived, from what was measured."""
        target = self._fault.target
        connections = target.concurrency or self._fault.connections(self._ctx.settings)
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
            advice.append(f"{unanswered} of {len(self._log)} requests got no response: is the target still up?")
        advice.append("ask for a lower `qps`, or accept less with `min_delivered`")
        return "; ".join(advice)

    def result(self, agent: LoopReport | None, elapsed: float) -> ChaosResult:
        """Say what was measured over all bursts. What the agent says of it does not matter."""
        spans = [run.span for _, run in self._bursts if run.span]
        measured = self.measure(spans)
        shortfall = None
        if self.failure is None and not self._bursts:
            self.failure = FaultFailed("no_load", "the agent ended without having run a load")
        if self.failure is None and measured.delivered == 0:
            self.failure = FaultFailed("no_response", "no request got a response; is the target up?")
        if self.failure is None:
            shortfall = self._shortfall(measured)
        numbers = figures(
            self._log,
            self._reports,
            measured=measured,
            warmup_requests=sum(run.threads for _, run in self._bursts),
            argv=masked(self._argv),
        )
        details: dict[str, Any] = numbers.model_dump(mode="json")
        details["agent"] = agent.to_json() if agent else None
        if shortfall:
            details["shortfall"] = shortfall
        if isinstance(self.failure, FaultFailed):
            details["failure"] = self.failure.kind
        return ChaosResult(
            success=self.failure is None and shortfall is None,
            injected_fault=self._fault.type,
            output=f"{numbers.requests} requests, {numbers.delivered_qps:g} of {numbers.asked_qps:g} a second answered",
            elapsed_time=elapsed,
            error=str(self.failure) if self.failure else shortfall,
            details=details,
        )

    def _shortfall(self, measured: Measured) -> str | None:
        cap = self._ctx.settings.caps.max_duration_s
        if not self._fault.ends_by_itself() and not self._ctx.stop.is_set():
            return f"the load ended at the cap of {cap:g} s, before the body did; raise chaos_max_duration"
        if measured.is_short(self.min_delivered):
            return f"under-delivered: {measured.in_words()}; {self.remedy}"
        return None


def _known_address(url: str) -> str:
    """Return the address in ``url`` as far as it is known without asking anybody."""
    host = urlsplit(url).hostname or "" if not PLACEHOLDER.search(url) else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return f"<address of {host}>" if host else "<address of the target>"
