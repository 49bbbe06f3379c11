"""SIGTERM and SIGHUP: what was begun is torn down, the process ends as the signal says, and nobody's handler is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.dying import dying
from tests.support.junit import read_junit
from tests.support.survivors import running_with
from tests.support.waiting import eventually

SLEEPS = """
@many()
def test_it(torn_down):
    time.sleep(60)

def test_after():
    pass
"""


def assert_all_pass(tests: int, tmp_path: Path, source: str) -> None:
    """Run ``source``, all of whose tests must pass."""
    with dying(tmp_path, source) as run:
        status, output = run.ended()
        assert f"{tests} passed" in output, output
        assert status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_everything_is_torn_down_and_told(number: signal.Signals, tmp_path: Path) -> None:
    with dying(tmp_path, SLEEPS, "--junitxml=junit.xml") as run:
        run.wait_started()
        run.send(number)
        status, output = run.ended()
        assert status == -number
        assert f"KeyboardInterrupt: {number.name}" in output
        assert "not_judged" in output
        run.assert_nothing_left()
    assert (tmp_path / "torn-down").exists()
    assert read_junit(tmp_path / "junit.xml") is not None


def test_what_others_print_in_the_end_is_not_lost(tmp_path: Path) -> None:
    source = """
        class Late:
            def pytest_unconfigure(self):
                print("the last words")

        @many()
        def test_it(pytestconfig):
            pytestconfig.pluginmanager.register(Late())
            time.sleep(60)
        """
    with dying(tmp_path, source, "-s") as run:
        run.wait_started()
        run.send(signal.SIGTERM)
        status, output = run.ended()
        assert status == -signal.SIGTERM
        assert output.endswith("the last words\n")


def test_during_setup(tmp_path: Path) -> None:
    with dying(tmp_path, "@many(hesitates=True)\ndef test_it(torn_down): pass") as run:
        eventually((tmp_path / "started").exists, "the fault has started", within_s=30)
        run.send(signal.SIGTERM)
        assert run.ended()[0] == -signal.SIGTERM
        run.assert_nothing_left()
    assert (tmp_path / "torn-down").exists()


def test_by_hand(tmp_path: Path) -> None:
    source = """
        def test_it(torn_down, chaos_injector):
            with chaos_injector.inject({"trigger": {"type": "time"}, "action": {"type": "many"}}):
                time.sleep(60)
        """
    with dying(tmp_path, source) as run:
        run.wait_started()
        run.send(signal.SIGTERM)
        assert run.ended()[0] == -signal.SIGTERM
        run.assert_nothing_left()
    assert (tmp_path / "torn-down").exists()


NOTE = """
with open("worker", "w") as file:
    file.write(str(os.getpid()))
