"""Async bodies: pytest-asyncio, and anyio on asyncio and on trio."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
ASYNCIO = {"asyncio_default_fixture_loop_scope": "function"}
# The mark that makes a body asynchronous, and the parameters it brings.
KINDS = {"asyncio": "@pytest.mark.asyncio", "anyio": "@pytest.mark.anyio"}


def run_async(inner: InnerPytest, source: str, *args: str, conftest: str = STAGED) -> InnerRun:
    """Run ``source`` with both plugins; anyio takes both of its back ends."""
    plugins = ["pytest_asyncio.plugin", "anyio.pytest_plugin", "xdist.plugin"]
    return inner(HEAD + source, *args, conftest=conftest, plugins=plugins, ini=ASYNCIO, junit=True)


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_async_bodies(inner: InnerPytest, option: str) -> None:
    source = "import asyncio\n"
    for kind, mark in KINDS.items():
        sleep = "asyncio.sleep(0)" if kind == "asyncio" else "__import__('anyio').sleep(0)"
        for name, body in (
            ("held", "assert RUNNING"),
            ("broke", "assert not RUNNING"),
            ("skips", "pytest.skip('x')"),
        ):
            source += f"{mark}\n@pytest.mark.chaos(staged())\nasync def test_{kind}_{name}():\n    await {sleep}\n    {body}\n"
        source += f"{mark}\n@pytest.mark.xfail\n@pytest.mark.chaos(staged(play='fails'))\nasync def test_{kind}_unproven(): pass\n"
    run = run_async(inner, source, option)
    verdicts = {name: (run.words[name], *run.test(f"::{name}").verdicts) for name in run.words}
    expected = {"held": ("passed", "held"), "broke": ("failed", "broke"), "skips": ("skipped", "not_judged")}
    expected["unproven"] = ("failed", "inconclusive")
    assert verdicts == {
        f"test_{kind}_{name}{back_end}": end
        for name, end in expected.items()
        for kind, back_end in (("asyncio", ""), ("anyio", "[asyncio]"), ("anyio", "[trio]"))
    }


@pytest.mark.parametrize("scope", ["function", "module"])
def test_async_fixtures_see_no_disruption(inner: InnerPytest, scope: str) -> None:
    run = run_async(
        inner,
        f"""
import pytest_asyncio

@pytest_asyncio.fixture(scope={scope!r}, loop_scope={scope!r})
async def resource():
    assert not RUNNING
    yield 1
    assert not RUNNING

@pytest.mark.asyncio(loop_scope={scope!r})
@pytest.mark.chaos(staged())
async def test_it(resource): assert RUNNING
""",
    )
    assert run.words == {"test_it": "passed"}
    assert run.test().verdicts == ["held"]


def test_a_server_in_the_loop_of_the_test_is_disrupted_with_the_body(inner: InnerPytest) -> None:
    run = run_async(
        inner,
        """
import asyncio

@pytest.mark.asyncio
@pytest.mark.chaos(staged(), wait="none")
async def test_it():
    while not RUNNING:
        await asyncio.sleep(0.001)
""",
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


def test_asyncio_mode_auto(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\nasync def test_it(): assert RUNNING\n",
        conftest=STAGED,
        plugins=["pytest_asyncio.plugin"],
        ini={**ASYNCIO, "asyncio_mode": "auto"},
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


def test_bad_marks_on_async_tests(inner: InnerPytest) -> None:
    source = "".join(
        f"{mark}\n@pytest.mark.chaos([])\nasync def test_{kind}(): raise SystemError\n"
        for kind, mark in KINDS.items()
    )
    run = run_async(inner, source, "--continue-on-collection-errors")
    assert run.words == {}
    assert "INTERNALERROR" not in run.stdout
    assert {report.nodeid.partition("[")[0] for report in run.reports} == {
        "test_inner.py::test_asyncio",
        "test_inner.py::test_anyio",
    }
