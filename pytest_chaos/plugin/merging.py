"""Merge what was given on the command line, in the environment and in the ini file into Settings, once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_chaos.plugin.options import OPTIONS, Option

if TYPE_CHECKING:
    from pytest_chaos.settings import Settings

VALUES = pytest.StashKey[dict[str, Any]]()
_SETTINGS = pytest.StashKey["Settings"]()


def read_values(config: pytest.Config) -> dict[str, Any]:
    """Merge command line, environment, ini and defaults, in this order of rank, and keep what came of it.

    Raises:
        pytest.UsageError: a value does not fit; the message says where it stands and what is allowed.
    """
    value = config.stash[VALUES] = {option.name: _merged(config, option) for option in OPTIONS}
    if value["agent"] in {"record", "replay"} and value["plan_dir"] is None:
        raise pytest.UsageError(
            f"--chaos-agent {value['agent']} needs --chaos-plan-dir DIR (ini chaos_plan_dir)"
        )
    return value


def settings_of(config: pytest.Config) -> Settings:
    """Return the merged values as settings, made when the first chaos asks for them."""
    known = config.stash.get(_SETTINGS, None)
    if known is not None:
        return known
    from pytest_chaos.settings import Caps, Settings

    value = config.stash[VALUES]
    made = config.stash[_SETTINGS] = Settings(
        started_in=str(config.invocation_params.dir),
        progress=value["progress"],
        worker=getattr(config, "workerinput", {}).get("workerid", ""),
        disable=value["disable"],
        dry_run=value["dry_run"],
        plan=value["plan"],
        summary=value["summary"],
        report=value["report"],
        agent=value["agent"],
        model=value["model"],
        api_version=value["api_version"],
        model_timeout_s=value["model_timeout"],
        max_tokens=value["max_tokens"],
        plan_dir=value["plan_dir"] and str(config.rootpath / value["plan_dir"]),
        fortio=value["fortio"],
        start_timeout_s=value["start_timeout"],
        stop_timeout_s=value["stop_timeout"],
        check_timeout_s=value["check_timeout"],
        lock_timeout_s=value["lock_timeout"],
        caps=Caps(
            max_qps=value["max_qps"],
            max_duration_s=value["max_duration"],
            max_concurrency=value["max_concurrency"],
        ),
        allowed_targets=tuple(value["allowed_targets"]),
        environment=tuple(value["environment"]),
        abort_file=value["abort_file"] and str(config.rootpath / value["abort_file"]),
        secrets=tuple(value["secrets"]),
        allow_visible_headers=value["allow_visible_headers"],
        catalogue=_catalogue(config, value["catalogue"]),
        variables=tuple(value["var"]),
        env_names=tuple(value["env"]),
        junit=tuple(value["junit"]),
    )
    return made


def _catalogue(config: pytest.Config, given: str | None) -> str | None:
    beside = config.rootpath if config.inipath is None else config.inipath.parent
    if given is not None:
        return str(beside / given)
    usual = beside / "chaos.yaml"
    return str(usual) if usual.is_file() else None


def _merged(config: pytest.Config, option: Option) -> Any:
    source, given = _given(config, option)
    if given is None:
        return () if option.many and option.default is None else option.default
    try:
        if option.many:
            items = given if source == option.switch else _items(given, option.words)
            return tuple(option.read(item) for item in items)
        return option.read(str(given).strip())
    except ValueError as error:
        shown = _names_of(given) if option.name == "var" else given
        raise pytest.UsageError(f"{source}: {error} (got {shown!r})") from None


def _names_of(given: list[str]) -> list[str]:
    """Return NAME of each NAME=VALUE; what has none may be a value, which is nobody's business."""
    return [item.partition("=")[0] if "=" in item else f"item {at}" for at, item in enumerate(given, 1)]


def _items(given: list[str], words: bool) -> list[str]:
    items = [part for item in given for part in (item.split() if words else [item.strip()])]
    return [item for item in items if item]


def _given(config: pytest.Config, option: Option) -> tuple[str, Any]:
    """Return where the value comes from, and the value as it was written; None if nobody gave one."""
    if option.cli and (given := config.getoption(option.dest)) is not None:
        return option.switch, given
    if (text := os.environ.get(option.variable)) is not None:
        return option.variable, text.split("\n") if option.many else text
    if not option.ini:
        return "", None
    source = f"ini {option.dest}"
    try:
        return source, config.getini(option.dest)
    except (TypeError, ValueError, pytest.UsageError) as error:
        written = str(error).rpartition(": ")[2]  # pytest's own words end with the value
        raise pytest.UsageError(f"{source}: {_allowed(option)} (got {written})") from None


def _allowed(option: Option) -> str:
    """Return what ``read`` says is allowed: it says so of what never is."""
    try:
        option.read("\0")
    except ValueError as error:
        return str(error)
    return "must be text" if option.kind == "string" else "must be a list of text"
