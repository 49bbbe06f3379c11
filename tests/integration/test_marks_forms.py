"""Every way to put a chaos mark on a test disrupts exactly the body it stands on."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """
import unittest
import pytest
from conftest import RUNNING, STARTED, staged

"""

DISRUPTED = {
    "function": """
        @pytest.mark.chaos(staged())
        def test_it(): assert RUNNING == ["a rush"]
    """,
    "spec object": """
        from pytest_chaos import ChaosSpec
        @pytest.mark.chaos(ChaosSpec.model_validate(staged()))
        def test_it(): assert RUNNING == ["a rush"]
    """,
    "keyword": """
        @pytest.mark.chaos(spec=staged())
        def test_it(): assert RUNNING == ["a rush"]
    """,
    "class": """
        @pytest.mark.chaos(staged())
        class TestIt:
            def setup_method(self): assert not RUNNING
            def teardown_method(self): assert not RUNNING
            def test_it(self): assert RUNNING == ["a rush"]
    """,
    "module": """
        pytestmark = pytest.mark.chaos(staged())
        def test_it(): assert RUNNING == ["a rush"]
    """,
    "list of pytestmark": """
        pytestmark = [pytest.mark.chaos, pytest.mark.chaos(staged())]
        def test_it(): assert RUNNING == ["a rush"]
    """,
    "parameter": """
        @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.chaos(staged()), id="it")])
        def test(x): assert RUNNING == ["a rush"]
    """,
    "inherited class": """
        @pytest.mark.chaos(staged())
        class Base:
            def test_it(self): assert RUNNING == ["a rush"]
        class TestDerived(Base): pass
    """,
    "unittest class, with its setUp and tearDown": """
        @pytest.mark.chaos(staged())
        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls): assert not RUNNING
            @classmethod
            def tearDownClass(cls): assert not RUNNING
            def setUp(self): assert RUNNING == ["a rush"]
            def tearDown(self): assert RUNNING == ["a rush"]
            def test_it(self): assert RUNNING == ["a rush"]
    """,
    "unittest method": """
        class TestIt(unittest.TestCase):
            @pytest.mark.chaos(staged())
            def test_it(self): assert RUNNING == ["a rush"]
    """,
    "asynchronous unittest": """
        @pytest.mark.chaos(staged())
        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self): assert RUNNING == ["a rush"]
            async def test_it(self): assert RUNNING == ["a rush"]
    """,
    "mark added by a fixture": """
        @pytest.fixture(autouse=True)
        def late(request): request.node.add_marker(pytest.mark.chaos(staged()))
        def test_it(): assert RUNNING == ["a rush"]
    """,
}


@pytest.mark.parametrize("source", DISRUPTED.values(), ids=DISRUPTED)
def test_mark_disrupts_the_body(inner: InnerPytest, source: str) -> None:
    run = inner(HEAD + _dedented(source), conftest=STAGED)
    end = run.test()
    assert (end.word, end.verdicts) == ("passed", ["held"]), run.stdout
    assert end.chaos[0]["overlap"] > 0.5


@pytest.mark.parametrize(
    "marks",
    [
        "@pytest.mark.chaos(staged('one'), staged('two'))",
        "@pytest.mark.chaos([staged('one'), staged('two')])",
        "@pytest.mark.chaos(staged('one'), spec=[staged('two')])",
        "@pytest.mark.chaos(staged('one'))\n@pytest.mark.chaos(staged('two'))",
        "@pytest.mark.chaos\n@pytest.mark.chaos([staged('one')], staged('two'))",
    ],
)
def test_marks_and_arguments_add_up_and_run_together(inner: InnerPytest, marks: str) -> None:
    run = inner(f"{HEAD}{marks}\ndef test_it(): assert sorted(RUNNING) == ['one', 'two']", conftest=STAGED)
    end = run.test()
    assert end.word == "passed", run.stdout
    assert [one["name"] for one in end.chaos] == ["one", "two"]
    assert end.verdicts == ["held", "held"]


def test_the_marks_of_module_and_class_come_first(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
pytestmark = pytest.mark.chaos(staged("module"))

@pytest.mark.chaos(staged("class"))
class TestIt:
    @pytest.mark.chaos(staged("function"))
    def test_it(self): assert len(RUNNING) == 3
""",
        conftest=STAGED,
    )
    assert [one["name"] for one in run.test().chaos] == ["module", "class", "function"]


