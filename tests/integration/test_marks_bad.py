"""A mark that is wrong is a collection error at file:line that says what to do; its test never runs."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.junit import read_junit

HEAD = """\
import pytest

URL = "http://127.0.0.1:1/"
RAN = []

def spec(**keys):
    return {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": {"service_url": URL}}, **keys}

def load(**target):
    return spec(action={"type": "generate_load", "target": {"service_url": URL, **target}})

"""
LINE = HEAD.count("\n") + 1
NAME = "test_inner.py::test_bad"

# What stands in the parentheses of the mark, and what the error must say.
BAD = {
    "unknown key": ("spec(triger=1)", "triger: unknown key", "did you mean 'trigger'?"),
    "unknown key of trigger": (
        "spec(trigger={'type': 'time', 'delay_second': 1})",
        "trigger.delay_second: unknown key",
        "did you mean 'delay_seconds'?",
    ),
    "unknown key of action": (
        "spec(action={'type': 'generate_load', 'target': {'service_url': URL}, 'targt': 1})",
        "action.targt: unknown key",
        "did you mean 'target'?",
    ),
    "unknown key of target": ("load(qsp=3)", "action.target.qsp: unknown key", "did you mean 'qps'?"),
    "unknown key with a value of note": ("load(concurency=4)", "concurency", "did you mean 'concurrency'?"),
    "no trigger": ("{'action': load()['action']}", "trigger: field required"),
    "no action": ("{'trigger': {'type': 'time'}}", "action: field required"),
    "no type": ("spec(trigger={'delay_seconds': 1})", "trigger: missing required `type`", ", time"),
    "unknown fault": (
        "spec(action={'type': 'generate_lod'})",
        "action: unknown fault type 'generate_lod'; registered: generate_load",
        "did you mean 'generate_load'?",
    ),
    "unknown trigger": ("spec(trigger={'type': 'tiem'})", ", time; did you mean 'time'?"),
    "type is a list": ("spec(trigger={'type': ['time']})", "trigger: unknown trigger type"),
    "list as action": ("spec(action=[1])", "action: must be a mapping with a `type`, not list"),
    "list as trigger": ("spec(trigger=[1])", "trigger: must be a mapping with a `type`, not list"),
    "list as target": (
        "spec(action={'type': 'generate_load', 'target': []})",
        "action.target: must be a mapping with the keys service_url, qps, duration, ",
    ),
    "None as action": ("spec(action=None)", "action: must be a mapping with a `type`, not NoneType"),
    "text as headers": (
        "load(headers='a: b')",
        'action.target.headers: must be a mapping, such as {"Accept": ',
    ),
    "number as name": ("spec(name=3)", 'name: must be text, such as "lunch rush" (got 3)'),
    "empty name": ("spec(name='')", "name: must have at least 1 character"),
    "number as verify": ("spec(verify=3)", 'verify: must be text, such as "orders add up" (got 3)'),
    "qps 0": ("load(qps=0)", "action.target.qps: must be greater than or equal to 1 (got 0)"),
    "qps -1": ("load(qps=-1)", "action.target.qps: must be greater than or equal to 1 (got -1)"),
    "qps NaN": ("load(qps=float('nan'))", "action.target.qps", "(got nan)"),
    "qps infinite": ("load(qps=float('inf'))", "action.target.qps", "(got inf)"),
    "qps as text": ("load(qps='300')", "action.target.qps: must be a whole number, such as 300 (got '300')"),
    "qps true": ("load(qps=True)", "action.target.qps: must be a whole number, such as 300 (got True)"),
    "qps 1.5": ("load(qps=1.5)", "action.target.qps", "a whole number", "(got 1.5)"),
    "qps 10**9": (
        "load(qps=10**9)",
        "action.target.qps: must be less than or equal to 50000 (got 1000000000)",
    ),
    "qps above the cap": (
        "load(qps=5001)",
        "action.target.qps: 5001 is above the cap of 5000",
        "chaos_max_qps",
    ),
    "concurrency 0": ("load(concurrency=0)", "action.target.concurrency", "(got 0)"),
    "min_delivered 2": ("load(min_delivered=2)", "action.target.min_delivered", "(got 2)"),
    "delay -1": ("spec(trigger={'type': 'time', 'delay_seconds': -1})", "trigger.delay_seconds", "(got -1)"),
    "delay NaN": (
        "spec(trigger={'type': 'time', 'delay_seconds': float('nan')})",
        "trigger.delay_seconds",
        "(got nan)",
    ),
    "delay as text": (
        "spec(trigger={'type': 'time', 'delay_seconds': '1'})",
        "trigger.delay_seconds",
        "(got '1')",
    ),
    "duration 5": (
        "load(duration='5')",
        'action.target.duration: not a duration; write it like "500ms"',
        "(got '5')",
    ),
    "duration abc": ("load(duration='abc')", "action.target.duration: not a duration", "(got 'abc')"),
    "duration -1s": ("load(duration='-1s')", "action.target.duration: not a duration", "(got '-1s')"),
    "duration 0s": ("load(duration='0s')", "action.target.duration: not a duration", "(got '0s')"),
    "duration as number": (
        "load(duration=5)",
        'action.target.duration: must be text, such as "30s" (got 5)',
    ),
    "duration above the cap": ("load(duration='301s')", "above the cap of 300", "chaos_max_duration"),
    "duration in JSON's exponents": ("load(duration='1e1s')", "action.target.duration: not a duration"),
    "URL with userinfo": (
        "load(service_url='http://me:secret@127.0.0.1/')",
        "action.target.service_url: a URL with user information is refused",
        "`headers`",
    ),
    "other scheme": (
        "load(service_url='ftp://127.0.0.1/')",
        "only http:// and https:// URLs",
        "(got 'ftp://127.0.0.1/')",
    ),
    "no URL": ("load(service_url='')", "action.target.service_url: "),
    "target outside the allow-list": (
        "load(service_url='http://shop.example/')",
        "'shop.example' is neither localhost nor allowed",
        "chaos_allowed_targets",
    ),
    "address outside the allow-list": (
        "load(service_url='http://10.0.0.1/')",
        "10.0.0.1",
        "chaos_allowed_targets",
    ),
    "any address": ("load(service_url='http://0.0.0.0/')", "0.0.0.0", "chaos_allowed_targets"),
    "keywords without a spec": ("wait='none'", "wait without a spec", "give the spec as first argument"),
    "empty list": ("[]", "an empty list holds no spec", "remove the mark"),
    "nested empty list": ("[load(), []]", "an empty list holds no spec"),
    "None": ("None", "a spec must be", "not NoneType"),
    "None as keyword": ("spec=None", "a spec must be", "not NoneType"),
    "number": ("42", "a spec must be", "not int (42)"),
    "unknown keyword": (
        "load(), wiat='none'",
        "unknown keyword 'wiat'; allowed: spec, wait",
        "did you mean 'wait'?",
    ),
    "unknown keyword without a spec": ("wiat='none'", "unknown keyword 'wiat'", "did you mean 'wait'?"),
    "unknown wait": (
        "load(), wait='nonne'",
        "wait must be one of 'active', 'done', 'none', not 'nonne'; did you mean 'none'?",
    ),
    "wait of another type": ("load(), wait=None", "wait must be one of 'active', 'done', 'none', not None"),
    "nothing to wait for": ("load(), wait='done'", "give the load a `duration`"),
}


def collected(run: InnerRun) -> dict[str, str]:
    """Return what could not be collected; nothing may stand there twice."""
    errors = [report for report in run.reports if report.when == "collect"]
    assert len({error.nodeid for error in errors}) == len(errors)
    return {error.nodeid: error.longrepr for error in errors}


@pytest.mark.parametrize(("arguments", "needles"), [(case[0], case[1:]) for case in BAD.values()], ids=BAD)
def test_bad_mark_is_a_collection_error_that_says_what_to_do(
    inner: InnerPytest, arguments: str, needles: tuple[str, ...]
) -> None:
    source = f"{HEAD}@pytest.mark.chaos({arguments})\ndef test_bad(): raise SystemError\n"
    run = inner(
        source, "--continue-on-collection-errors"
    )  # a run that stops shows more, which costs much time
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in run.stdout
    assert run.words == {}
    (message,) = collected(run).values()
    assert message.startswith(f"test_inner.py:{LINE}: bad chaos mark on test_bad\n  ")
    for needle in needles:
        assert needle in message
    assert run.stdout.splitlines().count(f"test_inner.py:{LINE}: bad chaos mark on test_bad") == 1
    assert "1 error" in run.stdout


def module_of_all() -> str:
    """Return a module with a bad test for each case, and one good test."""
    tests = (
        f"@pytest.mark.chaos({case[0]})\ndef test_{number}(): raise SystemError\n"
        for number, case in enumerate(BAD.values())
    )
    return f"{HEAD}{''.join(tests)}\ndef test_good(): pass\n"


@pytest.mark.parametrize("option", ["-n0", "-n2"])
@pytest.mark.parametrize("on", [False, True])
def test_others_run_as_for_any_collection_error(inner: InnerPytest, option: str, on: bool) -> None:
    options = [option, *(["--continue-on-collection-errors"] if on else [])]
    run = inner(module_of_all(), *options, plugins=["xdist.plugin"], junit=True)
    goes_on = on or option == "-n2"
    assert run.exit_code == (pytest.ExitCode.TESTS_FAILED if goes_on else pytest.ExitCode.INTERRUPTED)
    assert run.words == ({"test_good": "passed"} if goes_on else {})
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert set(collected(run)) == {f"test_inner.py::test_{number}" for number in range(len(BAD))}
    assert f"{len(BAD)} errors" in run.stdout
    for number, case in enumerate(BAD.values()):
        junit = run.junit[f"test_{number}"]
        assert junit.outcome == "error"
        assert case[1] in junit.message
        assert (
            run.stdout.splitlines().count(
                f"test_inner.py:{LINE + 2 * number}: bad chaos mark on test_{number}"
            )
            == 1
        )


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_one_bad_mark_of_two_spoils_the_test(inner: InnerPytest, option: str) -> None:
    source = f"{HEAD}@pytest.mark.chaos(load())\n@pytest.mark.chaos(load(qps=0))\ndef test_bad(): raise SystemError\n"
    run = inner(source, option, "--continue-on-collection-errors", plugins=["xdist.plugin"])
    assert run.words == {}
    assert list(collected(run)) == [NAME]
    assert "(got 0)" in collected(run)[NAME]


def test_marks_that_contradict_each_other(inner: InnerPytest) -> None:
    marks = "@pytest.mark.chaos(load(), wait='none')\n@pytest.mark.chaos(load(duration='1s'), wait='done')\n"
    run = inner(f"{HEAD}{marks}def test_bad(): raise SystemError\n")
    assert "contradict each other: wait is none and done" in collected(run)[NAME]


def test_each_mistake_in_a_spec_is_named(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(load(qps=0, duration='5', qsp=1))\ndef test_bad(): raise SystemError\n"
    )
    lines = collected(run)[NAME].splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        f"action.target.{key}" for key in ("qps", "duration", "qsp")
    ]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("pytestmark = pytest.mark.chaos([])\n\ndef test_bad(): raise SystemError", 2),
        ("@pytest.mark.chaos([])\nclass TestIt:\n    def test_bad(self): raise SystemError", 2),
        (
            "import unittest\n@pytest.mark.chaos([])\nclass TestIt(unittest.TestCase):\n    def test_bad(self): raise SystemError",
            3,
        ),
        ("@pytest.mark.skip\n@pytest.mark.chaos([])\ndef test_bad(): raise SystemError", 0),
        (
            "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.chaos([]))])\ndef test_bad(x): raise SystemError",
            0,
        ),
    ],
)
def test_the_line_is_that_of_the_test(inner: InnerPytest, source: str, line: int) -> None:
    run = inner(HEAD + source, "--continue-on-collection-errors")
    (message,) = collected(run).values()
    assert message.startswith(f"test_inner.py:{LINE + line}: bad chaos mark on test_bad")


@pytest.mark.parametrize(
    "arguments",
    [
        "load(service_url='http://me:hunter2@127.0.0.1/')",
        "load(service_url='ftp://me:hunter2@127.0.0.1/')",
        "load(headers={'Authorization': 'hunter2\\n'})",
        "load(headers={'X': ['hunter2']})",
        "load(headers=['Authorization: hunter2'])",
        "load(header={'Authorization': 'hunter2'})",
        "spec(action={'type': 'generate_load', 'target': [{'headers': {'Cookie': 'hunter2'}}]})",
        "spec(action=[{'headers': {'Cookie': 'hunter2'}}])",
        "load(headers={'Cookie': 'hunter2', 'Content-Length': '3'})",
    ],
)
def test_secrets_in_a_bad_spec_are_masked(inner: InnerPytest, arguments: str) -> None:
    source = f"{HEAD}@pytest.mark.chaos({arguments})\ndef test_bad(): raise SystemError\n"
    run = inner(source, "--continue-on-collection-errors", junit=True)
    assert "bad chaos mark" in run.stdout
    assert "hunter2" not in run.stdout + run.stderr + (run.path / "junit.xml").read_text(encoding="utf-8")


def test_collect_only_shows_the_error_too(inner: InnerPytest) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos([])\ndef test_bad(): raise SystemError\n", "--collect-only")
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "an empty list holds no spec" in run.stdout


@pytest.mark.parametrize(
    "option", ["--setup-plan", "--setup-only", "--chaos-disable", "-x", "--maxfail=1", "--lf", "-q"]
)
def test_it_is_an_error_in_every_mode(inner: InnerPytest, option: str) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos([])\ndef test_bad(): raise SystemError\n", option)
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert list(collected(run)) == [NAME]
    assert "INTERNALERROR" not in run.stdout


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_a_bad_mark_that_a_fixture_adds_fails_the_test(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture(autouse=True)
def late(request): request.node.add_marker(pytest.mark.chaos(load(qps=0)))

@pytest.mark.xfail
@pytest.mark.chaos
def test_bad(): raise SystemError
""",
        option,
        plugins=["xdist.plugin"],
    )
    end = run.test()
    assert end.word == "error"
    assert "(got 0)" in end.longrepr


def test_bad_mark_on_a_deselected_test_harms_nobody(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos([])\ndef test_bad(): raise SystemError\ndef test_good(): pass\n",
        "-k",
        "good",
    )
    assert run.words == {"test_good": "passed"}
    assert run.exit_code == 0


def test_junit_of_a_run_that_stopped_at_collection(inner: InnerPytest) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos([])\ndef test_bad(): raise SystemError\n", junit=True)
    case = read_junit(run.path / "junit.xml")["test_bad"]
    assert (case.outcome, case.properties) == ("error", {})
    assert "collection failure" in case.message
    assert "an empty list holds no spec" in case.message
