"""Marks that name files, entries of files, and names of the catalogue; and one test for each entry."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop

TASK = """
title: keep the shop open
grader: {points: 10}
chaos_spec: |
  [{"name": "planned", "trigger": {"type": "time", "delay_seconds": 0.1},
    "action": {"type": "generate_load", "target": {
      "service_url": "http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}", "qps": 100, "min_delivered": 0.2}},
    "verification": "the service stays up, and orders add up"}]
"""
NATIVE = """
chaos:
  - name: planned
    trigger: {type: time, delay_seconds: 0.1}
    action:
      type: generate_load
      target:
        service_url: http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}
        qps: 100
        min_delivered: 0.2
    verification: the service stays up, and orders add up
"""
BODY = """
import time, pytest

@pytest.fixture
def chaos_variables(): return {{"TARGET_DEPLOYMENT_NAME": {host!r}, "NAMESPACE": {rest!r}}}

@pytest.fixture
def chaos_verifiers(): return {{"the service stays up, and orders add up": lambda: None}}

@pytest.mark.chaos({reference!r})
def test_it(): time.sleep(0.3)
"""
TWO = """
- name: first
  trigger: {type: time}
  action: {type: generate_load, target: {service_url: "http://127.0.0.1:9/"}}
- name: second
  trigger: {type: time}
  action: {type: generate_load, target: {service_url: "http://127.0.0.1:9/", qps: 7}}
"""


def write(inner: InnerPytest, **files: str) -> Path:
    """Write files into the inner directory: ``chaos_yaml`` becomes ``chaos.yaml``."""
    for name, text in files.items():
        (inner.pytester.path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return inner.pytester.path


@pytest.mark.parametrize("text", [TASK, NATIVE], ids=["json in yaml", "native yaml"])
def test_a_task_file_straight_from_the_mark(inner: InnerPytest, shop: Shop, text: str) -> None:
    write(inner, task_yaml=text)
    host, dot, rest = shop.url.removeprefix("http://").partition(".")
    assert dot
    run = inner(BODY.format(host=host, rest=rest, reference="task.yaml"))
    (outcome,) = run.test().chaos
    assert (outcome["name"], outcome["verdict"]) == ("planned", "held")
    assert outcome["verify"]["name"] == "the service stays up, and orders add up"


@pytest.mark.parametrize("text", [TASK, NATIVE], ids=["json in yaml", "native yaml"])
def test_a_task_file_of_a_cluster_is_planned(inner: InnerPytest, text: str) -> None:
    """The shape that a benchmark's task has: the names of deployment and namespace are known only when it runs."""
    cluster = "http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}.svc.cluster.local"
    text = text.replace("http://{{TARGET_DEPLOYMENT_NAME}}.{{NAMESPACE}}", cluster)
    write(inner, task_yaml=text.replace("100", "300").replace("0.1", "5"))
    suite = "import pytest\n@pytest.mark.chaos('task.yaml')\ndef test_it(): raise SystemError\n"
    run = inner(suite, "--chaos-dry-run", "--chaos-plan=plan.json")
    (planned,) = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))["disruptions"]
    assert run.exit_code == 0
    assert (planned["fault"], planned["trigger"]) == ("generate_load", "5 s after the start")
    assert planned["argv"][-1] == cluster
    assert planned["argv"][planned["argv"].index("-qps") + 1] == "300"
    assert planned["verify"] == "the service stays up, and orders add up"


def test_the_plan_names_file_and_line(inner: InnerPytest) -> None:
    write(inner, many_yaml=TWO)
    suite = "import pytest\n@pytest.mark.chaos('many.yaml')\ndef test_it(): pass\n"
    run = inner(suite, "--chaos-dry-run", "--chaos-plan=plan.json")
    plan = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["source"]) for one in plan["disruptions"]] == [
        ("first", "many.yaml:2:3"),
        ("second", "many.yaml:5:3"),
    ]


