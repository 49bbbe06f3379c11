"""Options: command line before environment before ini before default; a wrong value ends the run and says what is allowed."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest, InnerRun

SHOW = """
from pytest_chaos.plugin.merging import settings_of

def pytest_sessionstart(session):
    settings = settings_of(session.config)
    values = {name: getattr(settings, name) for name in settings.__slots__}
    print("settings:", repr({**values, **{name: getattr(settings.caps, name) for name in settings.caps.__slots__}}))
"""

# Name of the setting, its option without "--chaos-" or None, its ini key without "chaos_" or None; then a value on the
# command line, in the environment and in ini, as they are read; and the default.
VALUES = {
    "start_timeout_s": ("start-timeout", "start_timeout", 1.5, 2.5, 3.5, 30.0),
    "stop_timeout_s": ("stop-timeout", "stop_timeout", 1.5, 2.5, 3.5, 10.0),
    "check_timeout_s": ("check-timeout", "check_timeout", 0.1, 2.5, 3.5, 10.0),
    "lock_timeout_s": ("lock-timeout", "lock_timeout", 0.0, 2.5, 3.5, 300.0),
    "max_qps": (None, "max_qps", None, 11, 12, 5000),
    "max_duration_s": (None, "max_duration", None, 1.5, 2.5, 300.0),
    "max_concurrency": (None, "max_concurrency", None, 11, 12, 1024),
    "model": ("model", "model", "cli", "environment", "ini", "gemini-3.8-flash"),
    "api_version": ("api-version", "api_version", "v1", "v2", "v3", None),
    "model_timeout_s": ("model-timeout", "model_timeout", 1.5, 2.5, 3.5, 30.0),
    "max_tokens": ("max-tokens", "max_tokens", 11, 12, 13, 50_000),
    "plan_dir": ("plan-dir", "plan_dir", "/cli", "/environment", "/ini", None),
    "summary": ("summary", "summary", "/cli", "/environment", "/ini", None),
    "report": ("report", "report", "cli.html", "environment.html", "ini.html", None),
    "fortio": ("fortio", "fortio", "/cli", "/environment", "/ini", None),
    "abort_file": (None, "abort_file", None, "/environment", "/ini", None),
}


def settings(run: InnerRun) -> dict[str, object]:
    """Return what the settings of a run were."""
    (line,) = [line for line in run.stdout.splitlines() if "settings: " in line]
    found: dict[str, object] = eval(line.partition("settings: ")[2], {"Caps": dict})
    return found


@pytest.mark.parametrize("name", VALUES)
def test_precedence(inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    option, key, on_the_command_line, in_the_environment, in_ini, default = VALUES[name]
    assert settings(inner("", conftest=SHOW))[name] == default
    ini = {f"chaos_{key}": in_ini}
    assert settings(inner("", conftest=SHOW, ini=ini))[name] == in_ini
    monkeypatch.setenv(f"PYTEST_CHAOS_{str(key).upper()}", str(in_the_environment))
    assert settings(inner("", conftest=SHOW, ini=ini))[name] == in_the_environment
    if option is not None:
        arguments = [f"--chaos-{option}={on_the_command_line}"]
        assert settings(inner("", *arguments, conftest=SHOW, ini=ini))[name] == on_the_command_line


@pytest.mark.parametrize(
    ("arguments", "environment", "ini", "expected"),
    [
        ([], None, {}, False),
        ([], None, {"chaos_disable": "true"}, True),
        ([], None, {"chaos_disable": "no"}, False),
        ([], "0", {"chaos_disable": "true"}, False),
        ([], "", {"chaos_disable": "true"}, False),
        ([], "1", {}, True),
        (["--chaos-disable"], "0", {"chaos_disable": "no"}, True),
    ],
)
def test_precedence_of_a_flag(
    inner: InnerPytest,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: str | None,
    ini: dict[str, str],
    expected: bool,
) -> None:
    if environment is not None:
        monkeypatch.setenv("PYTEST_CHAOS_DISABLE", environment)
    assert settings(inner("", *arguments, conftest=SHOW, ini=ini))["disable"] is expected


@pytest.mark.parametrize(
    ("name", "key", "ini", "environment", "default"),
    [
        ("allowed_targets", "allowed_targets", "*.test\n10.0.0.0/8\n\n", "shop.test\n[::1]", ()),
        ("env_names", "env", "A\nB", "C", ()),
        ("secrets", "secrets", "X-Token api_key\nsession", "X-Other", ()),
        ("junit", "junit", "system-out", "properties", ("properties", "system-out")),
    ],
)
def test_lists_stand_one_item_a_line(
    inner: InnerPytest,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: str,
    ini: str,
    environment: str,
    default: tuple[str, ...],
) -> None:
    assert settings(inner("", conftest=SHOW))[name] == default
    assert settings(inner("", conftest=SHOW, ini={f"chaos_{key}": ini}))[name] == tuple(ini.split())
    monkeypatch.setenv(f"PYTEST_CHAOS_{key.upper()}", environment)
    assert settings(inner("", conftest=SHOW, ini={f"chaos_{key}": ini}))[name] == tuple(environment.split())


def test_the_environment_that_is_asked_for_is_read_in_pairs(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini = {"chaos_environment": "STAGE=a test = system\nREGION="}
    assert settings(inner("", conftest=SHOW))["environment"] == ()
    assert settings(inner("", conftest=SHOW, ini=ini))["environment"] == (
        ("STAGE", "a test = system"),
        ("REGION", ""),
    )
    monkeypatch.setenv("PYTEST_CHAOS_ENVIRONMENT", "STAGE=other")
    assert settings(inner("", conftest=SHOW, ini=ini))["environment"] == (("STAGE", "other"),)


def test_headers_are_made_visible_by_the_project_alone(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini = {"chaos_allow_visible_headers": "yes"}
    assert settings(inner("", conftest=SHOW))["allow_visible_headers"] is False
    assert settings(inner("", conftest=SHOW, ini=ini))["allow_visible_headers"] is True
    monkeypatch.setenv("PYTEST_CHAOS_ALLOW_VISIBLE_HEADERS", "no")
    assert settings(inner("", conftest=SHOW, ini=ini))["allow_visible_headers"] is False


def test_the_abort_file_stands_beside_the_ini_file(inner: InnerPytest) -> None:
    run = inner("", conftest=SHOW, ini={"chaos_abort_file": "stop/chaos"})
    assert settings(run)["abort_file"] == str(run.path / "stop" / "chaos")


@pytest.mark.parametrize(
    ("given", "kept"), [("", ()), ("properties  system-out", ("properties", "system-out"))]
)
def test_kinds_of_junit(inner: InnerPytest, given: str, kept: tuple[str, ...]) -> None:
    assert settings(inner("", conftest=SHOW, ini={"chaos_junit": given}))["junit"] == kept


RANGES = {
    "start_timeout": (
        "must be a number from 0.1 to 3600",
        ["0", "-1", "nan", "inf", "abc", "3601", "1s", ""],
    ),
    "stop_timeout": ("must be a number from 1 to 600", ["0", "601", "nan", "ten"]),
    "check_timeout": ("must be a number from 0.1 to 600", ["0", "0.09", "601", "inf", "10s"]),
    "lock_timeout": ("must be a number from 0 to 86400", ["-1", "86401", "nan", "5m", ""]),
    "environment": ("must be NAME=VALUE", ["STAGE", "=x", "a b=c"]),
    "allow_visible_headers": ("must be true or false", ["maybe"]),
    "max_qps": ("must be a whole number from 1 to 50000", ["0", "-1", "1.5", "abc", "50001", "1e3", ""]),
    "model_timeout": ("must be a number from 0.1 to 600", ["0", "601", "nan"]),
    "max_tokens": ("must be a whole number from 1 to 10000000", ["0", "1.5", "10000001"]),
    "max_duration": ("must be a number from 0.1 to 3600", ["0", "nan", "5m", "3601"]),
    "max_concurrency": ("must be a whole number from 1 to 4096", ["0", "4097", "many"]),
    "agent": ("must be one of: planned, gemini, record, replay", ["", "gpt", "Planned"]),
    "junit": ("must be one of: properties, system-out", ["sytem-out"]),
    "disable": ("must be true or false", ["maybe", "2"]),
}
WRONG = [(name, bad) for name, (_, values) in RANGES.items() for bad in values]
ON_THE_COMMAND_LINE = {
    "start_timeout",
    "stop_timeout",
    "check_timeout",
    "lock_timeout",
    "model_timeout",
    "max_tokens",
    "agent",
}


def refused(run: InnerRun, source: str, name: str, bad: str) -> None:
    """Assert that a run ended because of a wrong value, with one line that says all."""
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR, run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("ERROR: ")]
    assert source in line
    assert RANGES[name][0] in line
    assert bad in line.rpartition("(")[2]


@pytest.mark.parametrize(("name", "bad"), WRONG)
def test_wrong_in_the_environment(
    inner: InnerPytest, monkeypatch: pytest.MonkeyPatch, name: str, bad: str
) -> None:
    monkeypatch.setenv(f"PYTEST_CHAOS_{name.upper()}", bad)
    refused(inner(""), f"PYTEST_CHAOS_{name.upper()}: ", name, bad)


@pytest.mark.parametrize(("name", "bad"), [case for case in WRONG if case[1]])
def test_wrong_in_ini(inner: InnerPytest, name: str, bad: str) -> None:
    refused(inner("", ini={f"chaos_{name}": bad}), f"chaos_{name}: ", name, bad)


@pytest.mark.parametrize(("name", "bad"), [case for case in WRONG if case[0] in ON_THE_COMMAND_LINE])
def test_wrong_on_the_command_line(inner: InnerPytest, name: str, bad: str) -> None:
    switch = f"--chaos-{name.replace('_', '-')}"
    refused(inner("", f"{switch}={bad}"), f"{switch}: ", name, bad)


def test_a_wrong_value_ends_a_distributed_run_as_well(inner: InnerPytest) -> None:
    run = inner("def test_it(): pass", "-n2", "--chaos-stop-timeout=0", plugins=["xdist.plugin"])
    refused(run, "--chaos-stop-timeout: ", "stop_timeout", "0")


NATIVE = pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest reads native TOML since 9.0")


@pytest.mark.parametrize("table", [pytest.param("tool.pytest", marks=NATIVE), "tool.pytest.ini_options"])
def test_values_in_pyproject(inner: InnerPytest, table: str) -> None:
    quote = "" if table == "tool.pytest" else '"'
    inner.pytester.makepyprojecttoml(
        f"""
        [{table}]
        chaos_max_qps = {quote}12{quote}
        chaos_max_duration = {quote}2.5{quote}
        chaos_start_timeout = {quote}5{".0" if not quote else ""}{quote}
        chaos_disable = {"true" if not quote else '"true"'}
        chaos_fortio = "/opt/fortio"
        chaos_allowed_targets = ["*.test", "10.0.0.0/8"]
        chaos_env = ["A", "B"]
        chaos_junit = ["system-out"]
        """
    )
    found = settings(inner("", conftest=SHOW))
    assert (
        found
        | {
            "max_qps": 12,
            "max_duration_s": 2.5,
            "start_timeout_s": 5.0,
            "disable": True,
            "fortio": "/opt/fortio",
            "allowed_targets": ("*.test", "10.0.0.0/8"),
            "env_names": ("A", "B"),
            "junit": ("system-out",),
        }
        == found
    )


@pytest.mark.parametrize("value", ["12", "2.5", "true"])
def test_plain_toml_values_in_ini_options(inner: InnerPytest, value: str) -> None:
    name = {"12": "max_qps", "2.5": "max_duration", "true": "disable"}[value]
    inner.pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\nchaos_{name} = {value}\n")
    found = settings(inner("", conftest=SHOW))
    assert {"12": found["max_qps"], "2.5": found["max_duration_s"], "true": found["disable"]}[value] in {
        12,
        2.5,
        True,
    }


@NATIVE
@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("chaos_max_qps = 0", "from 1 to 50000"),
        ("chaos_max_qps = '12'", "chaos_max_qps"),
        ("chaos_max_qps = 1.5", "chaos_max_qps"),
        ("chaos_max_qps = true", "chaos_max_qps"),
        ("chaos_max_duration = 4000.0", "from 0.1 to 3600"),
        ("chaos_allowed_targets = 'localhost'", "chaos_allowed_targets"),
        ("chaos_allowed_targets = [1]", "chaos_allowed_targets"),
        ("chaos_disable = 'maybe'", "chaos_disable"),
        ("chaos_junit = ['both']", "must be one of: properties, system-out"),
    ],
)
def test_wrong_in_native_toml(inner: InnerPytest, line: str, allowed: str) -> None:
    inner.pytester.makepyprojecttoml(f"[tool.pytest]\n{line}\n")
    run = inner("")
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert allowed in run.stderr
    assert "INTERNALERROR" not in run.stdout + run.stderr


@NATIVE
def test_a_whole_number_stands_for_seconds_in_native_toml(inner: InnerPytest) -> None:
    inner.pytester.makepyprojecttoml("[tool.pytest]\nchaos_max_duration = 60\nchaos_start_timeout = 5\n")
    found = settings(inner("", conftest=SHOW))
    assert (found["max_duration_s"], found["start_timeout_s"]) == (60.0, 5.0)


def test_strict_config_knows_every_key(inner: InnerPytest) -> None:
    ini = {f"chaos_{key}": value for _, key, _, _, value, _ in VALUES.values()}
    ini |= {
        "chaos_disable": "no",
        "chaos_junit": "properties",
        "chaos_env": "A",
        "chaos_allowed_targets": "*.test",
        "chaos_environment": "A=B",
        "chaos_secrets": "X-Token",
        "chaos_allow_visible_headers": "no",
    }
    run = inner("def test_it(): pass", "--strict-config", "--strict-markers", ini=ini)
    assert run.words == {"test_it": "passed"}


@pytest.mark.parametrize("option", ["--chaos", "--chaos-seed=1", "--chaos-max-qps=3"])
def test_names_that_are_not_ours(inner: InnerPytest, option: str) -> None:
    assert inner("", option).exit_code == pytest.ExitCode.USAGE_ERROR


def test_a_cap_is_enforced_at_collection(inner: InnerPytest) -> None:
    target = {"service_url": "http://127.0.0.1:1/", "qps": 11, "duration": "2s", "concurrency": 3}
    spec = {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": target}}
    source = f"import pytest\n@pytest.mark.chaos({spec})\ndef test_it(): raise SystemError\n"
    for key, cap, remedy in (
        ("qps", 10, "max_qps"),
        ("duration", 1, "max_duration"),
        ("concurrency", 2, "max_concurrency"),
    ):
        run = inner(source, "--continue-on-collection-errors", ini={f"chaos_{remedy}": cap})
        assert (
            f"action.target.{key}: {target[key] if key != 'duration' else 2} is above the cap of {cap}"
            in run.stdout
        )
        assert f"raise chaos_{remedy}" in run.stdout
        assert run.words == {}


def test_an_allowed_target_passes_collection(inner: InnerPytest) -> None:
    spec = {
        "trigger": {"type": "time"},
        "action": {"type": "generate_load", "target": {"service_url": "http://shop.example/"}},
    }
    source = f"import pytest\n@pytest.mark.chaos({spec})\ndef test_it(): pass\n"
    assert inner(source, "--collect-only", ini={"chaos_allowed_targets": "*.example"}).exit_code == 0
    assert inner(source, "--collect-only").exit_code == pytest.ExitCode.INTERRUPTED
