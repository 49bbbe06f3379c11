"""pytest's own ways to end a test: each is judged as what it is, and none turns an unproven disruption green."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """\
import sys
import unittest
import pytest
from conftest import RUNNING, STARTED, staged

"""
FAILS = "staged(play='fails')"

# The spec of the mark, the body, more marks; how the test ends, and the verdict.
ENDINGS = {
    "passes": ("staged()", "pass", (), "passed", "held"),
    "fails": ("staged()", "assert not RUNNING", (), "failed", "broke"),
    "calls_fail": ("staged()", "pytest.fail('no')", (), "failed", "broke"),
    "exits": ("staged()", "sys.exit(3)", (), "failed", "broke"),
    "skips": ("staged()", "pytest.skip('not here')", (), "skipped", "not_judged"),
    "calls_xfail": ("staged()", "pytest.xfail('known')", (), "xfailed", "broke"),
    "xfails": ("staged()", "assert not RUNNING", ("xfail",), "xfailed", "broke"),
    "xfails_strictly": ("staged()", "assert not RUNNING", ("xfail(strict=True)",), "xfailed", "broke"),
    "xfails_otherwise": ("staged()", "assert not RUNNING", ("xfail(raises=OSError)",), "failed", "broke"),
    "xpasses": ("staged()", "pass", ("xfail(strict=False)",), "xpassed", "held"),
    "xpasses_strictly": ("staged()", "pass", ("xfail(strict=True)",), "failed", "held"),
    "unproven": (FAILS, "pass", (), "failed", "inconclusive"),
    "unproven_fails": (FAILS, "assert not RUNNING", (), "failed", "inconclusive"),
    "unproven_skips": (FAILS, "pytest.skip('not here')", (), "skipped", "not_judged"),
    "unproven_calls_xfail": (FAILS, "pytest.xfail('known')", (), "failed", "inconclusive"),
    "unproven_xfails": (FAILS, "assert not RUNNING", ("xfail",), "failed", "inconclusive"),
    "unproven_xfails_strictly": (
        FAILS,
        "assert not RUNNING",
        ("xfail(strict=True)",),
        "failed",
        "inconclusive",
    ),
    "unproven_xpasses": (FAILS, "pass", ("xfail(strict=False)",), "failed", "inconclusive"),
    "unproven_xpasses_strictly": (FAILS, "pass", ("xfail(strict=True)",), "failed", "inconclusive"),
    "raises_first": ("staged(play='raises')", "pass", (), "error", "inconclusive"),
    "raises_first_xfails": ("staged(play='raises')", "pass", ("xfail",), "error", "inconclusive"),
    "never_active": ("staged(play='never active')", "pass", ("xfail(strict=True)",), "error", "inconclusive"),
    "over_too_early": ("staged(play='ends at once')", "pass", ("xfail",), "failed", "inconclusive"),
    "falls_short": ("staged(play='falls short')", "pass", ("xfail",), "failed", "inconclusive"),
    "falls_short_and_breaks": (
        "staged(play='falls short')",
        "assert not RUNNING",
        ("xfail",),
        "xfailed",
        "broke",
    ),
}


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_ways_to_end(inner: InnerPytest, option: str) -> None:
    source = HEAD
    for name, (spec, body, marks, _, _) in ENDINGS.items():
        more = "".join(f"@pytest.mark.{mark}\n" for mark in marks)
        source += f"@pytest.mark.chaos({spec})\n{more}def test_{name}(): {body}\n"
    run = inner(source, option, conftest=STAGED, plugins=["xdist.plugin"])
    ends = {name: run.test(f"::test_{name}") for name in ENDINGS}
    assert {name: (end.word, *end.verdicts) for name, end in ends.items()} == {
        name: case[3:] for name, case in ENDINGS.items()
    }


@pytest.mark.parametrize(
    ("mark", "word"),
    [("skip", "skipped"), ("skipif(True, reason='x')", "skipped"), ("xfail(run=False)", "xfailed")],
)
def test_nothing_starts_for_a_test_that_does_not_run(inner: InnerPytest, mark: str, word: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.{mark}\n@pytest.mark.chaos(staged())\ndef test_it(): pass\n"
        "def test_after(): assert STARTED == []\n",
        conftest=STAGED,
    )
    assert run.words == {"test_it": word, "test_after": "passed"}
    assert run.test("test_it").chaos == []


@pytest.mark.parametrize(("ending", "word"), [("pytest.skip('x')", "skipped"), ("raise OSError", "error")])
def test_nothing_starts_if_a_fixture_does_not_come_up(inner: InnerPytest, ending: str, word: str) -> None:
    run = inner(
        f"{HEAD}@pytest.fixture\ndef broken(): {ending}\n"
        "@pytest.mark.chaos(staged())\ndef test_it(broken): pass\ndef test_after(): assert STARTED == []\n",
        conftest=STAGED,
    )
    assert run.words == {"test_it": word, "test_after": "passed"}
    assert run.test("test_it").chaos == []


def test_the_failure_of_the_body_stays_and_gets_a_note(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_broke(): assert 1 == 2\n"
        f"@pytest.mark.chaos({FAILS})\ndef test_unproven(): assert 1 == 2\n",
        conftest=STAGED,
    )
    broke, unproven = run.test("test_broke").longrepr, run.test("test_unproven").longrepr
    assert "assert 1 == 2" in broke
    assert "chaos: 'a rush' (staged) is broke: the body failed while it was disrupted" in broke
    assert "assert 1 == 2" in unproven
    assert (
        "this failure proves nothing about chaos: 'a rush' (staged) is inconclusive: the fault failed"
        in unproven
    )


def test_an_error_in_a_later_teardown_leaves_the_outcome(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def fragile():
    yield
    assert not RUNNING
    raise OSError("teardown is broken")

@pytest.mark.chaos(staged())
def test_it(fragile): assert RUNNING
""",
        conftest=STAGED,
        junit=True,
    )
    end = run.test()
    assert [(report.when, report.outcome) for report in end.reports] == [
        ("setup", "passed"),
        ("call", "passed"),
        ("teardown", "failed"),
    ]
    assert end.verdicts == ["held"]
    assert "teardown is broken" in end.longrepr
    assert run.junit["test_it"].properties["chaos.verdict"] == "held"
    assert len(run.junit["test_it"].chaos) == 1


