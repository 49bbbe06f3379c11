"""What ``--help``, ``--markers`` and ``--fixtures`` say is pinned: a change of it is a change that users see."""

from __future__ import annotations

import re

import pytest

from tests.support.inner import InnerPytest

# On the command line, in ini files, and what it does. Line breaks are not part of the text.
TEXTS = (
    ("--chaos-disable", "chaos_disable (bool)", "Run the tests in peace: no disruption starts"),
    ("--chaos-dry-run", "chaos_dry_run (bool)", "List what each chaos test would do, and start nothing"),
    (
        "--chaos-plan=FILE",
        "chaos_plan (string)",
        "Write what each chaos test does as JSON, with or without dry run",
    ),
    (
        "--chaos-summary=FILE",
        "chaos_summary (string)",
        "Write the outcomes as a table in Markdown, for the summary of a CI run",
    ),
    (
        "--chaos-report=FILE",
        "chaos_report (string)",
        "Write the outcomes as one HTML file with charts; needs the extra 'report'",
    ),
    (
        "--chaos-progress=WHEN",
        "chaos_progress (string)",
        "Show on the terminal what disrupts the tests right now: auto, on or off",
    ),
    (
        "--chaos-var=NAME=VALUE",
        None,
        "Fill {{NAME}} in specs; may be given several times, and wins over chaos_variables",
    ),
    (
        "--chaos-agent=AGENT",
        "chaos_agent (string)",
        (
            "Who plans the load: 'planned' does what the spec says, 'gemini' asks a model, 'record' also writes down "
            "what it decided, 'replay' does that again without the model"
        ),
    ),
    ("--chaos-model=NAME", "chaos_model (string)", "The model that gemini and record ask"),
    (
        "--chaos-api-version=VERSION",
        "chaos_api_version (string)",
        "The version of the Gemini API, instead of the SDK's default",
    ),
    (
        "--chaos-model-timeout=SECONDS",
        "chaos_model_timeout (float)",
        "How long one request to the model may take",
    ),
    (
        "--chaos-max-tokens=COUNT",
        "chaos_max_tokens (int)",
        "Tokens that a model may use for one disruption",
    ),
    (
        "--chaos-plan-dir=DIR",
        "chaos_plan_dir (string)",
        "Where record writes its plans, and replay reads them",
    ),
    (
        "--chaos-fortio=PATH",
        "chaos_fortio (string)",
        "The fortio to run, instead of the one that is bundled",
    ),
    (
        "--chaos-start-timeout=SECONDS",
        "chaos_start_timeout (float)",
        "How long a disruption may take from its trigger to being active",
    ),
    (
        "--chaos-stop-timeout=SECONDS",
        "chaos_stop_timeout (float)",
        "How long a disruption may take to stop when asked",
    ),
    (
        "--chaos-check-timeout=SECONDS",
        "chaos_check_timeout (float)",
        "How long a check may take to answer",
    ),
    (
        "--chaos-lock-timeout=SECONDS",
        "chaos_lock_timeout (float)",
        "How long to wait for targets that another test disrupts",
    ),
    (
        None,
        "chaos_allowed_targets (linelist)",
        "Hosts, globs and networks that may be disrupted besides loopback, one a line",
    ),
    (
        None,
        "chaos_environment (linelist)",
        "NAME=VALUE: the environment variable NAME must have this value, or nothing runs; one a line",
    ),
    (None, "chaos_abort_file (string)", "When this file is there, everything stops and nothing starts"),
    (
        None,
        "chaos_secrets (linelist)",
        "Names of headers and query parameters whose values are secret, besides Authorization and the like",
    ),
    (
        None,
        "chaos_allow_visible_headers (bool)",
        "Let secret headers be sent, although processes of the same user can read them on fortio's command line",
    ),
    (
        None,
        "chaos_catalogue (string)",
        "The file of specs that marks name; by default chaos.yaml beside the ini file",
    ),
    (None, "chaos_max_qps (int)", "Requests a second that one load may ask for at most"),
    (None, "chaos_max_duration (float)", "Seconds that the load of one disruption may last at most"),
    (None, "chaos_max_concurrency (int)", "Connections that one load may use at most"),
    (
        None,
        "chaos_env (linelist)",
        "Names of environment variables that may fill {{NAME}} in specs, one a line",
    ),
    (
        None,
        "chaos_junit (linelist)",
        "What goes into JUnit XML: properties, system-out, both (default), or nothing if left empty",
    ),
)


def words(text: str) -> str:
    """Return ``text`` without its line breaks and indentation."""
    return " ".join(text.split())


def test_help(inner: InnerPytest) -> None:
    text = inner("", "--help").stdout
    group = text.partition("\nchaos engineering (pytest-chaos):\n")[2].partition("\n\n")[0]
    assert words(group) == words(" ".join(f"{switch} {said}" for switch, _, said in TEXTS if switch))
    keys = "".join(re.findall(r"^  chaos_.*\n(?: {24}.*\n)*", text, re.MULTILINE))
    assert words(keys) == words(" ".join(f"{key}: {said}." for _, key, said in TEXTS if key))


def test_markers(inner: InnerPytest) -> None:
    (line,) = [
        line for line in inner("", "--markers").stdout.splitlines() if line.startswith("@pytest.mark.chaos")
    ]
    assert line == (
        '@pytest.mark.chaos(spec, *specs, wait="active"): disrupt the test while it runs, and fail it unless the '
        "disruption really happened. Without arguments it is a plain category. See the README of pytest-chaos."
    )


@pytest.mark.parametrize(
    ("fixture", "said"),
    [
        ("chaos_variables", "Override to fill {{NAME}} in chaos specs: return a mapping of names to text."),
        (
            "chaos_verifiers",
            "Override to name the checks that chaos specs may ask for in `verify`: a mapping of keys to functions.",
        ),
        (
            "chaos_injector",
            "Start and stop disruptions from inside a test body; each is judged like one from a mark.",
        ),
    ],
)
def test_fixtures(inner: InnerPytest, fixture: str, said: str) -> None:
    after = inner("", "--fixtures").stdout.partition(f"\n{fixture} -- ")[2]
    assert words(after.partition("\n\n")[0].partition("\n")[2]) == said


def test_an_unknown_option_of_ours_is_refused(inner: InnerPytest) -> None:
    run = inner("", "--chaos-disabel")
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "--chaos-disabel" in run.stderr
