"""Switches of pytest: other plugins turned off, this one turned off, output not captured."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
SOURCE = f"""{HEAD}
@pytest.mark.chaos(staged())
def test_held(): assert RUNNING

@pytest.mark.xfail
@pytest.mark.chaos(staged(play="fails"))
def test_unproven(): pass

@pytest.mark.chaos
def test_plain(): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged()):
        assert RUNNING
"""


@pytest.mark.parametrize(
    "turned_off", ["junitxml", "logging", "capture", "setuponly", "setupplan", "skipping", "warnings"]
)
def test_other_plugins_may_be_off(inner: InnerPytest, turned_off: str) -> None:
    run = inner(SOURCE, "-p", f"no:{turned_off}", conftest=STAGED)
    assert run.words == {
        "test_held": "passed",
        "test_unproven": "failed",
        "test_plain": "passed",
        "test_by_hand": "passed",
    }
    assert run.test("::test_held").verdicts == ["held"]
    assert run.test("::test_unproven").verdicts == ["inconclusive"]
    assert "1 test carries a bare chaos mark" in run.stdout


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_without_a_terminal_the_reports_say_the_same(inner: InnerPytest, option: str) -> None:
    run = inner(SOURCE, option, "-p", "no:terminal", conftest=STAGED, plugins=["xdist.plugin"], junit=True)
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert run.test("::test_held").verdicts == ["held"]
    assert run.test("::test_unproven").word == "failed"
    assert run.junit["test_held"].properties["chaos.verdict"] == "held"


@pytest.mark.parametrize(
    "capture", ["-s", "--capture=no", "--capture=sys", "--capture=fd", "--capture=tee-sys"]
)
def test_every_way_to_capture(inner: InnerPytest, capture: str) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(staged())
def test_it(capsys):
    print("from the body")
    assert capsys.readouterr() == ("from the body\\n", "")
"""
    run = inner(source, capture, conftest=STAGED)
    assert (run.test().word, run.test().verdicts) == ("passed", ["held"])


@pytest.mark.parametrize("fixture", ["capsys", "capfd"])
def test_nothing_of_ours_is_printed_into_the_test(inner: InnerPytest, fixture: str) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(staged())
def test_it({fixture}): assert {fixture}.readouterr() == ("", "")

def test_by_hand(chaos_injector, {fixture}):
    with chaos_injector.inject(staged()):
        pass
    assert {fixture}.readouterr() == ("", "")
"""
    run = inner(source, conftest=STAGED)
    assert run.words == {"test_it": "passed", "test_by_hand": "passed"}


def test_no_thread_of_ours_is_left(inner: InnerPytest) -> None:
    run = inner(
        f"{SOURCE}\n\nimport threading\n"
        "def test_after(): assert [t.name for t in threading.enumerate() if t.name.startswith('pytest-chaos')] == []\n",
        conftest=STAGED,
    )
    assert run.words["test_after"] == "passed"


def test_moments_are_logged(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): pass\n",
        "--log-cli-level=INFO",
        conftest=STAGED,
    )
    for moment in ("planned", "fired", "stopped", "finished"):
        assert f"test_inner.py::test_it: 'a rush' {moment}" in run.stdout


def test_moments_stand_in_the_captured_log_of_a_failure(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged())\ndef test_it(): assert not RUNNING\n",
        "--log-level=INFO",
        conftest=STAGED,
    )
    logs = {title: text for title, text in run.test().reports[1].sections if "log" in title}
    assert "'a rush' fired" in logs["Captured log setup"]
    assert "'a rush' stopped" in logs["Captured log call"]


def test_what_setup_prints_is_captured(inner: InnerPytest) -> None:
    conftest = STAGED.replace(
        "        STARTED.append(self.label)\n", "        print('noise of the fault')\n"
    ) + ("@pytest.fixture\ndef chaos_variables():\n    print('noise of a fixture')\n    return {'A': 'x'}\n")
    source = f"{HEAD}@pytest.mark.chaos(staged(label='{{{{A}}}}'))\ndef test_it(): assert WORD\n"
    assert "noise" not in inner(source.replace("WORD", "RUNNING"), conftest=conftest).stdout
    run = inner(source.replace("WORD", "not RUNNING"), conftest=conftest)
    below = run.stdout.partition("--- Captured stdout setup ---")[2]
    assert "noise of a fixture\nnoise of the fault\n" in below


def test_a_suite_runs_without_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.chaos({"trigger": {"type": "time"}, "action": {"type": "generate_load"}})
        def test_it(): pass
        """
    )
    pytester.makeini("[pytest]\nmarkers = chaos: known without the plugin as well\nchaos_max_qps = 100\n")
    result = pytester.runpytest_subprocess("-p", "no:chaos", "--strict-markers")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*== chaos ==*")


def test_the_plugin_is_found_by_its_entry_point(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.chaos\ndef test_it(): pass")
    result = pytester.runpytest_subprocess("--strict-markers", "--strict-config")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["plugins:*chaos-*", "1 test carries a bare chaos mark: a category, no chaos"]
    )


@pytest.mark.parametrize(
    "option", ["-q", "-qq", "-v", "-vv", "--no-header", "--no-summary", "-rA", "-ra", "--tb=no", "--tb=line"]
)
def test_amounts_of_output(inner: InnerPytest, option: str) -> None:
    run = inner(SOURCE, option, conftest=STAGED)
    assert run.words["test_unproven"] == "failed"
    assert ("== chaos ==" in run.stdout) is (option != "--no-summary")
    assert ("it is not what it was" in run.stdout.partition("== chaos ==")[2]) is (
        option not in {"-q", "-qq", "--no-summary"}
    )


def test_assertions_need_no_rewriting(inner: InnerPytest) -> None:
    run = inner(SOURCE, "--assert=plain", conftest=STAGED)
    assert run.words == {
        "test_held": "passed",
        "test_unproven": "failed",
        "test_plain": "passed",
        "test_by_hand": "passed",
    }
