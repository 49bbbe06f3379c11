"""Options, ini keys and environment variables: one table, and whether any of them was given.

How a value is read, and what is allowed, stands in ``merging``, which nobody loads who gives none.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import pytest

GROUP = "chaos engineering (pytest-chaos)"
VALUES = pytest.StashKey[dict[str, Any]]()
"""What was given, as it was read."""
VARIABLES = "PYTEST_CHAOS_"
"""What the names of all variables in the environment begin with."""


class Option:
    """One thing a run can be told: ``--chaos-NAME``, ini ``chaos_NAME`` and ``PYTEST_CHAOS_NAME``.

    A plain class: making a dataclass would cost every suite, also those without chaos, half a millisecond.

    Attributes:
        kind: the type in ini files. A ``bool`` takes no value on the command line; a ``linelist`` may be
            repeated there and holds one item a line elsewhere.
        cli: False for what belongs to a project, not to a run.
        dest: the name in ini files and in pytest's parsed options.
        switch: the name on the command line.
        variable: the name in the environment.
    """

    def __init__(
        self,
        *,
        name: str,
        help: str,  # noqa: A002 - the word that argparse and pytest use
        kind: Literal["string", "int", "float", "bool", "linelist"] = "string",
        metavar: str | None = None,
        cli: bool = True,
        ini: bool = True,
    ) -> None:
        self.name = name
        self.help = help
        self.kind = kind
        self.metavar = metavar
        self.cli = cli
        self.ini = ini
        self.many = kind == "linelist"
        self.dest = f"chaos_{name}"
        self.switch = f"--chaos-{name.replace('_', '-')}"
        self.variable = f"{VARIABLES}{name.upper()}"


OPTIONS: tuple[Option, ...] = (
    Option(
        name="disable",
        kind="bool",
        help="Run the tests in peace: no disruption starts",
    ),
    Option(
        name="dry_run",
        kind="bool",
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
        metavar="WHEN",
        help="Show on the terminal what disrupts the tests right now: auto, on or off",
    ),
    Option(
        name="var",
        kind="linelist",
        metavar="NAME=VALUE",
        ini=False,
        help="Fill {{NAME}} in specs; may be given several times, and wins over chaos_variables",
    ),
    Option(
        name="agent",
        metavar="AGENT",
        help="Who plans the load: 'planned' does what the spec says, 'gemini' asks a model, 'record' also writes down "
        "what it decided, 'replay' does that again without the model",
    ),
    Option(name="model", metavar="NAME", help="The model that gemini and record ask"),
    Option(
        name="api_version",
        metavar="VERSION",
        help="The version of the Gemini API, instead of the SDK's default",
    ),
    Option(
        name="model_timeout",
        kind="float",
        metavar="SECONDS",
        help="How long one request to the model may take",
    ),
    Option(
        name="max_tokens",
        kind="int",
        metavar="COUNT",
        help="Tokens that a model may use for one disruption",
    ),
    Option(name="plan_dir", metavar="DIR", help="Where record writes its plans, and replay reads them"),
    Option(name="fortio", metavar="PATH", help="The fortio to run, instead of the one that is bundled"),
    Option(
        name="start_timeout",
        kind="float",
        metavar="SECONDS",
        help="How long a disruption may take from its trigger to being active",
    ),
    Option(
        name="stop_timeout",
        kind="float",
        metavar="SECONDS",
        help="How long a disruption may take to stop when asked",
    ),
    Option(
        name="check_timeout",
        kind="float",
        metavar="SECONDS",
        help="How long a check may take to answer",
    ),
    Option(
        name="lock_timeout",
        kind="float",
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
        cli=False,
        help="Names of headers and query parameters whose values are secret, besides Authorization and the like",
    ),
    Option(
        name="allow_visible_headers",
        kind="bool",
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
        kind="int",
        help="Requests a second that one load may ask for at most",
    ),
    Option(
        name="max_duration",
        cli=False,
        kind="float",
        help="Seconds that the load of one disruption may last at most",
    ),
    Option(
        name="max_concurrency",
        cli=False,
        kind="int",
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
        cli=False,
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


def is_anything_given(config: pytest.Config) -> bool:
    """Tell whether there is anything to read; an ini key that pytest cannot read is."""
    try:
        return any(name.startswith(VARIABLES) for name in os.environ) or any(
            (option.cli and config.getoption(option.dest) is not None)
            or (option.ini and config.getini(option.dest) is not None)
            for option in OPTIONS
        )
    except (TypeError, ValueError, pytest.UsageError):
        return True
