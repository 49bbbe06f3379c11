"""Settings and caps: frozen values and nothing else. The plugin merges them once from options, environment and ini."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_chaos.limits import DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What one disruption may ask for at most: requests a second, seconds of load, connections."""

    max_qps: int = 5000
    max_duration_s: float = 300.0
    max_concurrency: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run can be told, after command line, environment, ini and defaults were merged."""

    started_in: str = ""
    progress: str = "auto"
    worker: str = ""
    disable: bool = False
    dry_run: bool = False
    plan: str | None = None
    summary: str | None = None
    report: str | None = None
    agent: str = "planned"
    model: str = DEFAULT_MODEL
    api_version: str | None = None
    model_timeout_s: float = 30.0
    max_tokens: int = 50_000
    plan_dir: str | None = None
    fortio: str | None = None
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    check_timeout_s: float = 10.0
    lock_timeout_s: float = 300.0
    caps: Caps = field(default_factory=Caps)
    allowed_targets: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    abort_file: str | None = None
    secrets: tuple[str, ...] = ()
    allow_visible_headers: bool = False
    catalogue: str | None = None
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # tracebacks may show it
    env_names: tuple[str, ...] = ()
    junit: tuple[str, ...] = ("properties", "system-out")
