"""A dry run says what would happen, and nothing happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.inner import InnerPytest
from tests.support.specs import load_spec

LOOPBACK = load_spec(
    "http://127.0.0.1:9/x", delay_seconds=2, name="rush", qps=5, headers={"X-Session": "sentinel"}
)
HOLES = load_spec("http://{{HOST}}.test/{{PATH}}", name="holes", verify="a check")
SUITE = f"""
import pytest

@pytest.fixture(autouse=True, scope="session")
def expensive():
    raise SystemError("a fixture was set up")

@pytest.mark.chaos({LOOPBACK!r})
def test_marked(): raise SystemError

@pytest.mark.chaos({HOLES!r}, wait="none")
@pytest.mark.xfail(strict=True)
class TestAll:
    def test_one(self): raise SystemError
    def test_two(self): raise SystemError

def test_by_hand(chaos_injector): raise SystemError

@pytest.mark.chaos
def test_plain(): raise SystemError

def test_without(): raise SystemError
"""
# Refuses, from now on, whatever a dry run must not do.
STRICT = """
import os
import sys

OURS = ("plan.json", "junit.xml", ".jsonl", "/dev/null")

def writes(path, mode, flags):
    return isinstance(path, str) and not path.endswith(OURS) and "__pycache__" not in path and (
        flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if mode is None else set(mode) & set("wax+")
    )

def refuse(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.fork", "os.exec"}:
        raise SystemError(f"a dry run did {event} {args}")
    if event == "open" and writes(*args):
        raise SystemError(f"a dry run wrote {args}")

sys.addaudithook(refuse)
"""


def plan_of(path: Path) -> dict[str, Any]:
    """Return a plan file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_nothing_happens_and_everything_is_said(inner: InnerPytest) -> None:
    options = ("--chaos-dry-run", "--chaos-plan=plan.json", "--chaos-var=PATH=pay", "-p", "no:cacheprovider")
    run = inner(SUITE, *options, conftest=STRICT, junit=True, subprocess=True)
    assert run.exit_code == 0
    assert set(run.words.values()) == {"skipped"}
    assert [name for name in run.words if "plain" in name or "without" in name] == []
    text = run.stdout
    assert re.search(r"test_inner.py::test_marked  'rush'  \(test_inner.py:7\)", text)
    assert "when     2 s after the start; the body starts once it is active" in text
    assert re.search(r"command  fortio load .* -qps 5 .* -H 'X-Session:\*\*\*' -- http://127.0.0.1:9/x", text)
    assert "at most 1502 requests, 300 s; caps: 5000 qps, 300 s, 1024 connections" in text
    assert "agent    planned" in text
    assert "http://127.0.0.1:9/x: loopback, allowed" in text
    assert "warning  at 5 requests a second a body under 0.4 s may see none" in text
    assert "warning  the delay of 2 s is spent in setup" in text
    assert "http://{{HOST}}.test/pay: known once {{HOST}} is filled" in text
    assert "verify   'a check'" in text
    assert "test_inner.py::test_by_hand  decided in the body" in text
    assert "3 disruption(s) in 4 test(s); 2 test(s) without chaos left out" in text
    assert "sentinel" not in text + run.stderr + (run.path / "junit.xml").read_text(encoding="utf-8")
    case = run.junit["test_marked"]
    assert case.properties["chaos.1.name"] == "rush"
    assert json.loads(case.system_out[0].strip().splitlines()[-1])["disruptions"][0]["name"] == "rush"


def test_several_workers_say_the_same(inner: InnerPytest) -> None:
    files, texts = [], []
    for number in (0, 2):
        run = inner(
            SUITE,
            "--chaos-dry-run",
            f"--chaos-plan=plan-{number}.json",
            f"-n{number}",
            plugins=["xdist.plugin"],
        )
        assert run.exit_code == 0
        files.append((run.path / f"plan-{number}.json").read_text(encoding="utf-8"))
        texts.append(
            [
                line
                for line in run.stdout.splitlines()
                if line.startswith(("test_inner.py::", "    ", "3 dis"))
            ]
        )
    assert files[0] == files[1]
    assert texts[0] == texts[1]
    plan = json.loads(files[0])
    assert plan["schema_version"] == 1
    assert plan["tests_without_chaos"] == 2
    assert plan["decided_in_the_body"] == ["test_inner.py::test_by_hand"]
    assert [one["test"] for one in plan["disruptions"]] == sorted(one["test"] for one in plan["disruptions"])


def test_the_plan_of_a_real_run_is_the_same(inner: InnerPytest) -> None:
    suite = f"import pytest\n@pytest.mark.chaos({LOOPBACK!r}, wait='none')\ndef test_it(): pass\n"
    inner(suite, "--chaos-dry-run", "--chaos-plan=dry.json")
    run = inner("", "--chaos-plan=folder/real.json")
    assert run.test().verdicts == ["inconclusive"]
    assert plan_of(run.path / "dry.json") == plan_of(run.path / "folder" / "real.json")


def test_what_runs_is_what_was_planned(inner: InnerPytest, shop: Any) -> None:
    authored = load_spec(shop.url, qps=40, concurrency=3, method="POST", body="x")
    suite = f"import pytest, time\n@pytest.mark.chaos({authored!r})\ndef test_it(): time.sleep(0.3)\n"
    run = inner(suite, "--chaos-plan=plan.json")
    (planned,) = plan_of(run.path / "plan.json")["disruptions"]
    ran = run.test().chaos[0]["result"]["details"]["argv"]
    label = ran.index("-labels") + 1
    assert planned["argv"][1:label] == ran[1:label]
    assert planned["argv"][label + 1 :] == ran[label + 1 :]
    assert run.test().chaos[0]["result"]["details"]["requests"] <= planned["max_requests"]


@pytest.mark.parametrize(("workers", "status"), [("-n0", 2), ("-n2", 1)])
def test_a_bad_spec_is_an_error_and_the_others_are_still_planned(
    inner: InnerPytest, workers: str, status: int
) -> None:
    suite = f"{SUITE}\n@pytest.mark.chaos({{'trigger': 1}})\ndef test_bad(): pass\n"
    run = inner(suite, "--chaos-dry-run", workers, plugins=["xdist.plugin"])
    assert run.exit_code == status
    assert "bad chaos mark on test_bad" in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert "3 disruption(s) in 4 test(s)" in run.stdout


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_without_any_chaos_the_status_is_that_of_no_tests(inner: InnerPytest, workers: str) -> None:
    run = inner("def test_it(): raise SystemError", "--chaos-dry-run", workers, plugins=["xdist.plugin"])
    assert run.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "0 disruption(s) in 0 test(s); 1 test(s) without chaos left out" in run.stdout


def test_a_plan_that_cannot_be_written_is_no_success(inner: InnerPytest) -> None:
    suite = f"import pytest\n@pytest.mark.chaos({LOOPBACK!r})\ndef test_it(): pass\n"
    run = inner(suite, "--chaos-dry-run", "--chaos-plan=/proc/no/plan.json")
    assert run.exit_code != 0
    assert "/proc/no/plan.json cannot be written" in run.stdout + run.stderr


def test_a_value_that_does_not_fit_is_told_before_the_run(inner: InnerPytest) -> None:
    suite = f"import pytest\n@pytest.mark.chaos({load_spec('{{U}}')!r})\ndef test_it(): pass\n"
    run = inner(suite, "--chaos-dry-run", "--chaos-var=U=ftp://127.0.0.1/")
    assert run.exit_code == 2
    assert "only http:// and https://" in run.stdout