SUBTESTS = pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has subtests since 9.0")


@SUBTESTS
@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_a_failed_subtest_is_a_failed_body(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
def bodies(subtests, bad):
    for number in range(3):
        with subtests.test(number=number):
            assert RUNNING
            assert number != bad

@pytest.mark.chaos(staged())
def test_broke(subtests): bodies(subtests, 1)

@pytest.mark.chaos(staged())
def test_held(subtests): bodies(subtests, None)

@pytest.mark.chaos({FAILS})
def test_unproven(subtests): bodies(subtests, None)

@pytest.mark.xfail
@pytest.mark.chaos(staged())
def test_expected(subtests): bodies(subtests, 1)
""",
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
        junit=True,
    )
    verdicts = {
        name: run.test(f"::test_{name}").verdicts for name in ("broke", "held", "unproven", "expected")
    }
    assert verdicts == {
        "broke": ["broke"],
        "held": ["held"],
        "unproven": ["inconclusive"],
        "expected": ["broke"],
    }
    assert run.test("::test_broke").word == "failed"
    assert run.test("::test_unproven").word == "failed"
    assert run.stdout.count("test_inner.py::test_broke  'a rush'") == 1


@SUBTESTS
def test_the_outcome_stands_once_beside_subtests(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
def test_it(subtests):
    for number in range(3):
        with subtests.test(number=number):
            pass
""",
        conftest=STAGED,
        junit=True,
    )
    carriers = [report for report in run.test().reports if report.chaos is not None]
    assert [report.when for report in carriers] == ["call"]
    assert len(run.junit["test_it"].chaos) == 1
    assert run.junit["test_it"].repeated == []


UNITTEST = {
    "passes": ("pass", "passed", "held"),
    "fails": ("self.assertEqual(1, 2)", "failed", "broke"),
    "errors": ("raise OSError", "failed", "broke"),
    "skips": ("self.skipTest('not here')", "skipped", "not_judged"),
    "raises_skip": ("raise unittest.SkipTest('not here')", "skipped", "not_judged"),
    "calls_pytest_skip": ("pytest.skip('not here')", "skipped", "not_judged"),
}


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_unittest_bodies(inner: InnerPytest, option: str) -> None:
    tests = "".join(f"    def test_{name}(self): {body}\n" for name, (body, _, _) in UNITTEST.items())
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\nclass TestIt(unittest.TestCase):\n{tests}",
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    ends = {name: run.test(f"::test_{name}") for name in UNITTEST}
    assert {name: (end.word, *end.verdicts) for name, end in ends.items()} == {
        name: case[1:] for name, case in UNITTEST.items()
    }


