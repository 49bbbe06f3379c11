"""What holds, holds for a reason: the load really flowed while the body ran, as planned, and was gone after it.

On a busy machine a short load loses some of its turns. Where a test is not about how much was delivered, it
accepts less.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.inner import InnerPytest, TestEnd
from tests.support.processes import assert_none_left
from tests.support.server import Hit, Shop
from tests.support.specs import INSTANT_FAULT, load_spec

MOMENTS = """
import json, pathlib, time
import pytest

MOMENTS = {}

def moment(name):
    MOMENTS[name] = time.monotonic()
    pathlib.Path("moments.json").write_text(json.dumps(MOMENTS))
"""


def moments(path: Path) -> dict[str, float]:
    """Return what the inner module noted with ``moment``: names to moments on the clock of ``time.monotonic()``."""
    found: dict[str, float] = json.loads((path / "moments.json").read_text(encoding="utf-8"))
    return found


def between(hits: list[Hit], start: float, end: float) -> int:
    """Return how many requests arrived between two moments."""
    return sum(start <= hit.at <= end for hit in hits)


def order(outcome: dict[str, Any], *names: str) -> list[str]:
    """Return those of ``names`` that the timeline holds, by time."""
    timeline = outcome["timeline"]
    return sorted((name for name in names if name in timeline), key=lambda name: timeline[name])


def the_one(end: TestEnd) -> dict[str, Any]:
    assert len(end.chaos) == 1
    return end.chaos[0]


def test_a_body_of_one_second_under_300_requests_a_second(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{MOMENTS}
from tests.support.processes import processes_with

@pytest.fixture
def ours():
    moment("setup")
    yield
    moment("teardown")
    assert not processes_with(":{shop.port}"), "fortio was not gone when the fixtures were torn down"

@pytest.mark.chaos({load_spec(shop.url + "/checkout", qps=300)!r})
def test_it(ours):
    moment("start")
    assert processes_with(":{shop.port}"), "there was no fortio while the body ran"
    time.sleep(1)
    moment("end")
"""
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (0, "passed", ["held"]), run.stdout
    outcome, at = the_one(end), moments(run.path)
    details = outcome["result"]["details"]
    assert outcome["overlap"] >= 0.99
    assert outcome["overlap_s"] >= 0.99
    assert details["asked_qps"] == 300
    assert details["delivered_qps"] >= 0.95 * 300
    assert outcome["window"]["delivered_qps"] >= 0.95 * 300
    assert outcome["window"]["errors"] == 0
    assert details["responses"] == {"200": details["requests"]}
    # What the server has counted agrees with all that.
    assert between(shop.hits, at["start"], at["end"]) >= 0.95 * 300
    assert shop.count == details["requests"] + details["warmup_requests"]
    assert {hit.path for hit in shop.hits} == {"/checkout"}
    assert between(shop.hits, 0, at["setup"]) == 0
    assert between(shop.hits, at["teardown"], at["teardown"] + 60) == 0
    assert order(outcome, "planned", "fired", "active", "body_started", "body_ended", "finished") == [
        "planned",
        "fired",
        "active",
        "body_started",
        "body_ended",
        "finished",
    ]


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_no_body_starts_before_a_measured_request_was_answered(
    inner: InnerPytest, shop: Shop, delay_s: float
) -> None:
    """Warm-up, one request for each connection, does not count."""
    shop.delay_s = delay_s
    run = inner(
        f"""{MOMENTS}
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, concurrency=40)!r})
def test_it():
    moment("start")
    time.sleep(0.3)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    start = moments(run.path)["start"]
    assert between(shop.hits, 0, start) > 40
    assert between(shop.hits, 0, start - delay_s) > 40, "no measured request was answered before the body"


def test_a_delay_is_spent_in_setup(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{MOMENTS}
@pytest.fixture(autouse=True)
def ours():
    moment("setup")

@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, delay_seconds=0.4)!r})
def test_it():
    moment("start")
    time.sleep(0.2)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    at = moments(run.path)
    assert at["start"] - at["setup"] >= 0.4
    assert between(shop.hits, 0, at["setup"] + 0.4) == 0
    assert the_one(run.test())["overlap"] >= 0.99


def test_without_waiting_the_clock_starts_with_the_body(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{MOMENTS}
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, delay_seconds=0.3)!r}, wait="none")
def test_it():
    moment("start")
    time.sleep(1)
    moment("end")
"""
    )
    end = run.test()
    assert end.verdicts == ["held"], run.stdout
    at, outcome = moments(run.path), the_one(end)
    assert between(shop.hits, 0, at["start"] + 0.3) == 0
    assert between(shop.hits, at["start"] + 0.3, at["end"]) > 20
    assert 0.1 < outcome["overlap"] <= 0.7 + 0.01
    assert order(outcome, "body_started", "fired", "active", "body_ended") == [
        "body_started",
        "fired",
        "active",
        "body_ended",
    ]


