"""Read what was given on the command line, in the environment and in the ini file, and merge it into Settings, once."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from pytest_chaos.limits import HARD_MAX_CONCURRENCY, HARD_MAX_DURATION_S, HARD_MAX_QPS
from pytest_chaos.plugin.options import OPTIONS, VALUES, VARIABLES, Option
from pytest_chaos.registry import did_you_mean
from pytest_chaos.settings import Caps, Settings

_SETTINGS = pytest.StashKey[Settings]()


def read_values(config: pytest.Config) -> dict[str, Any]:
    """Return what was given, the command line before the environment before the ini file.

    Raises:
        pytest.UsageError: a value does not fit; the message says where it stands and what is allowed.
    """
    known = {option.variable for option in OPTIONS}
    for name in os.environ:
        if name.startswith(VARIABLES) and name not in known | _OF_OTHERS:
            raise pytest.UsageError(f"{name}: there is no such option{did_you_mean(name, known)}")
    value: dict[str, Any] = {}
    for option in OPTIONS:
        source, written = _given(config, option)
        if written is not None:
            value[option.name] = _value(option, source, written)
    if value.get("agent") in {"record", "replay"} and "plan_dir" not in value:
        raise pytest.UsageError(
            f"--chaos-agent {value['agent']} needs --chaos-plan-dir DIR (ini chaos_plan_dir)"
        )
    return value


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings, made of what was given when the first chaos asks for them."""
    known = config.stash.get(_SETTINGS, None)
    if known is not None:
        return known
    value = config.stash[VALUES].copy()
    for path in ("plan_dir", "abort_file"):
        if value.get(path):
            value[path] = str(config.rootpath / os.path.expanduser(value[path]))  # noqa: PTH111 - Path's own may raise
    value["catalogue"] = _catalogue(config, value.get("catalogue"))
    caps = Caps(**{setting: value.pop(name) for name, setting in _CAPS.items() if name in value})
    made = config.stash[_SETTINGS] = Settings(
        started_in=str(config.invocation_params.dir),
        worker=getattr(config, "workerinput", {}).get("workerid", ""),
        caps=caps,
        **{_CALLED.get(name, name): one for name, one in value.items()},
    )
    return made


def _catalogue(config: pytest.Config, given: str | None) -> str | None:
    beside = config.rootpath if config.inipath is None else config.inipath.parent
    if given is not None:
        return str(beside / given)
    usual = beside / "chaos.yaml"
    return str(usual) if usual.is_file() else None


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


def _value(option: Option, source: str, written: Any) -> Any:
    read = _READERS.get(option.name, str)
    try:
        if option.many:
            items = written if source == option.switch else _items(written, option.name in _WORDS)
            return tuple(read(item) for item in items)
        return read(str(written).strip())
    except ValueError as error:
        shown = _names_of(written) if option.name == "var" else written
        raise pytest.UsageError(f"{source}: {error} (got {shown!r})") from None


def _names_of(given: list[str]) -> list[str]:
    """Return NAME of each NAME=VALUE; what has none may be a value, which is nobody's business."""
    return [item.partition("=")[0] if "=" in item else f"item {at}" for at, item in enumerate(given, 1)]


def _items(given: list[str], words: bool) -> list[str]:
    items = [part for item in given for part in (re.split(r"[\s,]+", item) if words else [item.strip()])]
    return [item for item in items if item]


def _allowed(option: Option) -> str:
    """Return what is allowed: the reader says so of what never is."""
    try:
        _READERS.get(option.name, str)("\0")
    except ValueError as error:
        return str(error)
    return "must be text" if option.kind == "string" else "must be a list of text"


def _number(low: float, high: float, kind: type[int | float]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not math.isfinite(value) or not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            raise ValueError(f"must be {noun} from {low} to {high}")
        return value

    return read


def _flag(text: str) -> bool:
    value = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
        "": False,
    }
    if text.lower() not in value:
        raise ValueError("must be true or false")
    return value[text.lower()]


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of: {', '.join(words)}")
        return text

    return read


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
        raise ValueError("must be NAME=VALUE")
    return name, value


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "disable": _flag,
    "dry_run": _flag,
    "progress": _one_of("auto", "on", "off"),
    "var": _variable,
    "agent": _one_of("planned", "gemini", "record", "replay"),
    "model_timeout": _number(0.1, 600, float),
    "max_tokens": _number(1, 10_000_000, int),
    "start_timeout": _number(0.1, 3600, float),
    "stop_timeout": _number(1, 600, float),
    "check_timeout": _number(0.1, 600, float),
    "lock_timeout": _number(0, 86_400, float),
    "environment": _variable,
    "allow_visible_headers": _flag,
    "max_qps": _number(1, HARD_MAX_QPS, int),
    "max_duration": _number(0.1, HARD_MAX_DURATION_S, float),
    "max_concurrency": _number(1, HARD_MAX_CONCURRENCY, int),
    "junit": _one_of("properties", "system-out"),
}
"""What turns text into the value, or raises ``ValueError`` with what is allowed. What is not here stays text."""
_OF_OTHERS: Final = {"PYTEST_CHAOS_NO_FORTIO", "PYTEST_CHAOS_OWNER"}
"""What we call variables that are no options: one for who builds us, one for the processes of faults."""
_WORDS: Final = {"secrets", "junit"}
"""Lists whose items are separated by any white space, or by commas."""
_CAPS: Final = {
    "max_qps": "max_qps",
    "max_duration": "max_duration_s",
    "max_concurrency": "max_concurrency",
}
_CALLED: Final = {
    "model_timeout": "model_timeout_s",
    "start_timeout": "start_timeout_s",
    "stop_timeout": "stop_timeout_s",
    "check_timeout": "check_timeout_s",
    "lock_timeout": "lock_timeout_s",
    "var": "variables",
    "env": "env_names",
}
"""Options whose setting has another name."""