@pytest.mark.parametrize(
    ("body", "word", "verdict"),
    [
        ("@unittest.expectedFailure\n    def test_it(self): assert not RUNNING", "xfailed", "broke"),
        ("def tearDown(self): raise OSError\n    def test_it(self): pass", "failed", "broke"),
        ("def setUp(self): raise OSError\n    def test_it(self): pass", "failed", "broke"),
        ("def test_it(self): self.addCleanup(lambda: 1 / 0)", "failed", "broke"),
        ("async def test_it(self): assert not RUNNING", "failed", "broke"),
    ],
)
def test_more_of_unittest(inner: InnerPytest, body: str, word: str, verdict: str) -> None:
    base = "IsolatedAsyncioTestCase" if "async" in body else "TestCase"
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\nclass TestIt(unittest.{base}):\n    {body}\n", conftest=STAGED
    )
    assert (run.test().word, run.test().verdicts) == (word, [verdict])


def test_an_expected_failure_of_unittest_does_not_absorb_an_unproven_one(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos({FAILS})\nclass TestIt(unittest.TestCase):\n"
        "    @unittest.expectedFailure\n    def test_it(self): assert not STARTED\n",
        conftest=STAGED,
    )
    assert (run.test().word, run.test().verdicts) == ("failed", ["inconclusive"])


@SUBTESTS
def test_a_failed_subtest_of_unittest_is_a_failed_body(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged())
class TestIt(unittest.TestCase):
    def test_broke(self):
        for number in range(3):
            with self.subTest(number=number):
                assert number != 1

    def test_held(self):
        with self.subTest():
            assert RUNNING
""",
        conftest=STAGED,
    )
    assert run.test("::test_broke").word == "failed"
    assert run.test("::test_broke").verdicts == ["broke"]
    assert run.test("::test_held").verdicts == ["held"]


@pytest.mark.parametrize("interrupt", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
@pytest.mark.parametrize("spec", ["staged()", FAILS])
def test_the_outcome_of_an_interrupted_body_stands_in_the_summary(
    inner: InnerPytest, interrupt: str, spec: str
) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos({spec})\ndef test_it():\n    {interrupt}\n\ndef test_after(): pass\n",
        conftest=STAGED + "def pytest_sessionfinish(): assert RUNNING == [], RUNNING\n",
        subprocess=True,
    )
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "test_after" not in run.words
    assert "not_judged   test_inner.py::test_it  'a rush'  staged" in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr


def test_an_interrupt_while_setup_waits_stops_the_disruption(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", delay_seconds=600))
def test_it(): pass
""",
        conftest=STAGED
        + """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
@pytest.fixture(autouse=True)
def ctrl_c():
    def interrupt():
        while not RUNNING: pass
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
def pytest_sessionfinish(): assert RUNNING == [], RUNNING
""",
        subprocess=True,
    )
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "test_inner.py::test_it  'one'" in run.stdout
    assert "test_inner.py::test_it  'two'" in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_a_test_that_fails_for_its_chaos_counts_as_failed(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos({FAILS})\ndef test_it(): pass\ndef test_after(): pass\n",
        option,
        conftest=STAGED,
    )
    assert run.words == {"test_it": "failed"}
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED


def test_last_failed_runs_it_again(inner: InnerPytest) -> None:
    source = f"{HEAD}@pytest.mark.chaos({FAILS})\ndef test_it(): pass\ndef test_after(): pass\n"
    inner(source, conftest=STAGED)
    assert inner(source, "--lf", conftest=STAGED).words == {"test_it": "failed"}


