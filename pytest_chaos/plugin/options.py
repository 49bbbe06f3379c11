"""Options, ini keys and environment variables: one table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import pytest

from pytest_chaos.limits import (
    DEFAULT_MODEL,
    HARD_MAX_CONCURRENCY,
    HARD_MAX_DURATION_S,
    HARD_MAX_QPS,
)

GROUP = "chaos engineering (pytest-chaos)"


class Option:
    """One thing a run can be told: ``--chaos-NAME``, ini ``chaos_NAME`` and ``PYTEST_CHAOS_NAME``.

    A plain class: making a dataclass would cost every suite, also those without chaos, half a millisecond.

    Attributes:
        read: turns text into the value; raises ``ValueError`` with what is allowed.
        kind: the type in ini files. A ``bool`` takes no value on the command line; a ``linelist`` may be
            repeated there and holds one item a line elsewhere.
        words: items of a ``linelist`` are separated by any white space.
        cli: False for what belongs to a project, not to a run.
        dest: the name in ini files and in pytest's parsed options.
        switch: the name on the command line.
        variable: the name in the environment.
    """

    def __init__(  # noqa: PLR0913 - keyword-only: one for each column of the table below
        self,
        *,
        name: str,
        help: str,  # noqa: A002 - the word that argparse and pytest use
        read: Callable[[str], Any] = str,
        kind: Literal["string", "int", "float", "bool", "linelist"] = "string",
        default: Any = None,
        metavar: str | None = None,
        words: bool = False,
        cli: bool = True,
        ini: bool = True,
    ) -> None:
        self.name = name
        self.help = help
        self.read = read
        self.kind = kind
        self.default = default
        self.metavar = metavar
        self.words = words
        self.cli = cli
        self.ini = ini
        self.many = kind == "linelist"
        self.dest = f"chaos_{name}"
        self.switch = f"--chaos-{name.replace('_', '-')}"
        self.variable = f"PYTEST_CHAOS_{name.upper()}"


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


OPTIONS: tuple[Option, ...] = (
    Option(
        name="disable",
        kind="bool",
        read=_flag,
        default=False,
        help="Run the tests in peace: no disruption starts",
    ),
    Option(
        name="dry_run",
        kind="bool",
        read=_flag,
        default=False,
        help="List what each chaos test would do, and start nothing",
    ),
    Option(
        name="plan", metavar="FILE", help="Write what each chaos test does as JSON, with or without dry run"
    ),
    Option(
        name="summary",
        metavar="FILE",
        help="Write the outcomes as a table in Markdown, for the summary of a CI run",
    ),
    Option(
        name="report",
        metavar="FILE",
        help="Write the outcomes as one HTML file with charts; needs the extra 'report'",
    ),
    Option(
        name="progress",
        read=_one_of("auto", "on", "off"),
        default="auto",
        metavar="WHEN",
        help="Show on the terminal what disrupts the tests right now: auto, on or off",
    ),
    Option(
        name="var",
        kind="linelist",
        read=_variable,
        metavar="NAME=VALUE",
        ini=False,
        help="Fill {{NAME}} in specs; may be given several times, and wins over chaos_variables",
    ),
    Option(
        name="agent",
        read=_one_of("planned", "gemini", "record", "replay"),
        default="planned",
        metavar="AGENT",
        help="Who plans the load: 'planned' does what the spec says, 'gemini' asks a model, 'record' also writes down "
        "what it decided, 'replay' does that again without the model",
    ),
    Option(name="model", default=DEFAULT_MODEL, metavar="NAME", help="The model that gemini and record ask"),
    Option(
        name="api_version",
        metavar="VERSION",
        help="The version of the Gemini API, instead of the SDK's default",
    ),
    Option(
        name="model_timeout",
        read=_number(0.1, 600, float),
        kind="float",
        default=30.0,
        metavar="SECONDS",
        help="How long one request to the model may take",
    ),
    Option(
        name="max_tokens",
        read=_number(1, 10_000_000, int),
        kind="int",
        default=50_000,
        metavar="COUNT",
        help="Tokens that a model may use for one disruption",
    ),
    Option(name="plan_dir", metavar="DIR", help="Where record writes its plans, and replay reads them"),
    Option(name="fortio", metavar="PATH", help="The fortio to run, instead of the one that is bundled"),
    Option(
        name="start_timeout",
        read=_number(0.1, 3600, float),
        kind="float",
        default=30.0,
        metavar="SECONDS",
        help="How long a disruption may take from its trigger to being active",
    ),
    Option(
        name="stop_timeout",
        read=_number(1, 600, float),
        kind="float",
        default=10.0,
        metavar="SECONDS",
        help="How long a disruption may take to stop when asked",
    ),
    Option(
        name="check_timeout",
        read=_number(0.1, 600, float),
        kind="float",
        default=10.0,
        metavar="SECONDS",
        help="How long a check may take to answer",
    ),
    Option(
        name="lock_timeout",
        read=_number(0, 86_400, float),
        kind="float",
        default=300.0,
        metavar="SECONDS",
        help="How long to wait for targets that another test disrupts",
    ),
    Option(
        name="allowed_targets",
        kind="linelist",
        cli=False,
        help="Hosts, globs and networks that may be disrupted besides loopback, one a line",
    ),
    Option(
        name="environment",
        kind="linelist",
        cli=False,
        read=_variable,
        help="NAME=VALUE: the environment variable NAME must have this value, or nothing runs; one a line",
    ),
    Option(
        name="abort_file",
        cli=False,
        metavar="FILE",
        help="When this file is there, everything stops and nothing starts",
    ),
    Option(
        name="secrets",
        kind="linelist",
        words=True,
        cli=False,
        help="Names of headers and query parameters whose values are secret, besides Authorization and the like",
    ),
    Option(
        name="allow_visible_headers",
        kind="bool",
        read=_flag,
        default=False,
        cli=False,
        help="Let secret headers be sent, although processes of the same user can read them on fortio's command line",
    ),
    Option(
        name="catalogue",
        cli=False,
        metavar="FILE",
        help="The file of specs that marks name; by default chaos.yaml beside the ini file",
    ),
    Option(
        name="max_qps",
        cli=False,
        read=_number(1, HARD_MAX_QPS, int),
        kind="int",
        default=5000,
        help="Requests a second that one load may ask for at most",
    ),
    Option(
        name="max_duration",
        cli=False,
        read=_number(0.1, HARD_MAX_DURATION_S, float),
        kind="float",
        default=300.0,
        help="Seconds that the load of one disruption may last at most",
    ),
    Option(
        name="max_concurrency",
        cli=False,
        read=_number(1, HARD_MAX_CONCURRENCY, int),
        kind="int",
        default=1024,
        help="Connections that one load may use at most",
    ),
    Option(
        name="env",
        kind="linelist",
        cli=False,
        help="Names of environment variables that may fill {{NAME}} in specs, one a line",
    ),
    Option(
        name="junit",
        kind="linelist",
        words=True,
        cli=False,
        read=_one_of("properties", "system-out"),
        default=("properties", "system-out"),
        help="What goes into JUnit XML: properties, system-out, both (default), or nothing if left empty",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini key."""
    group = parser.getgroup("chaos", GROUP)
    for option in OPTIONS:
        if option.ini:
            parser.addini(option.dest, option.help + ".", type=option.kind, default=None)
        if not option.cli:
            continue
        if option.kind == "bool":
            group.addoption(
                option.switch, dest=option.dest, action="store_true", default=None, help=option.help
            )
        else:
            action = "append" if option.many else "store"
            group.addoption(
                option.switch,
                dest=option.dest,
                action=action,
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
