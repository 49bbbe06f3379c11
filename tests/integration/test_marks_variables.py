"""``{{NAME}}`` in specs: who may fill it, in which order, and what cannot be done with it."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
FIXTURE = """
@pytest.fixture
def chaos_variables(): return {}

"""


def marked(spec: str, fixture: str | None = None, body: str = "pass") -> str:
    """Return a module with one test; ``fixture`` is what its ``chaos_variables`` returns."""
    override = "" if fixture is None else FIXTURE.replace("{}", fixture)
    return f"{HEAD}{override}@pytest.mark.chaos({spec})\ndef test_it(): {body}\n"


@pytest.mark.parametrize(
    ("cli", "fixture", "environment", "expected"),
    [
        ("A=cli", "{'A': 'fixture'}", "environment", "cli"),
        (None, "{'A': 'fixture'}", "environment", "fixture"),
        (None, "{'B': 'fixture'}", "environment", "environment"),
        ("A=cli", None, "environment", "cli"),
        (None, None, "environment", "environment"),
        ("A=cli", None, None, "cli"),
    ],
)
def test_precedence(
    inner: InnerPytest,
    monkeypatch: pytest.MonkeyPatch,
    cli: str | None,
    fixture: str | None,
    environment: str | None,
    expected: str,
) -> None:
    if environment is not None:
        monkeypatch.setenv("A", environment)
    run = inner(
        marked("staged(label='<{{A}}>')", fixture, f"assert RUNNING == ['<{expected}>']"),
        *(["--chaos-var", cli] if cli else []),
        conftest=STAGED,
        ini={"chaos_env": "OTHER\nA"},
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_all_sources_reach_the_workers(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("A", "a")
    run = inner(
        marked("staged(label='{{A}}{{B}}{{C}}')", "{'B': 'b'}", "assert RUNNING == ['abc']"),
        option,
        "--chaos-var=C=c",
        conftest=STAGED,
        plugins=["xdist.plugin"],
        ini={"chaos_env": "A"},
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize(
    ("text", "value", "filled"),
    [
        ("{{A}}", "x", "x"),
        ("{{ A }}", "x", "x"),
        ("{{A}}{{A}}-{{B}}", "x", "xx-b"),
        ("{{A}}", "", ""),
        ("{{A}}", "{{B}}", "{{B}}"),
        ("{{A}}B}}", "{{", "{{B}}"),
        ("{{A}}", "', 'play': 'raises", "', 'play': 'raises"),
        ("{{A}}", '"}, {"x": "', '"}, {"x": "'),
        ("{{A}}", "\\1 \\g<0>", "\\1 \\g<0>"),
        ("{A} {{}} {{1}}", "x", "{A} {{}} {{1}}"),
    ],
)
def test_one_pass_and_no_change_of_structure(inner: InnerPytest, text: str, value: str, filled: str) -> None:
    run = inner(
        marked(f"staged(label={text!r})", repr({"A": value, "B": "b"}), f"assert RUNNING == [{filled!r}]"),
        conftest=STAGED,
    )
    assert run.test().word == "passed", run.stdout


def test_every_string_of_a_spec_may_hold_one(inner: InnerPytest) -> None:
    spec = "staged('{{A}} rush', verify='{{A}} check', label='{{A}}', details={'list': ['{{A}}', {'deep': '{{A}}'}], '{{A}}': 1})"
    run = inner(
        f"{HEAD}@pytest.fixture\ndef chaos_verifiers(): return {{'x check': lambda: None}}\n"
        f"@pytest.mark.chaos({spec})\ndef test_it(): assert RUNNING == ['x']\n",
        "--chaos-var=A=x",
        conftest=STAGED,
    )
    (outcome,) = run.test().chaos
    assert (outcome["name"], outcome["verify"]["name"]) == ("x rush", "x check")
    assert outcome["result"]["details"] == {"list": ["x", {"deep": "x"}], "{{A}}": 1}


@pytest.mark.parametrize("arguments", [["--chaos-var=A=1", "--chaos-var", "B=2=3"], []])
def test_several_on_the_command_line_or_in_the_environment(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    if not arguments:
        monkeypatch.setenv("PYTEST_CHAOS_VAR", "A=1\nB=2=3")
    run = inner(
        marked("staged(label='{{A}}|{{B}}')", body="assert RUNNING == ['1|2=3']"), *arguments, conftest=STAGED
    )
    assert run.test().word == "passed", run.stdout


def test_a_value_with_spaces_from_the_environment(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_CHAOS_VAR", "A=lunch rush\nB=2")
    run = inner(marked("staged(label='{{A}}')", body="assert RUNNING == ['lunch rush']"), conftest=STAGED)
    assert run.test().word == "passed", run.stdout


@pytest.mark.parametrize("value", ["NAME", "=x", "1A=x", "", "A B=x"])
def test_a_variable_must_have_a_name(inner: InnerPytest, value: str) -> None:
    run = inner(marked("staged()"), f"--chaos-var={value}", conftest=STAGED)
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "--chaos-var: must be NAME=VALUE" in run.stderr


def test_the_fixture_may_ask_for_others_and_depend_on_the_test(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture(params=["a", "b"])
def server(request): return request.param

@pytest.fixture
def chaos_variables(server, request): return {{"SERVER": server, "TEST": request.node.name, "PORT": 80}}

@pytest.mark.chaos(staged(label="{{{{SERVER}}}} {{{{TEST}}}} {{{{PORT}}}}"))
def test_it(server): assert RUNNING == [f"{{server}} test_it[{{server}}] 80"]

class TestOverridden:
    @pytest.fixture
    def chaos_variables(self, chaos_variables): return {{**chaos_variables, "PORT": "99"}}

    @pytest.mark.chaos(staged(label="{{{{PORT}}}}"))
    def test_it(self, server): assert RUNNING == ["99"]
""",
        conftest=STAGED,
    )
    assert set(run.words.values()) == {"passed"}, run.stdout
    assert [report.chaos is not None for report in run.reports if report.when == "call"] == [True] * 4


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_one_without_a_value_fails_the_test_in_setup_and_is_named(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.xfail\n@pytest.mark.chaos(staged(label='{{{{SHOP_ULR}}}} {{{{OTHER}}}}'))\n"
        "def test_it(): raise SystemError\n"
        f"def test_by_hand(chaos_injector):\n    with chaos_injector.inject(staged(label='{{{{MISSING}}}}')): raise SystemError\n"
        "def test_after(): assert STARTED == []\n",
        option,
        "--chaos-var=SHOP_URL=x",
        conftest=STAGED,
        plugins=["xdist.plugin"],
        ini={"chaos_env": "NOT_SET"},
    )
    assert run.words == {"test_it": "error", "test_by_hand": "failed", "test_after": "passed"}
    end = run.test("::test_it")
    assert end.verdicts == ["inconclusive"]
    assert (
        "'a rush': no value for {{SHOP_ULR}}, {{OTHER}}; give it with --chaos-var NAME=VALUE, the fixture "
        in end.longrepr
    )
    assert (
        "chaos_variables, or an environment variable named in ini chaos_env; did you mean 'SHOP_URL'?"
        in end.longrepr
    )
    assert "no value for {{MISSING}}" in run.test("::test_by_hand").longrepr


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "chaos_variables must return a mapping, not NoneType"),
        ("['A']", "chaos_variables must return a mapping, not list"),
        ("{'A': None}", "chaos_variables: 'A' must be text or a number, not NoneType"),
        ("{'A': True}", "chaos_variables: 'A' must be text or a number, not bool"),
        ("{1: 'x'}", "chaos_variables: 1 must be text"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_fixture_that_returns_something_else(inner: InnerPytest, returned: str, message: str) -> None:
    source = f"{HEAD}@pytest.fixture\ndef chaos_variables(): return {returned}\n"
    source += (
        "@pytest.mark.xfail\n@pytest.mark.chaos(staged(label='{{A}}'))\ndef test_it(): raise SystemError\n"
    )
    run = inner(source + "def test_after(): assert STARTED == []\n", conftest=STAGED)
    assert run.words == {"test_it": "error", "test_after": "passed"}
    assert message in run.test("::test_it").longrepr


@pytest.mark.parametrize(
    ("target", "variables", "message"),
    [
        ("'service_url': '{{V}}'", "ftp://127.0.0.1/", "only http:// and https:// URLs"),
        ("'service_url': '{{V}}'", "http://10.0.0.1/", "chaos_allowed_targets"),
        ("'service_url': 'http://{{V}}/'", "me:secret@127.0.0.1", "user information is refused"),
        (
            "'service_url': 'http://127.0.0.1:1/', 'duration': '{{V}}'",
            "5",
            "action.target.duration: not a duration",
        ),
        ("'service_url': 'http://127.0.0.1:1/', 'duration': '{{V}}'", "301s", "above the cap of 300"),
        (
            "'service_url': 'http://127.0.0.1:1/', 'headers': {'X': '{{V}}'}",
            "a\r\nb",
            "action.target.headers",
        ),
    ],
)
@pytest.mark.parametrize("source", ["fixture", "command line"])
def test_a_value_that_does_not_fit_starts_nothing(
    inner: InnerPytest, target: str, variables: str, message: str, source: str
) -> None:
    spec = f"{{'trigger': {{'type': 'time'}}, 'action': {{'type': 'generate_load', 'target': {{{target}}}}}}}"
    fixture = repr({"V": variables}) if source == "fixture" else None
    module = marked(spec, fixture, "raise SystemError").replace(
        "@pytest.mark.chaos", "@pytest.mark.xfail\n@pytest.mark.chaos"
    )
    run = inner(module, *(["--chaos-var", f"V={variables}"] if source != "fixture" else []), conftest=STAGED)
    assert run.exit_code != 0
    told = "\n".join(report.longrepr for report in run.reports)
    assert message in told
    assert "SystemError" not in told.replace("raise SystemError", "")
    assert "secret" not in run.stdout
    assert "INTERNALERROR" not in run.stdout


def test_numbers_cannot_be_filled_in(inner: InnerPytest) -> None:
    spec = {
        "trigger": {"type": "time"},
        "action": {
            "type": "generate_load",
            "target": {"service_url": "http://127.0.0.1:1/", "qps": "{{QPS}}"},
        },
    }
    run = inner(marked(repr(spec)), "--chaos-var=QPS=3", conftest=STAGED)
    message = run.reports[0].longrepr
    assert "action.target.qps: must be a whole number" in message
    assert "(got '{{QPS}}')" in message