@pytest.mark.parametrize(
    ("reference", "ini"),
    [
        ("chaos.yaml#second", {}),
        ("second", {}),
        ("second", {"chaos_catalogue": "other.yaml"}),
    ],
    ids=["of a file", "of the usual catalogue", "of another catalogue"],
)
def test_an_entry_by_name(inner: InnerPytest, reference: str, ini: dict[str, str]) -> None:
    write(inner, **({"other_yaml": TWO} if ini else {"chaos_yaml": TWO}))
    suite = f"import pytest\n@pytest.mark.chaos({reference!r})\ndef test_it(): pass\n"
    run = inner(suite, "--chaos-dry-run", ini=ini)
    assert run.exit_code == 0
    assert "'second'" in run.stdout
    assert "'first'" not in run.stdout


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize(
    ("reference", "text", "message"),
    [
        ("chaos.yaml", TWO.replace("qps: 7", "qpz: 7"), "chaos.yaml:7:78: action.target.qpz: unknown key"),
        ("chaos.yaml", TWO.replace("qps: 7", "qps: '7'"), "chaos.yaml:7:83: action.target.qps: "),
        ("chaos.yaml#secnd", TWO, "did you mean 'second'"),
        ("nope.yaml", TWO, "there is no file 'nope.yaml'"),
        ("thrid", TWO, "no entry is named 'thrid'"),
        ("chaos.yaml", "{" * 1000, "chaos.yaml:1:"),
        ("chaos.yaml", "trigger: {type: time}\n" * 2 + "action: {}", "chaos.yaml:2:1"),
        ("chaos.yaml", "\x00\x01", "chaos.yaml"),
    ],
)
def test_what_is_wrong_stands_with_file_line_and_column(
    inner: InnerPytest, workers: str, reference: str, text: str, message: str
) -> None:
    write(inner, chaos_yaml=text)
    suite = f"import pytest\n@pytest.mark.chaos({reference!r})\ndef test_it(): raise SystemError\n"
    run = inner(suite, workers, plugins=["xdist.plugin"])
    assert run.exit_code == (2 if workers == "-n0" else 1)
    assert message in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_billion_laughs_are_an_error_and_no_dead_machine(inner: InnerPytest) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    write(inner, chaos_yaml=f"a0: &a0 [x]\n{levels}")
    began = time.monotonic()
    run = inner("import pytest\n@pytest.mark.chaos('chaos.yaml')\ndef test_it(): pass\n")
    assert run.exit_code == 2
    assert time.monotonic() - began < 10


def test_one_test_for_each_entry(inner: InnerPytest) -> None:
    write(inner, many_yaml=TWO)
    suite = """
import pytest
from pytest_chaos.plugin import cases

@pytest.mark.parametrize("case", cases("many.yaml", wait="none"))
def test_it(case): pass
"""
    run = inner(suite, "--chaos-dry-run")
    assert run.exit_code == 0
    assert sorted(run.words) == ["test_it[first]", "test_it[second]"]
    assert run.stdout.count("(wait='none')") == 2


def test_one_test_for_one_entry(inner: InnerPytest) -> None:
    write(inner, many_yaml=TWO)
    suite = """
import pytest
from pytest_chaos.plugin import cases

@pytest.mark.parametrize("case", cases("many.yaml#second"))
def test_it(case): pass
"""
    run = inner(suite, "--chaos-dry-run")
    assert list(run.words) == ["test_it[second]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "there is no file"), (TWO.replace("- name: second\n  trigger", "- trigger"), "has no name")],
    ids=["no file", "no name"],
)
def test_cases_of_a_file_that_will_not_do(inner: InnerPytest, text: str | None, message: str) -> None:
    if text is not None:
        write(inner, many_yaml=text)
    suite = """
import pytest
from pytest_chaos.plugin import cases

@pytest.mark.parametrize("case", cases("many.yaml"))
def test_it(case): pass
"""
    run = inner(suite)
    assert run.exit_code == 2
    assert message in run.stdout


def test_a_path_object_and_the_injector(inner: InnerPytest, shop: Shop) -> None:
    write(inner, one_yaml=TWO.replace('"http://127.0.0.1:9/"', '"{{SHOP}}", min_delivered: 0.2'))
    suite = f"""
import pathlib, time, pytest

@pytest.fixture
def chaos_variables(): return {{"SHOP": {shop.url!r}}}

@pytest.mark.chaos(pathlib.Path("one.yaml"))
def test_it(): time.sleep(0.3)

def test_by_hand(chaos_injector):
    with chaos_injector.inject("one.yaml#first"):
        time.sleep(0.3)
"""
    run = inner(suite)
    assert run.words == {"test_it": "passed", "test_by_hand": "passed"}
    assert run.test("::test_it").verdicts == ["held", "held"]
