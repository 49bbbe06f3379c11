"""The page of failing tests: each says, read alone, what is wrong and what to change, and the page shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.failures import PAGE, Situation, run, situations, write_project

# The cause, and what to change: words that must stand in the text of each situation.
NAMED = {
    "Nothing listens at the target": ("connection refused", "the port in `service_url`"),
    "Something else listens at the target": ("no HTTP server", "the port in `service_url`"),
    "The target speaks no TLS": ("the target speaks no TLS", "write http:// in `service_url`"),
    "The target hangs": ("takes connections, but answers nothing in time", "set a longer `timeout`"),
    "The target lives in the event loop of the test": (
        "the event loop of the test, which setup blocks",
        'set wait="none" on the mark',
    ),
    "The target is not allowed": ("neither localhost nor allowed", "name it in ini chaos_allowed_targets"),
    "A placeholder has no value": ("no value for {{SERVICES}}", "the fixture chaos_variables"),
    "Too few connections for answers this slow": ("too few connections", "set `concurrency` to "),
    "The target drops connections": ("requests got no response", "a larger backlog"),
    "The body is too short for a request to be due": ("one request is due every 0.5 s", "set a higher `qps`"),
    "The load reached its cap": ("the cap of 0.5 s", "raise chaos_max_duration"),
    "The body was over before the trigger": (
        "its delay is longer than the body",
        "set a smaller `delay_seconds`",
    ),
    "The load was over before the body began": ("s before the body began", "set a longer `duration`"),
    "The load is shorter than the body, and that is not enough": (
        "s before the body was",
        "set a longer `duration`",
    ),
    "The load began in the middle of the body, and that is not enough": (
        "s after the body's start",
        'leave wait="none" away',
    ),
    "The body never reached the checkpoint": (
        "checkpoints that were reached: 'halfway'",
        "chaos_injector.checkpoint('half way')",
    ),
    "The answer that the trigger waits for never came": (
        "last answer: 200",
        "set a longer `timeout` of the trigger",
    ),
    "What the trigger waits for was never logged": (
        "nothing that it waits for was logged",
        "compare its `pattern`",
    ),
    "The check fails before anything was done": (
        "'open' failed before",
        "leave `before` out of `verify_phases`",
    ),
    "The check fails during the disruption": ("'few orders' failed during", "a smaller `qps` tells"),
    "The check fails afterwards": ("'idle' held before, failed after", "set a larger `recover_within`"),
    "The recovery is too slow": ("`recover_within` allows 0.5 s", "set a larger `recover_within`"),
    "The check hangs": ("did not answer within 1 s", "raise chaos_check_timeout"),
    "The check stops what does too much": (
        "the check that `abort_when` names failed",
        "a smaller `qps` tells",
    ),
    "The body fails under the load": (
        "the body failed while it was disrupted",
        "run it with --chaos-disable",
    ),
    "fortio is missing": ("'/opt/fortio' is not an executable file", "--chaos-fortio names another one"),
    "It is something else than fortio": (
        "ended before it had sent a measured request",
        "`python -m pytest_chaos doctor`",
    ),
    "fortio was killed": ("killed by SIGKILL", "set a smaller `qps`"),
    "The fault never says that it is active": (
        "inject() returned without having set chaos_active_event",
        "set it once the harm is under way",
    ),
    "The fault is not active in time": ("or never says that it is active", "raise chaos_start_timeout"),
    "The fault raises": ("PermissionError: only root may do this", "--log-level=DEBUG"),
    "The fault does not stop when asked": ("did not stop within 1 s", "raise chaos_stop_timeout"),
    "Another test disrupts the same target": (
        "held by test_lock.py::test_first",
        "say shared=True on the mark",
    ),
    "This is the wrong environment": (
        "the environment variable STAGE is not set",
        "chaos_environment asks for 'test'",
    ),
    "The abort file is there": ("the abort file /project/stop-chaos is there", "remove it to go on"),
}
TEXT = PAGE.read_text(encoding="utf-8")
SITUATIONS = list(situations(TEXT))
DRAWN = re.compile(
    r"^ {14}0 s +[\d.]+ s\n(?P<rows>(?: {4}(?:setup|body|fault|check|requests|errors)? .*\n)+?)(?= {4}[sp]e|\S)",
    re.MULTILINE,
)


def lasting(told: str) -> str:
    """Return what is the same in every run: of the drawing the names of its rows, of the numbers that they are there."""
    told = DRAWN.sub(
        lambda found: " ".join(re.findall(r"^ {4}(\w+)", found["rows"], re.MULTILINE)) + "\n", told
    )
    words = " ".join(told.split())
    words = re.sub(r"\d[\d.]*", "#", words)
    words = re.sub(r"(?:#, )+#", "#", words)
    return re.sub(r"# (request|time)s?\b", r"# \1s", words)


def test_every_situation_of_the_page_is_here() -> None:
    assert [one.heading for one in SITUATIONS] == list(NAMED)
    assert len(SITUATIONS) >= 20


@pytest.mark.parametrize(
    "situation", [pytest.param(one, id=one.heading.replace(" ", "-")) for one in SITUATIONS]
)
def test_the_text_names_cause_and_fix_and_is_that_of_the_page(situation: Situation, tmp_path: Path) -> None:
    write_project(TEXT, tmp_path)
    told = run(situation, tmp_path)
    words = " ".join(told.split())
    for named in NAMED[situation.heading]:
        assert named in words
    assert re.search(r"again: pytest (\S+) in peace: pytest \1 --chaos-disable$", words)
    assert len(told.splitlines()) <= 35
    assert max(map(len, told.splitlines())) <= 100
    assert lasting(told) == lasting(situation.told), "run: python tools/failures.py"