"""


def test_a_worker(tmp_path: Path) -> None:
    with dying(tmp_path, SLEEPS + NOTE, "-n1", plugins=["xdist.plugin"]) as run:
        run.wait_started()
        os.kill(int((tmp_path / "worker").read_text()), signal.SIGTERM)
        assert run.ended()[0] != 0
        run.assert_nothing_left()
    assert (tmp_path / "torn-down").exists()


def test_one_that_the_test_swallows_ends_the_run_all_the_same(tmp_path: Path) -> None:
    source = """
        @many()
        def test_it(torn_down):
            with pytest.raises(KeyboardInterrupt):
                time.sleep(60)

        def test_after():
            os._exit(7)
        """
    with dying(tmp_path, source) as run:
        run.wait_started()
        run.send(signal.SIGTERM)
        status, output = run.ended()
        assert status == -signal.SIGTERM, output
        assert "ended by SIGTERM" in output


def test_several_in_a_row_do_not_cut_the_teardown_short(tmp_path: Path) -> None:
    source = """
        import pytest_chaos.plugin.signals
        pytest_chaos.plugin.signals._ONE_AND_THE_SAME_S = 60

        @pytest.fixture
        def slow():
            yield
            open("slow", "w").close()
            while not os.path.exists("go on"):
                time.sleep(0.01)

        @many()
        def test_it(torn_down, slow):
            time.sleep(60)
        """
    with dying(tmp_path, source) as run:
        run.wait_started()
        run.send(signal.SIGTERM)
        eventually((tmp_path / "slow").exists, "the teardown has begun", within_s=30)
        for number in (signal.SIGTERM, signal.SIGHUP):
            run.send(number)
        (tmp_path / "go on").touch()
        assert run.ended()[0] == -signal.SIGTERM
    assert (tmp_path / "torn-down").exists()


def test_one_that_got_lost_can_be_sent_again(tmp_path: Path) -> None:
    """Python drops what is raised in a finalizer, wherever that may run."""
    source = """
        class Lost:
            def __del__(self):
                with open("losing", "w"):
                    time.sleep(60)

        @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        @many()
        def test_it(torn_down):
            Lost()
            with open("lost", "w"):
                time.sleep(60)
        """
    with dying(tmp_path, source) as run:
        eventually((tmp_path / "losing").exists, "the finalizer runs", within_s=30)
        run.send(signal.SIGTERM)
        eventually((tmp_path / "lost").exists, "the test goes on", within_s=30)
        eventually(lambda: run.ends_by(signal.SIGTERM), "pytest has ended", within_s=30)
        assert run.ended()[0] == -signal.SIGTERM
    assert (tmp_path / "torn-down").exists()


@pytest.mark.parametrize("where", ["before", "in the body"])
def test_a_handler_of_the_users_decides_alone(where: str, tmp_path: Path) -> None:
    source = f"""
        received = []

        def test_before():
            if {where == "before"}:
                signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))

        @many()
        def test_it():
            if {where == "in the body"}:
                signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
            os.kill(os.getpid(), signal.SIGTERM)
            assert received == [signal.SIGTERM]

        def test_after():
            os.kill(os.getpid(), signal.SIGTERM)
            assert received == [signal.SIGTERM] * 2
        """
    assert_all_pass(3, tmp_path, source)


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    source = """
        def test_before():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        @many()
        def test_it():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

        def test_after():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        """
    assert_all_pass(3, tmp_path, source)


def test_they_are_taken_only_while_a_test_is_disrupted(tmp_path: Path) -> None:
    source = """
        def handlers():
            return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]

        def test_before():
            assert handlers() == [signal.SIG_DFL] * 2

        @many()
        def test_it():
            assert not {signal.SIG_DFL, signal.SIG_IGN} & set(handlers())

        def test_by_hand(chaos_injector):
            assert not {signal.SIG_DFL, signal.SIG_IGN} & set(handlers())

        def test_after():
            assert handlers() == [signal.SIG_DFL] * 2
        """
    assert_all_pass(4, tmp_path, source)


def test_one_that_a_test_puts_back_too_late_does_what_the_default_does(tmp_path: Path) -> None:
    source = """
        kept = []

        @many()
        def test_it():
            kept.append(signal.getsignal(signal.SIGTERM))

        def test_after(torn_down):
            signal.signal(signal.SIGTERM, kept.pop())
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        """
    with dying(tmp_path, source) as run:
        assert run.ended()[0] == -signal.SIGTERM
    assert not (tmp_path / "torn-down").exists()


def test_a_fork_of_the_test_ends_by_it_as_ever(tmp_path: Path) -> None:
    """As ``multiprocessing`` wants it when it terminates a process."""
    source = """
        @many()
        def test_it():
            for _ in range(50):
                child = os.fork()
                if child == 0:
                    try:
                        time.sleep(60)
                    finally:
                        os._exit(7)
                os.kill(child, signal.SIGTERM)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
            assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
        """
    with dying(tmp_path, source) as run:
        status, output = run.ended()
        assert status == 0, output


def test_a_run_inside_a_disrupted_test(tmp_path: Path) -> None:
    """The one that is interrupted inside must not keep the one outside from its teardown."""
    source = """
        from pathlib import Path
        pytest_plugins = ["pytester"]
        INSIDE = '''
        import time
        from pathlib import Path
        from conftest import many
        @many()
        def test_it(torn_down):
            Path("inside").touch()
            time.sleep(60)
        '''

        @many()
        def test_it(torn_down, pytester):
            pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
            pytester.makepyfile(INSIDE)
            pytester.runpytest_inprocess("-q", "-p", "pytest_chaos.plugin")
            time.sleep(60)
        """
    with dying(tmp_path, source, "-p", "pytester", "--basetemp=base") as run:
        folder = tmp_path / "base" / "test_it0"
        eventually((folder / "inside").exists, "the test inside runs", within_s=30)
        run.send(signal.SIGTERM)
        status, output = run.ended()
        assert status == -signal.SIGTERM, output
        eventually(lambda: not running_with(run.token), "nothing is left", within_s=1)
    assert (folder / "torn-down").exists()
    assert (tmp_path / "torn-down").exists()