def test_waiting_for_the_end_runs_the_body_in_peace(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{MOMENTS}
from tests.support.processes import processes_with

@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="400ms")!r}, wait="done")
def test_it():
    moment("start")
    assert not processes_with(":{shop.port}")
"""
    )
    end = run.test()
    assert (run.exit_code, end.verdicts) == (0, ["held"]), run.stdout
    start, outcome = moments(run.path)["start"], the_one(end)
    assert between(shop.hits, 0, start) == shop.count >= 30
    assert 0.3 < outcome["overlap_s"] < 1
    assert order(outcome, "active", "last_effect", "finished", "body_started", "body_ended") == [
        "active",
        "last_effect",
        "finished",
        "body_started",
        "body_ended",
    ]


def test_a_service_that_does_not_recover_is_broke(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="300ms")!r}, wait="done")
def test_it():
    assert False, "still slow"
"""
    )
    end = run.test()
    assert (end.word, end.verdicts) == ("failed", ["broke"]), run.stdout
    assert "still slow" in end.longrepr


def test_waiting_for_the_end_of_a_load_that_was_never_there_is_not_green(
    inner: InnerPytest, shop: Shop
) -> None:
    shop.close()
    run = inner(
        f"""
import pytest
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="300ms")!r}, wait="done")
def test_it():
    pass
"""
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (1, "error", ["inconclusive"]), run.stdout
    assert "connection refused" in end.longrepr


def test_a_load_that_is_longer_than_the_body_ends_with_it(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""{MOMENTS}
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="60s")!r})
def test_it():
    time.sleep(0.3)
    moment("end")
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    assert_none_left(f":{shop.port}", within_s=0)
    end = moments(run.path)["end"]
    assert between(shop.hits, end + 1, end + 60) == 0


def test_a_load_that_is_shorter_than_the_body_counts_for_its_time(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="400ms")!r})
def test_it():
    time.sleep(1.0)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    assert 0.2 < the_one(run.test())["overlap"] < 0.6


def test_a_load_without_a_duration_that_ends_at_the_cap_does_not_hold(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100)!r})
def test_it():
    time.sleep(0.8)
""",
        ini={"chaos_max_duration": 0.3},
    )
    end = run.test()
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"]), run.stdout
    assert "cap of 0.3 s" in end.longrepr
    assert "raise chaos_max_duration" in end.longrepr


def test_errors_of_the_service_are_answers(inner: InnerPytest, shop: Shop) -> None:
    shop.status = 503
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100)!r})
def test_it():
    time.sleep(0.3)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    outcome = the_one(run.test())
    assert outcome["window"]["errors"] == outcome["window"]["requests"] > 0
    assert list(outcome["result"]["details"]["responses"]) == ["503"]


def test_less_may_be_accepted(inner: InnerPytest, shop: Shop) -> None:
    """Answers of 0.3 s over 6 connections are 20 a second at most."""
    shop.delay_s = 0.3
    spec = load_spec(shop.url, qps=60, concurrency=6, min_delivered=0.1)
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({spec!r})
def test_it():
    time.sleep(0.7)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    assert the_one(run.test())["result"]["details"]["delivered_qps"] < 54


@pytest.mark.parametrize("as_list", [True, False])
def test_several_disruptions_run_together_each_on_its_own_trigger(
    inner: InnerPytest, shop: Shop, as_list: bool
) -> None:
    first = load_spec(shop.url + "/first", min_delivered=0.3, name="first", qps=60)
    second = load_spec(shop.url + "/second", min_delivered=0.3, name="second", qps=120, delay_seconds=0.3)
    marks = (
        f"@pytest.mark.chaos([{first!r}, {second!r}])"
        if as_list
        else f"@pytest.mark.chaos({first!r}, {second!r})"
    )
    run = inner(
        f"""{INSTANT_FAULT}{MOMENTS}
@pytest.mark.chaos(INSTANT)
{marks}
def test_it():
    moment("start")
    time.sleep(0.5)
    moment("end")