@pytest.mark.parametrize("option", ["--pdb", "--pdbcls=pdb:Pdb"])
@pytest.mark.parametrize("spec", [FAILS, "staged(play='raises')"])
def test_the_debugger_starts_when_the_disruption_is_over(inner: InnerPytest, option: str, spec: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos({spec})\ndef test_it(): pass\n",
        "--pdb",
        option,
        conftest=STAGED + "def pytest_enter_pdb(): print('running:', RUNNING)\n",
        subprocess=True,
        timeout_s=30,
    )
    assert "running: []" in run.stdout
    assert run.exit_code == pytest.ExitCode.INTERRUPTED


def test_breakpoint_in_the_body_is_met_while_it_is_disrupted(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): breakpoint()\n",
        conftest=STAGED + "def pytest_enter_pdb(): print('running:', RUNNING)\n",
        subprocess=True,
        timeout_s=30,
    )
    assert "running: ['a rush']" in run.stdout
    # Without an input the debugger gives up: that ends the test, and since Python 3.14 the run.
    assert run.exit_code in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}


def test_doctests_in_the_suite_go_on(inner: InnerPytest) -> None:
    run = inner(
        f'{HEAD}def one():\n    """\n    >>> one()\n    1\n    """\n    return 1\n\n'
        "@pytest.mark.chaos(staged())\ndef test_it(): pass\n",
        "--doctest-modules",
        conftest=STAGED,
    )
    assert run.words == {"test_inner.one": "passed", "test_it": "passed"}
    assert run.test("test_inner.one").chaos == []


def test_a_doctest_can_be_disrupted(inner: InnerPytest) -> None:
    run = inner(
        f'{HEAD}def one():\n    """\n    >>> from conftest import RUNNING\n    >>> RUNNING\n    [\'a rush\']\n    """\n',
        "--doctest-modules",
        conftest=STAGED
        + """
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.chaos(staged()))
""",
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize("broken", [False, True])
def test_an_item_that_is_no_python_function(inner: InnerPytest, broken: bool) -> None:
    (inner.pytester.path / "first.note").write_text("", encoding="utf-8")
    run = inner(
        "",
        conftest=STAGED
        + f"""
class Note(pytest.Item):
    def runtest(self): assert {"not " if broken else ""}RUNNING

class Notes(pytest.File):
    def collect(self):
        item = Note.from_parent(self, name="it")
        item.add_marker(pytest.mark.chaos(staged()))
        yield item

def pytest_collect_file(parent, file_path):
    return Notes.from_parent(parent, path=file_path) if file_path.suffix == ".note" else None
""",
    )
    assert (run.test().word, run.test().verdicts) == (
        ("failed", ["broke"]) if broken else ("passed", ["held"])
    )


def test_a_bad_mark_on_an_item_that_is_no_python_function(inner: InnerPytest) -> None:
    (inner.pytester.path / "first.note").write_text("", encoding="utf-8")
    run = inner(
        "",
        conftest="""
import pytest

class Note(pytest.Item):
    def runtest(self): raise SystemError

class Notes(pytest.File):
    def collect(self):
        item = Note.from_parent(self, name="it")
        item.add_marker(pytest.mark.chaos([]))
        yield item

def pytest_collect_file(parent, file_path):
    return Notes.from_parent(parent, path=file_path) if file_path.suffix == ".note" else None
""",
    )
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "first.note:1: bad chaos mark on it" in run.stdout


def test_setup_show(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(tmp_path): assert RUNNING\n",
        "--setup-show",
        conftest=STAGED,
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize("skip", ["@unittest.skip('x')", "@unittest.skipIf(True, 'x')", "@pytest.mark.skip"])
@pytest.mark.parametrize("place", ["class", "method"])
def test_a_skipped_unittest_stays_skipped(inner: InnerPytest, skip: str, place: str) -> None:
    on_class, on_method = (f"{skip}\n", "") if place == "class" else ("", f"    {skip}\n")
    run = inner(
        f"{HEAD}{on_class}@pytest.mark.chaos(staged())\nclass TestIt(unittest.TestCase):\n"
        f"{on_method}    def test_it(self): raise SystemError\n\ndef test_after(): assert RUNNING == []\n",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "skipped", "test_after": "passed"}
    # What unittest itself skips may be skipped only when it is run; pytest skips everything else before.
    late = "unittest" in skip and (place == "method" or pytest.version_tuple < (9,))
    assert run.test("::test_it").verdicts == (["not_judged"] if late else [])
