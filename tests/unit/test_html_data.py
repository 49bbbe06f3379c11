"""What the HTML report shows of outcomes: lines that are thinned honestly, phases to scale, lanes, ids, figures."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.html.charts import charts, thin
from pytest_chaos.html.links import linked
from pytest_chaos.html.phases import phases
from pytest_chaos.html.scale import Lane, Scale
from pytest_chaos.html.suite import suite
from pytest_chaos.html.told import agent, command, figures, milliseconds, moments, more, number
from pytest_chaos.outcome import ChaosOutcome, Verdict
from tests.support.outcomes import HOSTILE, hostile, loaded, series

# ---------------------------------------------------------------------- lines

VALUES = st.lists(st.none() | st.floats(0, 1e6), max_size=400)


@given(values=VALUES, limit=st.integers(5, 100))
def test_a_thinned_line_keeps_what_matters(values: list[float | None], limit: int) -> None:
    kept = thin(values, limit)
    assert len(kept) <= limit or len(values) <= limit
    assert kept == sorted(set(kept))
    if not values:
        return
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    known = [value for value in values if value is not None]
    drawn = [value for at in kept if (value := values[at]) is not None]
    if known:
        assert (min(drawn), max(drawn)) == (min(known), max(known))
    assert (None in values) == (None in [values[at] for at in kept])


def test_a_short_line_is_not_thinned() -> None:
    assert thin([1.0, None, 3.0], 5) == [0, 1, 2]


@pytest.mark.parametrize("limit", [40, 41, 200])
def test_each_peak_and_each_dip_is_kept_in_its_place(limit: int) -> None:
    generator = random.Random(7)
    values: list[float | None] = [generator.random() for _ in range(600)]
    peaks = {50: 9.0, 333: 8.0, 599: 7.0, 120: -1.0, 460: -2.0}
    for at, value in peaks.items():
        values[at] = value
    assert peaks.keys() <= set(thin(values, limit))


def drawn(outcome: ChaosOutcome, limit: int = 600) -> dict[str, object]:
    found = charts(outcome, limit)
    assert found is not None
    return found.data


def test_the_numbers_of_the_charts_are_those_of_the_outcome() -> None:
    outcome = loaded(stretches=12)
    told = outcome.series
    assert told is not None
    data = drawn(outcome)
    assert (data["start"], data["width"], data["window"]) == (0.4, 0.1, (0.5, 2.5))
    assert data["rate"] == [
        {"name": code, "value": [pytest.approx(10 * count) for count in counts]}
        for code, counts in told.codes.items()
    ]
    assert data["latency"] == [
        {"name": name, "value": [None if one is None else pytest.approx(1000 * one) for one in values]}
        for name, values in (("p50", told.p50_s), ("p99", told.p99_s), ("max", told.max_s))
    ]
    assert data["histogram"] == {
        "edges": [1, 1.25, 1.6, 2, 2.5, 3.15, 4],
        "counts": [400, 300, 120, 50, 20, 7],
    }


def test_a_long_series_says_that_it_was_thinned() -> None:
    short, long = charts(loaded(stretches=60), 60), charts(loaded(stretches=61), 60)
    assert short is not None
    assert long is not None
    assert "at most 60 are drawn" in long.note
    assert "drawn" not in short.note
    assert all("at" not in line for line in short.data["rate"])
    top = long.data["latency"][2]
    assert top["at"][top["value"].index(4000)] == 30


def test_each_chart_is_told_in_words() -> None:
    found = charts(loaded(), 600)
    assert found is not None
    assert [chart.words for chart in found.charts] == [
        "Requests a second, by status. 200: 0 to 340; 503: 0 to 40. The body ran from 0.500 s to 2.500 s.",
        (
            "Latency over time. p50: 1 to 1.6 ms; p99: 3 to 4.8 ms; max: 5 to 4000 ms. "
            "The body ran from 0.500 s to 2.500 s."
        ),
        "Latency of all requests, 6 classes from 1 ms to 4 ms. Most, 400 of 897, took 1 to 1.25 ms.",
    ]


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        {},
        {"edges_s": [], "counts": []},
        {"edges_s": [1, 2], "counts": [1, 1]},
        {"edges_s": [1, 2], "counts": ["1"]},
        {"edges_s": [1, True], "counts": [1]},
    ],
)
def test_what_is_no_histogram_is_not_drawn(told: object) -> None:
    outcome = loaded(series=None)
    outcome.result.details["histogram"] = told  # type: ignore[assignment]
    assert charts(outcome, 600) is None


def test_a_series_without_any_answer() -> None:
    silent = series(3).model_copy(update={"codes": {"-1": [3, 3, 3]}, "p50_s": [None] * 3})
    found = charts(loaded(series=silent), 600)
    assert found is not None
    assert "no response: 30 to 30" in found.charts[0].words
    assert "p50: nothing" in found.charts[1].words


# ---------------------------------------------------------------------- timelines


def lanes_of(outcome: ChaosOutcome) -> dict[str, Lane]:
    return {lane.label: lane for lane in phases(outcome)[1]}


def test_phases_are_to_scale() -> None:
    outcome = loaded(
        timeline={"body_started": 1, "body_ended": 3, "planned": 0, "fired": 0.5, "active": 1, "finished": 4}
    )
    lanes = lanes_of(outcome)
    assert [(bar.kind, bar.left, bar.width) for bar in lanes["fault"].bars] == [
        ("waiting", 0, 12.5),
        ("starting", 12.5, 12.5),
        ("active", 25, 75),
    ]
    assert [(bar.left, bar.width) for bar in lanes["body"].bars] == [(25, 50)]
    assert lanes["body"].words == "body: body 1.000 s to 3.000 s"
    assert outcome.body_span == (1, 3)


def test_the_check_and_the_failure_of_a_body_have_their_place() -> None:
    outcome = loaded(
        timeline={
            "body_started": 1,
            "body_failed": 2,
            "planned": 0,
            "fired": 0,
            "active": 0,
            "last_effect": 2,
            "verified": 4,
        },
        verify={
            "name": "sums",
            "phases": {"during": False},
            "samples": 3,
            "tries": 1,
            "failed": 1,
            "failures": [{"at_s": 3.0, "phase": "after", "message": "no"}],
        },
    )
    lanes = lanes_of(outcome)
    assert [(bar.kind, bar.left, bar.width) for bar in lanes["check"].bars] == [
        ("asked", 0, 50),
        ("asked", 50, 50),
        ("failure", 75, 0.15),
    ]
    assert [bar.kind for bar in lanes["body"].bars] == ["body", "failure"]
    assert "failed at 3.000 s (after)" in lanes["check"].words


def test_what_never_began_has_no_timeline() -> None:
    nothing = loaded(timeline={}, verify=None)
    assert phases(nothing)[1] == []
    assert nothing.body_span is None
    assert suite(linked({"t": [nothing]}))[1] == []


@pytest.mark.parametrize("end", [0, 1e-9, 0.03, 0.99, 1, 2.7, 8, 59, 3600, 1e9])
def test_ticks_are_few_and_inside(end: float) -> None:
    ticks = list(Scale(end).ticks())
    assert 2 <= len(ticks) <= 9
    assert next(words for _, words in ticks) == "0 s"
    assert all(0 <= left <= 100 for left, _ in ticks)


def test_the_suite_has_a_lane_for_each_worker() -> None:
    def at(began: float, worker: str) -> ChaosOutcome:
        return loaded(started_at=1000 + began, worker=worker, timeline={"finished": 4.0})

    tests = {
        "a": [at(0, "gw1"), at(0, "gw1")],
        "b": [at(4, "gw1")],
        "c": [at(6, "gw0")],
        "d": [loaded(started_at=None)],
    }
    scale, lanes = suite(linked(tests))
    assert scale.end == 10
    assert [(lane.label, lane.rows) for lane in lanes] == [("gw0", 1), ("gw1", 2)]
    assert [(bar.link, bar.left, bar.width, bar.row) for bar in lanes[1].bars] == [
        ("a", 0, 40, 0),
        ("a-2", 0, 40, 1),
        ("b", 40, 40, 0),
    ]
    assert [bar.left for bar in lanes[0].bars] == [60]


# ---------------------------------------------------------------------- ids and figures


def test_ids_are_the_tests_own_where_they_can_be() -> None:
    one = loaded()
    tests = {
        "a/test_b.py::TestC::test_d[é-1]": [one, one],
        "overview": [one],
        "x y\tz": [one],
        "x-y-z": [one],
        "<>": [one],
        "": [one],
        "l" * 500: [one],
        "l" * 501: [one],
    }
    found = linked(tests)
    assert [item.id for item in found] == [
        "a/test_b.py::TestC::test_d[é-1]",
        "a/test_b.py::TestC::test_d[é-1]-2",
        "overview-2",
        "x-y-z",
        "x-y-z-2",
        "-",
        "test",
        "l" * 200,
        "l" * 200 + "-2",
    ]
    assert [item.test for item in found] == [test for test, outcomes in tests.items() for _ in outcomes]


def test_the_figures_of_a_load() -> None:
    told = dict(figures(loaded()))
    assert told["asked, a second"] == "300.0"
    assert told["delivered, a second"] == "298.7"
    assert told["delivered within the body, a second"] == "299.0"
    assert told["requests"] == "897, 598 within the body"
    assert told["responses"] == "885 x 200, 12 x 503"
    assert told["latency"] == "p50 1.20 ms, p90 2.00 ms, p99 3.60 ms, max 4,000.00 ms"
    assert told["active while the body ran"] == "100.0%, 2.000 s of 2.000 s"
    assert told["setup began"] == "2026-11-18 11:06:40 UTC"


def test_every_moment_is_told_in_its_order() -> None:
    assert (
        moments(loaded(timeline={"b_two": 2, "a": 0.5, "c": 1}))
        == "a at 0.500 s, c at 1.000 s, b two at 2.000 s"
    )


def test_a_fault_without_figures_tells_what_it_has() -> None:
    outcome = loaded(
        series=None,
        result={"success": True, "injected_fault": "full_disk", "details": {"megabytes": 3, "agent": 7}},
    )
    assert "asked, a second" not in dict(figures(outcome))
    assert more(outcome) == "megabytes: 3"
    assert (command(outcome), agent(outcome), charts(outcome, 600)) == ("", None, None)


@pytest.mark.parametrize("value", [None, True, "1", [], {}])
def test_what_is_no_number_is_a_dash(value: object) -> None:
    assert number(value) == "-"
    assert milliseconds(value) == "-"


def test_the_calls_of_an_agent() -> None:
    told = agent(loaded())
    assert told is not None
    assert told.facts == [("client", "planned"), ("stop", "done"), ("turns", "2")]
    (call,) = told.calls
    assert (call.tool, call.args) == ("generate_load", "qps: 300\nduration_s: null")
    assert "delivered_qps: 298.7" in call.fate


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_carried_and_breaks_nothing(text: str) -> None:
    outcome = hostile(text)
    assert agent(outcome) is not None
    assert command(outcome)
    assert charts(outcome, 600) is not None
    assert outcome.verdict is Verdict.broke