""",
        junit=True,
    )
    end = run.test()
    assert end.word == "passed", run.stdout
    outcomes = {outcome["name"]: outcome for outcome in end.chaos}
    assert {name: outcome["verdict"] for name, outcome in outcomes.items()} == {
        "first": "held",
        "second": "held",
        "Planned Disruption": "held",
    }
    assert all(outcome["overlap"] >= 0.98 for outcome in end.chaos)
    at = moments(run.path)
    during = [hit.path for hit in shop.hits if at["start"] <= hit.at <= at["end"]]
    assert during.count("/first") >= 0.3 * 30
    assert during.count("/second") >= 0.3 * 60
    case = run.junit["test_it"]
    assert [one["name"] for one in case.chaos] == [outcome["name"] for outcome in end.chaos]
    assert {case.properties[f"chaos.{n}.name"] for n in (1, 2, 3)} == set(outcomes)
    assert "chaos.4.name" not in case.properties


def test_of_several_disruptions_the_worst_decides(inner: InnerPytest, shop: Shop) -> None:
    good = load_spec(shop.url, min_delivered=0.3, name="good", qps=100)
    lazy = load_spec(shop.url, min_delivered=0.3, name="lazy", qps=1)
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({good!r}, {lazy!r})
def test_it():
    time.sleep(0.2)
"""
    )
    end = run.test()
    assert (end.word, end.verdicts) == ("failed", ["held", "inconclusive"]), run.stdout
    assert "'lazy'" in end.longrepr
    assert "'good'" not in end.longrepr


def test_one_that_fails_in_setup_stops_the_others(inner: InnerPytest, shop: Shop) -> None:
    good = load_spec(shop.url, min_delivered=0.3, name="good", qps=100)
    bad = load_spec("http://127.0.0.1:1/", name="bad", qps=100)
    run = inner(
        f"""
import pytest
@pytest.mark.chaos({good!r}, {bad!r})
def test_it():
    raise AssertionError("the body must not run")
"""
    )
    end = run.test()
    assert (end.word, end.verdicts) == ("error", ["not_judged", "inconclusive"]), run.stdout
    assert "'bad'" in end.longrepr
    assert "the body must not run" not in end.longrepr
    assert_none_left(f":{shop.port}", within_s=0)


@pytest.mark.parametrize("wait", ["active", "done", "none"])
def test_disabled_chaos_leaves_the_test_in_peace(inner: InnerPytest, shop: Shop, wait: str) -> None:
    run = inner(
        f"""
import pytest
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, duration="1s")!r}, wait={wait!r})
def test_it():
    pass
""",
        "--chaos-disable",
        f"--chaos-fortio={shop.url}",  # no such file: nobody looks for it
        junit=True,
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (0, "passed", ["disabled"]), run.stdout
    assert shop.count == 0
    assert "chaos is disabled (--chaos-disable)" in run.stdout
    assert run.junit["test_it"].properties["chaos.verdict"] == "disabled"


def test_disabled_chaos_asks_for_no_variable_and_fails_as_the_body_does(inner: InnerPytest) -> None:
    run = inner(
        f"""
import pytest
@pytest.mark.chaos({load_spec("{{SHOP_URL}}")!r})
def test_it():
    assert False, "plainly broken"
""",
        "--chaos-disable",
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["disabled"]), run.stdout
    assert "plainly broken" in end.longrepr


def test_a_variable_from_a_fixture_fills_the_target(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.fixture
def chaos_variables():
    return {{"SHOP_URL": {shop.url!r}}}

@pytest.mark.chaos({load_spec("{{SHOP_URL}}/checkout", qps=100)!r})
def test_it():
    time.sleep(0.2)
"""
    )
    assert run.test().verdicts == ["held"], run.stdout
    assert shop.hits[-1].path == "/checkout"


def test_a_body_that_fails_under_load_is_told_under_which(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, name="lunch rush", qps=100)!r})
def test_it():
    time.sleep(0.2)
    assert 1 == 2, "too slow"
"""
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["broke"]), run.stdout
    assert "too slow" in end.longrepr
    assert "'lunch rush' (generate_load) is broke" in end.longrepr
    assert "100 -> " in end.longrepr


def test_a_body_that_skips_stays_skipped(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100)!r})
def test_it():
    time.sleep(0.1)
    pytest.skip("not today")
"""
    )
    end = run.test()
    assert (run.exit_code, end.word, end.verdicts) == (0, "skipped", ["not_judged"]), run.stdout
    assert_none_left(f":{shop.port}", within_s=0)


@pytest.mark.parametrize(
    ("broken", "word"),
    [("raise ValueError('no database')", "error"), ("pytest.skip('no database')", "skipped")],
    ids=["raises", "skips"],
)
def test_a_fixture_that_does_not_come_up_starts_no_chaos(
    inner: InnerPytest, shop: Shop, broken: str, word: str
) -> None:
    run = inner(
        f"""
