"""The chaos summary of the terminal: one line for each disruption, colours only where they are asked for."""

from __future__ import annotations

import re

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import pytest
from conftest import RUNNING, STARTED, staged

"""
SOURCE = f"""{HEAD}
@pytest.mark.chaos(staged("one"), staged("two", play="fails"))
def test_two(): pass

@pytest.mark.chaos(staged())
def test_skips(): pytest.skip("x")

@pytest.mark.chaos
def test_plain(): pass

def test_peaceful(): pass
"""
WHERE = pytest.mark.parametrize("option", ["-n0", "-n2"])


def summary(run: InnerRun) -> list[str]:
    """Return the lines below the heading ``chaos``."""
    (after,) = re.split(r"^.*=+ chaos =+.*$\n", run.stdout, flags=re.MULTILINE)[1:]
    return re.split(r"^(?:.*=== | - generated xml)", after, flags=re.MULTILINE)[0].rstrip("\n").splitlines()


@WHERE
def test_one_line_for_each_disruption(inner: InnerPytest, option: str) -> None:
    run = inner(SOURCE, option, conftest=STAGED, plugins=["xdist.plugin"])
    assert summary(run) == [
        "held         test_inner.py::test_two  'one'  staged  overlap 100%",
        "inconclusive test_inner.py::test_two  'two'  staged  overlap 100%",
        "             the fault failed: it is not what it was",
        "not_judged   test_inner.py::test_skips  'a rush'  staged  overlap 100%",
        "             the body was skipped",
        "1 test carries a bare chaos mark: a category, no chaos",
    ]


@WHERE
def test_figures_of_a_load(inner: InnerPytest, shop: Shop, option: str) -> None:
    shop.status = 503
    run = inner(
        f"import time, pytest\n@pytest.mark.chaos({load_spec(shop.url, qps=100)})\ndef test_it(): time.sleep(0.5)\n",
        option,
        plugins=["xdist.plugin"],
    )
    (line,) = summary(run)
    assert re.fullmatch(
        r"held         test_inner\.py::test_it  'load'  generate_load  100 -> \d+\.\d qps  (\d+) requests  "
        r"errors: \1 x 503  p99 \d+\.\d ms  overlap \d+%",
        line,
    )


def test_nothing_is_shown_where_nothing_happened(inner: InnerPytest) -> None:
    run = inner(SOURCE, "-k", "peaceful", conftest=STAGED)
    assert run.words == {"test_peaceful": "passed"}
    assert "= chaos =" not in run.stdout


@WHERE
def test_a_peaceful_run_says_so(inner: InnerPytest, option: str) -> None:
    run = inner(SOURCE, option, "--chaos-disable", conftest=STAGED, plugins=["xdist.plugin"])
    assert summary(run) == [
        "disabled     test_inner.py::test_two  'one'  staged  overlap 0%",
        "disabled     test_inner.py::test_two  'two'  staged  overlap 0%",
        "disabled     test_inner.py::test_skips  'a rush'  staged  overlap 0%",
        "chaos is disabled (--chaos-disable): every test ran in peace",
        "1 test carries a bare chaos mark: a category, no chaos",
    ]


@pytest.mark.parametrize(("colour", "coloured"), [("yes", True), ("no", False), ("auto", False)])
def test_colours_only_where_they_are_asked_for(inner: InnerPytest, colour: str, coloured: bool) -> None:
    run = inner(SOURCE, f"--color={colour}", conftest=STAGED)
    assert ("\x1b" in run.stdout) is coloured
    if coloured:
        assert re.search(r"\x1b\[32mheld .*test_two  'one'", run.stdout)
        assert re.search(r"\x1b\[31minconclusive .*test_two  'two'", run.stdout)
        assert re.search(r"\x1b\[33mnot_judged .*test_skips", run.stdout)


def test_a_fault_with_line_feeds_stays_on_its_line(inner: InnerPytest) -> None:
    conftest = """
