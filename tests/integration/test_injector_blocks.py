"""``chaos_injector`` in plain tests: blocks, start and stop, to completion; each judged without being asked."""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged
from pytest_chaos.errors import ChaosError, NotHeld, SpecError

"""

# A body, how the test ends, and the verdicts on its report.
BODIES = {
    "block_held": (
        "with chaos_injector.inject(staged()): assert RUNNING\nassert not RUNNING",
        "passed",
        ["held"],
    ),
    "block_breaks": ("with chaos_injector.inject(staged()): assert not RUNNING", "failed", ["broke"]),
    "block_skips": ("with chaos_injector.inject(staged()): pytest.skip('x')", "skipped", ["not_judged"]),
    "block_unproven": ("with chaos_injector.inject(staged(play='fails')): pass", "failed", ["inconclusive"]),
    "block_never_begins": (
        "with chaos_injector.inject(staged(play='raises')): raise SystemError",
        "failed",
        ["inconclusive"],
    ),
    "block_of_two": (
        "with chaos_injector.inject(staged('a'), staged('b')): assert sorted(RUNNING) == ['a', 'b']",
        "passed",
        ["held", "held"],
    ),
    "block_of_list": (
        "with chaos_injector.inject([staged('a'), staged('b')]): assert len(RUNNING) == 2",
        "passed",
        ["held"] * 2,
    ),
    "nested_blocks": (
        "with chaos_injector.inject(staged('a')), chaos_injector.inject(staged('b')): assert RUNNING == ['a', 'b']",
        "passed",
        ["held", "held"],
    ),
    "one_after_the_other": (
        (
            "with chaos_injector.inject(staged('a')): pass\n"
            "with chaos_injector.inject(staged('b', play='fails'), check=False): assert RUNNING == ['b']\n"
            "assert [one.verdict for one in chaos_injector.outcomes] == ['held', 'inconclusive']"
        ),
        "passed",
        ["held", "inconclusive"],
    ),
    "not_waiting": (
        "with chaos_injector.inject(staged(), wait='none') as block: assert block.active.wait(5)",
        "passed",
        ["held"],
    ),
    "not_waiting_long_enough": (
        "with chaos_injector.inject(staged(delay_seconds=600), wait='none'): pass",
        "failed",
        ["inconclusive"],
    ),
    "attributes_of_a_block": (
        (
            "with chaos_injector.inject(staged()) as block:\n"
            "    assert block.active.is_set() and chaos_injector.active.is_set()\n"
            "    assert chaos_injector.outcomes == []\n"
            "    pytest.raises(ChaosError, lambda: block.outcome).match('no outcome yet')\n"
            "assert not block.active.is_set()\n"
            "assert block.outcomes == chaos_injector.outcomes == [block.outcome]\n"
            "assert block.outcome.verdict == 'held'"
        ),
        "passed",
        ["held"],
    ),
    "unchecked": (
        (
            "with chaos_injector.inject(staged(play='fails'), check=False) as block: pass\n"
            "assert block.outcome.verdict == 'inconclusive'"
        ),
        "passed",
        ["inconclusive"],
    ),
    "unchecked_that_never_begins": (
        (
            "with chaos_injector.inject(staged(play='raises'), check=False) as block: pass\n"
            "assert block.outcome.result.error == 'OSError: the disk is on fire'"
        ),
        "passed",
        ["inconclusive"],
    ),
    "started_and_stopped": (
        (
            "chaos_injector.start(staged())\nassert RUNNING\n"
            "(outcome,) = chaos_injector.stop()\nassert outcome.verdict == 'held'\nassert not RUNNING"
        ),
        "passed",
        ["held"],
    ),
    "stopped_one_of_two": (
        (
            "a, b = chaos_injector.start(staged('a')), chaos_injector.start(staged('b'))\n"
            "assert [one.name for one in chaos_injector.stop(a)] == ['a']\nassert RUNNING == ['b']"
        ),
        "passed",
        ["held", "held"],
    ),
    "stopped_twice": (
        (
            "a = chaos_injector.start(staged())\nassert chaos_injector.stop(a) == chaos_injector.stop(a)\n"
            "assert chaos_injector.stop() == []"
        ),
        "passed",
        ["held"],
    ),
    "started_and_stopped_unproven": (
        "chaos_injector.start(staged(play='fails'))\nchaos_injector.stop()",
        "failed",
        ["inconclusive"],
    ),
    "start_that_fails": ("chaos_injector.start(staged(play='raises'))", "failed", ["inconclusive"]),
    "left_running": ("chaos_injector.start(staged())", "passed", ["held"]),
    "left_running_unproven": ("chaos_injector.start(staged(play='fails'))", "failed", ["inconclusive"]),
    "left_running_unchecked": (
        "chaos_injector.start(staged(play='fails'), check=False)",
        "passed",
        ["inconclusive"],
    ),
    "left_running_and_fails": ("chaos_injector.start(staged())\nassert not RUNNING", "failed", ["broke"]),
    "run": (
        "(outcome,) = chaos_injector.run(staged(play='ends at once'))\nassert STARTED",
        "passed",
        ["held"],
    ),
    "run_that_fails": ("chaos_injector.run(staged(play='raises'))", "failed", ["inconclusive"]),
    "run_that_never_ends": ("chaos_injector.run(staged())", "failed", ["inconclusive"]),
    "run_unchecked": ("chaos_injector.run(staged(play='raises'), check=False)", "passed", ["inconclusive"]),
    "exception_leaves_the_block": (
        (
            "with pytest.raises(OSError, match='mine'), chaos_injector.inject(staged()): raise OSError('mine')\n"
            "assert not RUNNING"
        ),
        "passed",
        ["broke"],
    ),
    "not_held_is_caught": (
        (
            "with pytest.raises(NotHeld, match='it is not what it was') as caught:\n"
            "    with chaos_injector.inject(staged(play='fails')): pass\n"
            "assert [one.verdict for one in caught.value.outcomes] == ['inconclusive']"
        ),
        "passed",
        ["inconclusive"],
    ),
    "not_held_is_an_assertion": (
        "with pytest.raises(AssertionError), chaos_injector.inject(staged(play='fails')): pass",
        "passed",
        ["inconclusive"],
    ),
    "bad_spec": ("with chaos_injector.inject({'trigger': 3}): raise SystemError", "failed", ["inconclusive"]),
    "bad_wait": (
        "with chaos_injector.inject(staged(), wait='nonne'): raise SystemError",
        "failed",
        ["inconclusive"],
    ),
    "no_spec": ("with chaos_injector.inject(): raise SystemError", "failed", ["inconclusive"]),
    "verified": ("with chaos_injector.inject(staged(verify='fine')): pass", "passed", ["held"]),
    "not_verified": ("with chaos_injector.inject(staged(verify='broken')): pass", "failed", ["broke"]),
    "unknown_check": (
        "with chaos_injector.inject(staged(verify='fien')): raise SystemError",
        "failed",
        ["inconclusive"],
    ),
    "never_entered": ("chaos_injector.inject(staged())", "failed", ["inconclusive"]),
    "entered_twice": (
        (
            "block = chaos_injector.inject(staged())\nwith block: pass\n"
            "with pytest.raises(ChaosError):\n    with block: raise SystemError\nassert not RUNNING"
        ),
        "passed",
        ["held"],
    ),
    "outcome_of_another_kind_of_error": (
        "with pytest.raises(SpecError, match=\"did you mean 'trigger'\"): chaos_injector.inject({'triger': 1})",
        "passed",
        ["inconclusive"],
    ),
}
FIXTURES = """
@pytest.fixture
def chaos_verifiers(): return {"fine": lambda: None, "broken": lambda: False}
"""


def module(bodies: dict[str, str], mark: str = "") -> str:
    """Return a module with a test for each body, and a last one that looks at what is left."""
    source = HEAD + FIXTURES
    for name, body in bodies.items():
        indented = "".join(f"    {line}\n" for line in body.splitlines())
        source += f"{mark}def test_{name}(chaos_injector):\n{indented}\n"
    return source + (
        "def test_after():\n    import threading\n    assert RUNNING == []\n"
        "    assert not [t.name for t in threading.enumerate() if t.name.startswith('pytest-chaos')]\n"
    )


@pytest.mark.parametrize("option", ["-n0", "-n1"])
def test_bodies(inner: InnerPytest, option: str) -> None:
    source = module({name: case[0] for name, case in BODIES.items()})
    options = [option, "--chaos-stop-timeout=2"]
    run = inner(
        source, *options, conftest=STAGED, plugins=["xdist.plugin"], ini={"chaos_max_duration": "0.3"}
    )
    ends = {name: run.test(f"::test_{name}") for name in BODIES}
    assert {name: (end.word, end.verdicts) for name, end in ends.items()} == {
        name: case[1:] for name, case in BODIES.items()
    }
    assert run.words["test_after"] == "passed"


def test_messages(inner: InnerPytest) -> None:
    names = [
        "block_breaks",
        "block_unproven",
        "block_never_begins",
        "left_running_unproven",
        "bad_spec",
        "bad_wait",
        "unknown_check",
    ]
    run = inner(module({name: BODIES[name][0] for name in names}), conftest=STAGED)
    said = {name: run.test(f"::test_{name}").longrepr for name in names}
    assert "chaos: 'a rush' (staged) is broke: the body failed while it was disrupted" in said["block_breaks"]
    unproven = "'a rush' (staged) is inconclusive: the fault failed: it is not what it was"
    assert f"chaos_injector: {unproven}" in said["block_unproven"]
    assert "the fault failed: OSError: the disk is on fire" in said["block_never_begins"]
    assert said["left_running_unproven"].startswith(f"the body passed, but {unproven}")
    assert "trigger: must be a mapping with a `type`, not int" in said["bad_spec"]
    assert (
        "wait must be one of 'active', 'done', 'none', not 'nonne'; did you mean 'none'?" in said["bad_wait"]
    )
    assert "no check is called 'fien'" in said["unknown_check"]
    assert "did you mean 'fine'?" in said["unknown_check"]
    for name in ("block_never_begins", "bad_spec", "unknown_check"):
        assert "SystemError" not in said[name].replace("raise SystemError", "")


@pytest.mark.parametrize(
    ("body", "word", "verdict"),
    [
        ("with chaos_injector.inject(staged()): assert not RUNNING", "xfailed", "broke"),
        ("with chaos_injector.inject(staged(verify='broken')): pass", "xfailed", "broke"),
        ("with chaos_injector.inject(staged(play='fails')): pass", "failed", "inconclusive"),
        ("with chaos_injector.inject(staged(play='fails')): assert not RUNNING", "failed", "inconclusive"),
        ("with chaos_injector.inject(staged(play='raises')): pass", "failed", "inconclusive"),
        ("with chaos_injector.inject({'trigger': 3}): pass", "failed", "inconclusive"),
        ("with chaos_injector.inject(staged(verify='fien')): pass", "failed", "inconclusive"),
        ("chaos_injector.start(staged(play='fails'))\nassert 0", "failed", "inconclusive"),
        ("chaos_injector.start(staged())\nassert 0", "xfailed", "broke"),
        ("chaos_injector.inject(staged())\nassert 0", "failed", "inconclusive"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_xfail_absorbs_what_broke_and_nothing_else(
    inner: InnerPytest, body: str, word: str, verdict: str, strict: bool
) -> None:
    run = inner(module({"it": body}, f"@pytest.mark.xfail(strict={strict})\n"), conftest=STAGED)
    assert (run.words["test_it"], run.test("::test_it").verdicts) == (word, [verdict])


def test_what_is_left_to_the_test_does_not_undo_an_expected_failure(inner: InnerPytest) -> None:
    body = "with chaos_injector.inject(staged(play='fails'), check=False): pass\nassert 0"
    run = inner(module({"it": body}, "@pytest.mark.xfail\n"), conftest=STAGED)
    assert run.words["test_it"] == "xfailed"


@pytest.mark.parametrize(
    "body",
    [
        "with chaos_injector.inject(staged()) as block: ran = not RUNNING\nassert ran and block.outcome.verdict == 'disabled'",
        "chaos_injector.start(staged())\nassert chaos_injector.stop()[0].verdict == 'disabled'",
        "chaos_injector.start(staged(play='fails'))",
        "assert chaos_injector.run(staged(play='ends at once'))[0].verdict == 'disabled'",
        "with chaos_injector.inject(staged(play='raises', verify='broken')): assert not STARTED",
    ],
)
def test_in_peace(inner: InnerPytest, body: str) -> None:
    run = inner(module({"it": f"{body}\nassert not STARTED"}), "--chaos-disable", conftest=STAGED)
    assert (run.words["test_it"], run.test("::test_it").verdicts) == ("passed", ["disabled"])


def test_in_peace_a_bad_spec_is_still_wrong(inner: InnerPytest) -> None:
    run = inner(module({"it": "with chaos_injector.inject([]): pass"}), "--chaos-disable", conftest=STAGED)
    assert run.words["test_it"] == "failed"


@pytest.mark.parametrize("option", ["-n0", "-n1"])
@pytest.mark.parametrize(
    ("body", "word", "verdict"),
    [
        ("with injector.inject(staged()): assert RUNNING", "passed", "held"),
        ("with injector.inject(staged(play='fails')): pass", "failed", "inconclusive"),
        ("injector.start(staged())", "passed", "held"),
        ("injector.start(staged(play='fails'))", "failed", "inconclusive"),
        ("injector.start(staged())\n    assert not RUNNING", "failed", "broke"),
    ],
)
def test_asked_for_while_the_test_runs(
    inner: InnerPytest, option: str, body: str, word: str, verdict: str
) -> None:
    run = inner(
        f"{HEAD}def test_it(request):\n    injector = request.getfixturevalue('chaos_injector')\n    {body}\n"
        "def test_after(): assert RUNNING == []\n",
        option,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    assert run.words == {"test_it": word, "test_after": "passed"}
    assert run.test("::test_it").verdicts == [verdict]
    assert f"{verdict:<12} test_inner.py::test_it" in run.stdout


def test_a_fixture_may_disrupt_its_test(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def storm(chaos_injector):
    with chaos_injector.inject(staged("storm")):
        yield

def test_it(storm): assert RUNNING == ["storm"]

@pytest.mark.chaos(staged("mark"))
def test_both(storm): assert sorted(RUNNING) == ["mark", "storm"]
""",
        conftest=STAGED,
    )
    assert run.words == {"test_it": "passed", "test_both": "passed"}
    assert run.test("::test_it").verdicts == ["held"]
    assert run.test("::test_both").verdicts == ["held", "held"]