def test_each_parameter_gets_a_disruption_of_its_own(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
@pytest.mark.parametrize("x", [1, 2, 3])
def test_it(x):
    assert len(RUNNING) == 1
    assert len(STARTED) == x
""",
        conftest=STAGED,
    )
    assert run.words == {f"test_it[{x}]": "passed" for x in (1, 2, 3)}
    assert [run.test(f"[{x}]").verdicts for x in (1, 2, 3)] == [["held"]] * 3


def test_only_the_marked_parameter_is_disrupted(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.chaos(staged())), 0])
def test_it(x): assert len(RUNNING) == x
""",
        conftest=STAGED,
    )
    assert run.words == {"test_it[1]": "passed", "test_it[0]": "passed"}
    assert run.test("[1]").verdicts == ["held"]
    assert run.test("[0]").chaos == []


def test_fixtures_see_no_disruption(inner: InnerPytest) -> None:
    fixtures = "\n".join(
        f"@pytest.fixture(scope={scope!r})\ndef {scope}_fixture():\n"
        "    assert not RUNNING\n    yield\n    assert not RUNNING"
        for scope in ("session", "module", "class", "function")
    )
    run = inner(
        f"""{HEAD}{fixtures}

@pytest.mark.chaos(staged())
def test_it(session_fixture, module_fixture, class_fixture, function_fixture): assert RUNNING

def test_that_shares_them(session_fixture, module_fixture): assert not RUNNING
""",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed", "test_that_shares_them": "passed"}


def test_bare_mark_is_a_category(inner: InnerPytest) -> None:
    source = """
import pytest

@pytest.mark.chaos
def test_marked(): pass

@pytest.mark.chaos()
def test_called(): pass

def test_other(): pass
"""
    run = inner(source, "-m", "chaos", "--strict-markers")
    assert run.words == {"test_marked": "passed", "test_called": "passed"}
    assert run.test("test_marked").chaos == []
    assert "2 tests carry a bare chaos mark: a category, no chaos" in run.stdout


def test_bare_marks_are_counted_once_under_xdist(inner: InnerPytest) -> None:
    source = "import pytest\npytestmark = pytest.mark.chaos\ndef test_a(): pass\ndef test_b(): pass\n"
    run = inner(source, "-n2", plugins=["xdist.plugin"])
    assert "2 tests carry a bare chaos mark: a category, no chaos" in run.stdout


@pytest.mark.parametrize(("chosen", "started"), [("chaos", True), ("not chaos", False)])
def test_selection_by_mark(inner: InnerPytest, chosen: str, started: bool) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
def test_disrupted(): pass

def test_peaceful(): pass
""",
        *("-m", chosen, "--strict-markers"),
        conftest=STAGED,
    )
    assert run.words == {"test_disrupted" if started else "test_peaceful": "passed"}
    assert ("== chaos ==" in run.stdout) is started


@pytest.mark.parametrize("option", ["--collect-only", "--setup-only", "--setup-plan"])
def test_nothing_is_injected_where_no_body_runs(inner: InnerPytest, option: str) -> None:
    conftest = STAGED + "def pytest_sessionfinish(): print('started:', STARTED)\n"
    source = f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(tmp_path): pass\n"
    run = inner(source, option, conftest=conftest)
    assert run.exit_code == 0
    assert "test_it" in run.stdout
    assert "started: []" in run.stdout
    assert "held" not in run.stdout


def _dedented(source: str) -> str:
    lines = source.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)