import pytest
@pytest.fixture
def database():
    {broken}

@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100)!r})
def test_it(database):
    pass
"""
    )
    assert run.test().word == word
    assert "no database" in run.stdout or word == "skipped"
    assert shop.count == 0


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "SystemExit"])
def test_a_body_that_is_torn_away_leaves_no_load_behind(inner: InnerPytest, shop: Shop, how: str) -> None:
    run = inner(
        f"""
import pytest, time
@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100)!r})
def test_it():
    time.sleep(0.1)
    raise {how}("enough")

def test_afterwards():
    pass
""",
        subprocess=True,
    )
    assert run.exit_code != 0
    assert_none_left(f":{shop.port}", within_s=0)
    count = shop.count
    assert count > 0
    shop.wait_quiet()
    assert shop.count == count


CHECKS = {
    "returns nothing": ("lambda: None", "held", "passed"),
    "returns True": ("lambda: True", "held", "passed"),
    "takes the disruption": ("lambda disruption: disruption.spec.name == 'load'", "held", "passed"),
    "returns False": ("lambda: False", "broke", "failed"),
    "raises": ("lambda: 1 / 0", "broke", "failed"),
    "fails by pytest": ("lambda: pytest.fail('orders are missing')", "broke", "failed"),
    "returns something": ("lambda: 'ok'", "error", "failed"),
    "returns 1": ("lambda: 1", "error", "failed"),
    "skips": ("lambda: pytest.skip('no')", "broke|error", "failed"),
}


@pytest.mark.parametrize(
    ("check", "verdict", "word"), CHECKS.values(), ids=[name.replace(" ", "-") for name in CHECKS]
)
def test_the_named_check_decides(inner: InnerPytest, check: str, verdict: str, word: str) -> None:
    run = inner(
        f"""{INSTANT_FAULT}
@pytest.fixture
def chaos_verifiers():
    return {{"orders add up": {check}}}

@pytest.mark.chaos({{**INSTANT, "name": "load", "verify": "orders add up", "verify_phases": ["after"]}})
def test_it():
    pass
"""
    )
    end = run.test()
    assert end.word == word, run.stdout
    assert the_one(end)["verdict"] in verdict.split("|")
    assert the_one(end)["verify"]["name"] == "orders add up"
    if word == "failed":
        assert "orders add up" in end.longrepr


@pytest.mark.parametrize(
    ("verifiers", "words"),
    [
        ("{'orders ad up': lambda: None}", "no check is called 'orders add up'.*did you mean 'orders ad up'"),
        ("{}", "no check is called 'orders add up'"),
        ("{'orders add up': 7}", "not a function"),
        ("{'orders add up': coroutine}", "coroutine function"),
        ("{'orders add up': lambda a, b: None}", "must take nothing"),
    ],
    ids=["unknown", "none", "no function", "coroutine", "two arguments"],
)
def test_a_check_that_cannot_be_used_is_an_error_before_anything_fires(
    inner: InnerPytest, shop: Shop, verifiers: str, words: str
) -> None:
    run = inner(
        f"""
import pytest
async def coroutine():
    pass

@pytest.fixture
def chaos_verifiers():
    return {verifiers}

@pytest.mark.chaos({load_spec(shop.url, min_delivered=0.3, qps=100, verify="orders add up")!r})
def test_it():
    pass
"""
    )
    end = run.test()
    assert end.word == "error", run.stdout
    assert re.search(words, end.longrepr), end.longrepr
    assert shop.count == 0


@pytest.mark.parametrize(
    ("body", "verdict", "asked"),
    [("raise ValueError", "broke", True), ("pytest.skip('not today')", "not_judged", False)],
)
def test_a_check_is_asked_afterwards_unless_it_tells_nothing(
    inner: InnerPytest, body: str, verdict: str, asked: bool
) -> None:
    run = inner(
        f"""{INSTANT_FAULT}
import pathlib
def check():
    pathlib.Path("asked").touch()

@pytest.fixture
def chaos_verifiers():
    return {{"orders add up": check}}

@pytest.mark.chaos({{**INSTANT, "verify": "orders add up", "verify_phases": ["after"]}})
def test_it():
    {body}
"""
    )
    assert run.test().verdicts == [verdict], run.stdout
    assert (run.path / "asked").exists() is asked