def test_what_a_fixture_started_is_stopped_if_the_body_never_runs(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def storm(chaos_injector): chaos_injector.start(staged("storm"))

@pytest.fixture
def broken(storm): raise OSError

def test_it(broken): pass
def test_after(): assert RUNNING == []
""",
        conftest=STAGED,
        junit=True,
    )
    assert run.words == {"test_it": "error", "test_after": "passed"}
    assert [report.when for report in run.test("::test_it").reports if report.chaos] == ["teardown"]
    assert run.test("::test_it").verdicts == ["inconclusive"]
    assert run.junit["test_it"].properties["chaos.verdict"] == "inconclusive"
    assert "inconclusive test_inner.py::test_it  'storm'" in run.stdout


def test_unittest_takes_it_from_a_fixture(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
import unittest

class TestIt(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def take(self, chaos_injector): self.chaos = chaos_injector

    def test_held(self):
        with self.chaos.inject(staged()):
            assert RUNNING

    def test_unproven(self):
        with self.chaos.inject(staged(play="fails")):
            pass

    def test_left_running_unproven(self):
        self.chaos.start(staged(play="fails"))
""",
        conftest=STAGED,
    )
    assert run.words == {
        "test_held": "passed",
        "test_unproven": "failed",
        "test_left_running_unproven": "failed",
    }
    assert run.test("::test_held").verdicts == ["held"]
    assert run.test("::test_unproven").verdicts == ["inconclusive"]


def test_an_interrupt_in_the_block_stops_it(inner: InnerPytest) -> None:
    run = inner(
        f"{HEAD}def test_it(chaos_injector):\n    with chaos_injector.inject(staged()):\n        raise KeyboardInterrupt\n",
        conftest=STAGED + "def pytest_sessionfinish(): print('running:', RUNNING)\n",
        subprocess=True,
    )
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "running: []" in run.stdout
    assert "not_judged   test_inner.py::test_it  'a rush'" in run.stdout


@pytest.mark.parametrize("option", ["-n0", "-n2"])
def test_a_rerun_begins_anew(inner: InnerPytest, option: str) -> None:
    run = inner(
        f"""{HEAD}
def test_it(chaos_injector):
    assert chaos_injector.outcomes == []
    with chaos_injector.inject(staged(play="fails" if not STARTED else "well")):
        pass
""",
        option,
        "--reruns=1",
        conftest=STAGED,
        plugins=["xdist.plugin", "pytest_rerunfailures"],
    )
    end = run.test()
    assert [report.outcome for report in end.reports if report.when == "call"] == ["rerun", "passed"]
    assert end.verdicts == ["held"]
    assert run.stdout.count("test_it  'a rush'") == 1
