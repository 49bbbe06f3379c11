"""How much of the body was disrupted: measured, asked for with ``min_overlap``, and checked against the target's own count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """
import json, pathlib, time
import pytest

def body(seconds):
    first = time.monotonic()
    time.sleep(seconds)
    last = time.monotonic()
    pathlib.Path("lines.json").write_text(json.dumps([first, last]))

"""


def lines(run: InnerRun) -> tuple[float, float]:
    """Return when the body's own first and last lines ran."""
    first, last = json.loads((run.path / "lines.json").read_text(encoding="utf-8"))
    return first, last


def counted(shop: Shop, start: float, end: float) -> int:
    """Return how many requests the target saw between two moments."""
    return sum(start <= hit.at <= end for hit in shop.hits)


def half(shop: Shop, **target: Any) -> dict[str, Any]:
    """Return a load that is over after 0.4 s."""
    return load_spec(shop.url, qps=100, duration="400ms", min_delivered=0.5, **target)


def marked(spec: object, keywords: str = "", *, seconds: float = 1.0, more: str = "") -> str:
    return f"{HEAD}{more}\n@pytest.mark.chaos({spec!r}{keywords})\ndef test_it(): body({seconds})\n"


def by_hand(spec: object, keywords: str = "", *, seconds: float = 1.0, more: str = "") -> str:
    return (
        f"{HEAD}{more}\ndef test_it(chaos_injector):\n"
        f"    with chaos_injector.inject({spec!r}{keywords}): body({seconds})\n"
    )


MADE = pytest.mark.parametrize("made", [marked, by_hand], ids=["mark", "by hand"])


@MADE
def test_a_load_of_less_than_half_the_body(inner: InnerPytest, shop: Shop, made: Any) -> None:
    run = inner(made(half(shop)))
    (outcome,) = run.test().chaos
    assert (run.exit_code, outcome["verdict"]) == (0, "held"), run.stdout
    assert outcome["overlap"] == pytest.approx(0.4, abs=0.05)
    assert outcome["overlap_s"] == pytest.approx(0.4, abs=0.05)
    assert outcome["window"]["seconds"] == pytest.approx(1.0, abs=0.1)
    assert outcome["overlap"] == pytest.approx(outcome["overlap_s"] / outcome["window"]["seconds"])
    assert abs(counted(shop, *lines(run)) - outcome["window"]["requests"]) <= 1


def test_a_load_that_begins_after_more_than_half_the_body(inner: InnerPytest, shop: Shop) -> None:
    """Its warm-up is part of the wait, not of the overlap."""
    spec = load_spec(shop.url, qps=100, delay_seconds=0.5, min_delivered=0.5)
    run = inner(marked(spec, ", wait='none'"))
    (outcome,) = run.test().chaos
    active, ended = outcome["timeline"]["active"], outcome["timeline"]["body_ended"]
    assert outcome["verdict"] == "held", run.stdout
    assert outcome["overlap_s"] == pytest.approx(ended - active, abs=0.01)
    assert 0.1 < outcome["overlap"] < 0.5


@MADE
def test_the_delivered_rate_is_what_the_target_counted(inner: InnerPytest, shop: Shop, made: Any) -> None:
    run = inner(made(load_spec(shop.url, qps=300, min_delivered=0.5), seconds=2.5))
    (outcome,) = run.test().chaos
    first, last = lines(run)
    count = counted(shop, first, last)
    assert outcome["verdict"] == "held", run.stdout
    assert outcome["overlap"] >= 0.99
    assert outcome["window"]["delivered_qps"] == pytest.approx(count / (last - first), rel=0.02)
    assert outcome["window"]["requests"] == pytest.approx(count, rel=0.02)


@MADE
def test_less_than_min_overlap_fails(inner: InnerPytest, shop: Shop, made: Any) -> None:
    run = inner(made(half(shop), ", min_overlap=0.9"))
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["inconclusive"]), run.stdout
    reason = end.chaos[0]["reason"]
    assert reason.startswith("it was active for 0.")
    assert "% of the body, but `min_overlap` asks for 90.0%: let it last longer, or fire it earlier" in reason
    assert reason in end.longrepr
    assert end.chaos[0]["overlap"] == pytest.approx(0.4, abs=0.05)


@MADE
def test_enough_of_it_holds(inner: InnerPytest, shop: Shop, made: Any) -> None:
    run = inner(made(half(shop), ", min_overlap=0.3"))
    assert (run.exit_code, run.test().verdicts) == (0, ["held"]), run.stdout


def test_it_is_asked_of_each_disruption(inner: InnerPytest, shop: Shop) -> None:
    specs = [half(shop, name="short"), load_spec(shop.url, qps=100, min_delivered=0.5, name="long")]
    run = inner(marked(specs, ", min_overlap=0.9"))
    assert run.test().verdicts == ["inconclusive", "held"]
    assert "'short'" in run.test().longrepr
    assert "'long'" not in run.test().longrepr


