"""The ``generate_load`` fault: real requests from a real fortio, at a rate, against one URL."""

from __future__ import annotations

import ipaddress
import math
from threading import Event
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from pytest_chaos.base import FAULTS, SPEC_CONFIG, Discreet, Fault, Integral, Plan
from pytest_chaos.context import RunContext
from pytest_chaos.errors import TargetRefused
from pytest_chaos.faults._load_session import LoadSession
from pytest_chaos.fortio.argv import Load, load_argv, masked
from pytest_chaos.limits import HARD_MAX_CONCURRENCY, HARD_MAX_QPS
from pytest_chaos.notation import Duration, Headers, Plain, Url, seconds
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.placeholders import PLACEHOLDER
from pytest_chaos.secrecy import is_secret_header, secrets_of_headers
from pytest_chaos.settings import Settings

# fortio paces wrongly under a short -t, so it always gets a long one; it only bounds an orphan.
_RUN_LIMIT_S: Final = 600.0
_ANSWER_WITHIN_S: Final = 0.25


class LoadTarget(Discreet):
    """What is put under load, how hard, and how much of it must really arrive."""

    model_config = SPEC_CONFIG

    service_url: Annotated[
        Url,
        Field(
            description="URL that is requested: http or https, without user information and fragment.",
            examples=["http://127.0.0.1:8080/checkout", "{{SHOP_URL}}/checkout"],
        ),
    ]
    qps: Annotated[
        int,
        Field(ge=1, le=HARD_MAX_QPS, description="Requests a second over all connections.", examples=[300]),
        Integral,
    ] = 100
    duration: Annotated[
        Duration | None,
        Field(
            description="How long the load lasts; without it, until the body ends.",
            examples=["30s", "1m30s", "500ms"],
        ),
    ] = None
    concurrency: Annotated[
        Annotated[int, Field(ge=1, le=HARD_MAX_CONCURRENCY), Integral] | None,
        Field(
            description="Connections. Without it as many as answers of 0.25 s need. A connection that answers slower "
            "than concurrency / qps skips its turns.",
            examples=[16],
        ),
    ] = None
    timeout: Annotated[
        Duration, Field(description="How long one request may take, at most 30s.", examples=["500ms"])
    ] = "3s"
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        Field(description="HTTP method.", examples=["POST"]),
    ] = "GET"
    headers: Annotated[
        Headers,
        Field(
            description="Request headers; their values are masked in all output. "
            "Those that belong to the connection cannot be set.",
            examples=[{"Accept": "application/json"}],
            json_schema_extra={"default": {}},
        ),
    ] = Field(default_factory=dict)
    body: Annotated[
        Annotated[str, Field(max_length=65_536), Plain] | None,
        Field(description="Request body.", examples=['{"items": [1, 2]}']),
    ] = None
    min_delivered: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of the asked rate that must arrive for the load to count.",
            examples=[0.99],
        ),
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
    target: Annotated[
        LoadTarget,
        Field(
            description="What is put under load, and how hard.",
            examples=[{"service_url": "{{SHOP_URL}}/checkout", "qps": 300}],
        ),
    ]
    goal: Annotated[
        Annotated[str, Field(max_length=2000), Plain] | None,
        Field(
            description="What the load is for, in words, for an agent that asks a model.",
            examples=["find the rate at which answers take longer than a second"],
        ),
    ] = None
    bursts: Annotated[
        int,
        Field(
            ge=1,
            le=10,
            description="How many loads an agent that asks a model may run, one after another.",
            examples=[3],
        ),
        Integral,
    ] = 1

    def targets(self) -> list[str]:
        """Return the one URL."""
        return [self.target.service_url]

    def secrets(self, settings: Settings) -> list[str]:
        """Return what headers and the query hold that may be secret."""
        found = [*super().secrets(settings), *secrets_of_headers(self.target.headers, settings.secrets)]
        return [value for value in found if not PLACEHOLDER.fullmatch(value)]

    def ends_by_itself(self) -> bool:
        """Tell whether there is a duration."""
        return self.target.duration is not None

    def plan(self, settings: Settings) -> Plan:
        """Return the load in numbers, with the command line that will run.

        Raises:
            TargetRefused: rate, duration, connections or time limit are above the caps, or a header is secret.
        """
        target, caps = self.target, settings.caps
        for name in target.headers:
            if is_secret_header(name, settings.secrets) and not settings.allow_visible_headers:
                raise TargetRefused(
                    f"action.target.headers: {name} is secret, but fortio takes headers on its command line, where other "
                    "processes of the same user can read them; if that does no harm here, set chaos_allow_visible_headers"
                )
        for name, asked, cap, ini in (
            ("qps", target.qps, caps.max_qps, "chaos_max_qps"),
            ("duration", target.seconds, caps.max_duration_s, "chaos_max_duration"),
            ("concurrency", target.concurrency, caps.max_concurrency, "chaos_max_concurrency"),
            ("timeout", target.timeout_s, 30, None),
        ):
            if asked is not None and asked > cap:
                fix = f"ask for less, or raise {ini}" if ini else "ask for less"
                raise TargetRefused(f"action.target.{name}: {asked:g} is above the cap of {cap:g}; {fix}")
        limit = (
            caps.max_duration_s
            if target.seconds is None
            else min(caps.max_duration_s, self.bursts * target.seconds)
        )
        warnings = []
        if target.qps < 10:
            warnings.append(
                f"at {target.qps} requests a second a body under {2 / target.qps:g} s may see none"
            )
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

    def inject(self, ctx: RunContext, chaos_active_event: Event | None = None) -> ChaosResult:
        """Run the load until its duration is over or ``ctx.stop`` is set, and say what was measured.

        The agent that the settings name decides on the numbers, inside the bounds of spec and caps.

        Raises:
            Cancelled: ``ctx.stop`` was set before a request was measured.
        """
        return LoadSession(self, ctx, chaos_active_event or Event()).run()

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


def _known_address(url: str) -> str:
    """Return the address in ``url`` as far as it is known without asking anybody."""
    host = urlsplit(url).hostname or "" if not PLACEHOLDER.search(url) else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return f"<address of {host}>" if host else "<address of the target>"