from typing import Literal
from pytest_chaos import FAULTS, ChaosResult, Fault

@FAULTS.register("tall")
class Tall(Fault):
    type: Literal["tall"] = "tall"

    def inject(self, ctx, chaos_active_event=None):
        chaos_active_event.set()
        ctx.stop.wait()
        return ChaosResult(success=False, injected_fault="a\\nb", error="c\\nd")
"""
    spec = {"trigger": {"type": "time"}, "action": {"type": "tall"}}
    run = inner(f"import pytest\n@pytest.mark.chaos({spec})\ndef test_it(): pass\n", conftest=conftest)
    first, *reason = summary(run)
    assert re.fullmatch(
        r"inconclusive test_inner\.py::test_it  'Planned Disruption'  a.b  overlap \d+%", first
    )
    assert all(line.startswith("             ") for line in reason)


def test_a_terminal_that_knows_ascii_only(inner: InnerPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    run = inner(
        f"{HEAD}@pytest.mark.chaos(staged('Mittag in Köln 火'))\ndef test_it(): pass\n",
        conftest=STAGED,
        subprocess=True,
    )
    assert run.exit_code == 0
    assert "Mittag in K" in run.stdout
    assert "INTERNALERROR" not in run.stdout


@WHERE
@pytest.mark.parametrize(("encoding", "marks"), [("ascii", "._-=+*%#"), ("utf-8", "▁▂▃▄▅▆▇█")])
def test_a_chart_is_drawn_in_what_the_terminal_can_show(
    inner: InnerPytest, shop: Shop, monkeypatch: pytest.MonkeyPatch, option: str, encoding: str, marks: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("COLUMNS", "70")
    spec = load_spec(shop.url, qps=100, min_delivered=0.1)
    source = f"import time, pytest\n@pytest.mark.chaos({spec})\ndef test_it():\n    time.sleep(0.3)\n    assert False\n"
    run = inner(source, option, plugins=["xdist.plugin"], subprocess=True)
    below = run.stdout.partition("--- chaos ---")[2].partition("=== chaos ===")[0]
    (chart,) = re.findall(r"^    requests  (.*)$", below, re.MULTILINE)
    assert set(chart) <= {*marks, " "}
    assert marks[-1] in chart
    assert max(map(len, below.splitlines())) <= 70


def test_bare_marks_in_words(inner: InnerPytest) -> None:
    run = inner("import pytest\npytestmark = pytest.mark.chaos\ndef test_a(): pass\ndef test_b(): pass\n")
    assert summary(run) == ["2 tests carry a bare chaos mark: a category, no chaos"]


def test_an_outcome_by_hand_stands_beside_that_of_the_mark(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(staged("by mark"))
def test_it(chaos_injector):
    with chaos_injector.inject(staged("by hand")):
        assert sorted(RUNNING) == ["by hand", "by mark"]
    assert RUNNING == ["by mark"]
""",
        conftest=STAGED,
    )
    assert [line.split("'")[1] for line in summary(run)] == ["by mark", "by hand"]


def test_the_message_of_a_test_that_fails_for_its_chaos(inner: InnerPytest) -> None:
    run = inner(SOURCE, "-k", "test_two", conftest=STAGED)
    assert run.test().longrepr == (
        "the body passed, but 'two' (staged) is inconclusive: the fault failed: it is not what it was"
    )
    below = run.stdout.partition("--- chaos ---")[2].partition("=== chaos ===")[0]
    worst, beside = below.split("'one' (staged) is held: the body passed while it was disrupted\n")
    assert "'two' (staged) is inconclusive: the fault failed: it is not what it was" in worst
    assert re.search(
        r"^    seconds   fired [\d.]+, active [\d.]+, body started [\d.]+, body ended ", worst, re.MULTILINE
    )
    assert beside.splitlines()[:2] == [
        "again:    pytest test_inner.py::test_two",
        "in peace: pytest test_inner.py::test_two --chaos-disable",
    ]