STEPPED = """
marker(threads=2)
now, time.time_ns = time.time_ns, lambda: 1
log(3)
time.time_ns = now
until_sigint(log)
say(report())
"""


def test_a_clock_that_is_set_meanwhile_moves_neither_window_nor_series(
    inner: InnerPytest, fake_fortio: Callable[[str], Path]
) -> None:
    """Requests that seem to be older than fortio itself, by half a century, are not counted."""
    spec = load_spec("http://127.0.0.1:1/", qps=100, min_delivered=0.1)
    run = inner(marked(spec, seconds=0.5), f"--chaos-fortio={fake_fortio(STEPPED)}")
    (outcome,) = run.test().chaos
    series = outcome["series"]
    assert outcome["verdict"] == "held", run.stdout
    assert outcome["overlap"] > 0.9
    assert series["width_s"] == 0.1
    assert 0 <= series["start_s"] < outcome["timeline"]["body_ended"]
    assert sum(series["requests"]) <= outcome["result"]["details"]["requests"]


LATE = "staged(delay_seconds=0.1), wait='none'"


def quick(mark: str, body: str = "time.sleep(0.2)", more: str = "") -> str:
    """Return a module whose test is disrupted as ``mark`` says; by ``LATE`` it is in its second half."""
    return f"import time\nimport pytest\nfrom conftest import staged\n{more}@pytest.mark.chaos({mark})\ndef test_it(): {body}\n"


@pytest.mark.parametrize("option", ["-n0", "-n2"])
@pytest.mark.parametrize("strict", [True, False])
def test_no_expected_failure_absorbs_too_little_overlap(
    inner: InnerPytest, strict: bool, option: str
) -> None:
    source = quick(f"{LATE}, min_overlap=0.9", more=f"@pytest.mark.xfail(strict={strict})\n")
    run = inner(source, option, conftest=STAGED, plugins=["xdist.plugin"])
    assert (run.exit_code, run.test().word, run.test().verdicts) == (1, "failed", ["inconclusive"])


def test_a_body_that_fails_under_too_little_is_told_so(inner: InnerPytest) -> None:
    run = inner(
        quick(f"{LATE}, min_overlap=0.9", "time.sleep(0.2); raise OSError('mine')"),
        conftest=STAGED,
    )
    assert (run.test().word, run.test().verdicts) == ("failed", ["broke"])
    assert "mine" in run.test().longrepr
    assert "weaker than asked: it was active for " in run.test().longrepr


def test_several_marks_may_say_the_same(inner: InnerPytest) -> None:
    source = quick(f"{LATE}, min_overlap=0.9", more="@pytest.mark.chaos(staged('b'), min_overlap=0.9)\n")
    run = inner(source, conftest=STAGED)
    found = {outcome["name"]: outcome["verdict"] for outcome in run.test().chaos}
    assert found == {"a rush": "inconclusive", "b": "held"}


@pytest.mark.parametrize("share", ["0", "0.0", "1e-9"])
def test_a_share_of_nothing_is_any(inner: InnerPytest, share: str) -> None:
    run = inner(quick(f"{LATE}, min_overlap={share}"), conftest=STAGED)
    assert run.test().verdicts == ["held"]


WRONG = ["1.01", "-0.1", "90", "True", "'0.9'", "None", "float('nan')", "[0.9]"]


@pytest.mark.parametrize("share", WRONG)
def test_a_share_that_is_none_is_a_collection_error(inner: InnerPytest, share: str) -> None:
    run = inner(quick(f"staged(), min_overlap={share}"), conftest=STAGED)
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert "chaos(): min_overlap must be a number from 0 to 1, not " in run.stdout
    assert "INTERNALERROR" not in run.stdout


@pytest.mark.parametrize("share", [share for share in WRONG if share != "None"])
def test_a_share_that_is_none_starts_nothing_by_hand(inner: InnerPytest, share: str) -> None:
    run = inner(
        f"""
import pytest
from conftest import STARTED, staged
from pytest_chaos.errors import SpecError

def test_it(chaos_injector):
    with pytest.raises(SpecError, match="chaos_injector: min_overlap must be a number from 0 to 1"):
        chaos_injector.inject(staged(), min_overlap={share})
    assert not STARTED
""",
        conftest=STAGED,
    )
    assert run.test().word == "passed"


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("min_overlap=0.5", "chaos(): min_overlap without a spec"),
        (
            "staged(), min_overlap=0.5)\n@pytest.mark.chaos(staged('b'), min_overlap=0.6",
            "the marks of this test contradict each other: min_overlap is 0.5 and 0.6",
        ),
        ("staged(), min_overlp=0.5", "unknown keyword 'min_overlp'"),
    ],
)
def test_marks_that_do_not_fit(inner: InnerPytest, mark: str, words: str) -> None:
    run = inner(quick(mark), conftest=STAGED)
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert words in run.stdout
