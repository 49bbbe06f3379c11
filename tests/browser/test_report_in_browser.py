"""What a person gets who opens the HTML report from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.outcome import ChaosOutcome, Verdict
from tests.browser.conftest import Open, Opened
from tests.support.outcomes import HOSTILE, hostile, loaded, thousand

RUSH, QUIET, OFF = "test_shop.py::test_rush", "test_shop.py::test_quiet[a b]", "test_shop.py::test_off"


def slow(p99_s: float) -> dict[str, Any]:
    plain = loaded().result.model_dump()
    return {**plain, "details": {**plain["details"], "p99_s": p99_s}}


def three() -> dict[str, list[ChaosOutcome]]:
    """Return three tests, one of them with two disruptions, one that was never disrupted."""
    failed = {
        "planned": 0.2,
        "fired": 0.3,
        "active": 0.4,
        "body_started": 0.75,
        "body_failed": 1.5,
        "last_effect": 1.6,
    }
    disabled: dict[str, Any] = {
        "series": None,
        "timeline": {},
        "started_at": None,
        "verify": None,
        "result": {"success": False, "injected_fault": "generate_load", "error": "chaos is disabled"},
    }
    return {
        RUSH: [
            loaded(RUSH),
            loaded(RUSH, "second", Verdict.broke, timeline=failed, result=slow(1.25), worker="gw1"),
        ],
        QUIET: [loaded(QUIET, "quiet", result=slow(0.02))],
        OFF: [loaded(OFF, "off", Verdict.disabled, **disabled)],
    }


def rows(report: Opened) -> list[str]:
    """Return the names of the disruptions in the table, as they stand there."""
    found: list[str] = report.run(
        "[...document.querySelectorAll('table.disruptions tbody tr')].filter(row => row.checkVisibility())"
        ".map(row => row.cells[2].textContent)"
    )
    return found


# ---------------------------------------------------------------------- the overview


def test_the_overview(open_report: Open) -> None:
    report = open_report(three())
    assert report.page.title() == "Chaos report"
    assert rows(report) == ["lunch rush", "second", "quiet", "off"]
    assert report.page.locator(".counts").inner_text().split() == ["2", "held", "1", "disabled", "1", "broke"]
    assert report.page.locator("#overview .lane a").count() == 3
    assert report.page.locator(".disruption:visible").count() == 0


def test_filter(open_report: Open) -> None:
    report = open_report(three())
    search, shown = report.page.get_by_label("Search"), report.page.locator("output")
    search.fill("TEST_rush gw1")
    assert rows(report) == ["second"]
    assert shown.inner_text() == "1 of 4 shown"
    search.fill("nowhere")
    assert rows(report) == []
    search.fill("")
    report.page.get_by_label("held", exact=True).uncheck()
    assert rows(report) == ["second", "off"]
    report.page.get_by_label("held", exact=True).check()
    assert shown.inner_text() == "4 of 4 shown"


def test_sort_with_the_keyboard(open_report: Open) -> None:
    report = open_report(three())
    head = report.page.locator("th", has_text="p99")
    head.get_by_role("button").focus()
    report.page.keyboard.press("Enter")
    assert rows(report) == ["lunch rush", "quiet", "second", "off"]
    assert head.get_attribute("aria-sort") == "ascending"
    report.page.keyboard.press("Space")
    assert rows(report) == ["second", "quiet", "lunch rush", "off"]  # what has no figure stays last
    assert head.get_attribute("aria-sort") == "descending"
    report.page.get_by_role("button", name="Verdict").click()
    assert rows(report)[2:] == ["off", "second"]
    assert report.page.locator("th[aria-sort]").count() == 1


def test_sort_by_text(open_report: Open) -> None:
    report = open_report({f"t{number}": [loaded(name=f"rush {number}")] for number in (10, 9, 1)})
    report.page.get_by_role("button", name="Disruption").click()
    assert rows(report) == ["rush 1", "rush 9", "rush 10"]


# ---------------------------------------------------------------------- one disruption


def test_a_link_opens_a_disruption_and_the_way_back(open_report: Open) -> None:
    report = open_report(three())
    report.page.locator("tr", has_text="quiet").get_by_role("link").focus()
    report.page.keyboard.press("Enter")
    assert report.run("decodeURIComponent(location.hash)") == "#test_shop.py::test_quiet[a-b]"
    opened = report.page.locator(".disruption:visible")
    assert opened.get_by_role("heading", level=2).inner_text() == "held quiet"
    assert report.run("document.activeElement.localName") == "h2"
    assert not report.page.locator("#overview").is_visible()
    report.drawn()
    opened.get_by_role("link", name="Overview").click()
    assert report.page.locator("#overview").is_visible()
    assert report.page.locator(".disruption:visible").count() == 0


def test_a_link_from_elsewhere_opens_it_at_once(open_report: Open) -> None:
    report = open_report(three(), at=f"{RUSH}-2")
    words = report.page.locator(".disruption:visible").inner_text()
    for said in (
        "second",
        RUSH,
        "the body passed while it was disrupted",
        "298.7",
        "{{SHOP}}/checkout",
        "fortio load",
    ):
        assert said in words
    report.drawn()


def test_a_disruption_without_figures(open_report: Open) -> None:
    report = open_report(three(), at=OFF)
    assert "chaos is disabled" in report.page.locator(".disruption:visible").inner_text()
    assert report.page.locator(":target [data-chart], :target svg").count() == 0


def lines(report: Opened, kind: str) -> list[dict[str, Any]]:
    """Return what the chart shows: names, numbers, and how many points of each line there are to be seen."""
    found: list[dict[str, Any]] = report.run(
        """kind => {
            const chart = document.querySelector(`:target [data-chart=${kind}]`);
            const traces = [...chart.querySelectorAll(".scatterlayer .trace, .barlayer .trace")];
            return chart.data.map(({ name, x, y }, at) => ({
                name, x: [...x], y: [...y], points: traces[at].querySelectorAll(".point").length
            }));
        }""",
        kind,
    )
    return found


def test_the_charts_show_what_was_measured(open_report: Open) -> None:
    outcome = loaded(RUSH, stretches=47)
    report = open_report({RUSH: [outcome]}, at=RUSH)
    report.drawn()
    told = outcome.series
    assert told is not None
    middles = [pytest.approx(told.start_s + (at + 0.5) * told.width_s) for at in range(47)]
    rate, latency, histogram = (lines(report, kind) for kind in ("rate", "latency", "histogram"))
    for line, (code, counts) in zip(rate, told.codes.items(), strict=True):
        assert line["name"] == code
        assert line["x"] == middles
        assert line["y"] == [pytest.approx(10 * count) for count in counts]
        assert line["points"] == 47
    for line, values in zip(latency, (told.p50_s, told.p99_s, told.max_s), strict=True):
        assert line["x"] == middles
        assert line["y"] == [None if one is None else pytest.approx(1000 * one) for one in values]
        assert line["points"] == 46  # one stretch had no requests
    assert [line["y"] for line in histogram] == [[400, 300, 120, 50, 20, 7]]
    assert histogram[0]["points"] == 6


def test_a_long_series_is_drawn_with_its_peak_and_its_gap(open_report: Open) -> None:
    tests = {f"t{number}": [loaded(f"t{number}", stretches=600)] for number in range(100)}
    report = open_report(tests, at="t7")
    report.drawn()
    top = lines(report, "latency")[2]
    assert len(top["x"]) <= 400
    assert top["x"][top["y"].index(4000)] == pytest.approx(0.4 + 300.5 * 0.1)
    assert top["x"][top["y"].index(None)] == pytest.approx(0.4 + 200.5 * 0.1)


@pytest.mark.parametrize("kind", ["rate", "latency"])
@pytest.mark.parametrize(("at", "window"), [(RUSH, (0.5, 2.5)), (f"{RUSH}-2", (0.75, 1.5))])
def test_the_body_is_shaded_where_it_was(
    open_report: Open, kind: str, at: str, window: tuple[float, float]
) -> None:
    report = open_report(three(), at=at)
    report.drawn()
    shaded, axis = report.run(
        """kind => {
            const chart = document.querySelector(`:target [data-chart=${kind}]`);
            const box = chart.querySelector(".shapelayer path").getBoundingClientRect();
            const marks = [...chart.querySelectorAll(".xtick")].map(tick => {
                const { left, width } = tick.getBoundingClientRect();
                return [Number(tick.textContent), left + width / 2];
            });
            return [[box.left, box.right], [marks[0], marks.at(-1)]];
        }""",
        kind,
    )
    (first, left), (last, right) = axis
    scale = (right - left) / (last - first)
    assert shaded == [pytest.approx(left + (moment - first) * scale, abs=2) for moment in window]


def test_the_timeline_is_to_scale(open_report: Open) -> None:
    report = open_report(three(), at=RUSH)
    lane = report.page.locator(":target .lane").nth(1)
    assert lane.get_attribute("role") == "img"
    assert lane.locator("title").text_content() == "body: body 0.500 s to 2.500 s"
    whole, body = lane.bounding_box(), lane.locator("rect").bounding_box()
    assert whole is not None
    assert body is not None
    assert (body["x"] - whole["x"]) / whole["width"] == pytest.approx(0.5 / 2.7, abs=0.005)
    assert body["width"] / whole["width"] == pytest.approx(2 / 2.7, abs=0.005)


def test_the_numbers_of_a_chart_as_a_table(open_report: Open) -> None:
    report = open_report({RUSH: [loaded(RUSH, stretches=5)]}, at=RUSH)
    report.drawn()
    report.page.get_by_text("As a table").first.click()
    table = report.page.get_by_role("region", name="The figures of the chart")
    table.wait_for()
    assert table.locator("tbody tr").count() == 10
    assert table.locator("tbody tr").first.inner_text().split() == ["200", "0.450", "s", "300"]


# ---------------------------------------------------------------------- how it looks


def background(report: Opened) -> str:
    found: str = report.run("getComputedStyle(document.body).backgroundColor")
    return found


def test_light_and_dark(open_report: Open, tmp_path: Path) -> None:
    pictures = []
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 20, 25)")):
        report = open_report(three(), at=RUSH, color_scheme=scheme)
        report.drawn()
        assert background(report) == colour
        pictures.append(report.page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True))
    assert pictures[0] != pictures[1]


def test_the_theme_can_be_chosen(open_report: Open) -> None:
    report = open_report(three(), color_scheme="dark")
    report.page.get_by_label("Theme").select_option("light")
    assert background(report) == "rgb(255, 255, 255)"
    report.page.get_by_label("Theme").select_option("as the system")
    assert background(report) == "rgb(15, 20, 25)"


def test_print_is_light_and_fits(open_report: Open) -> None:
    report = open_report(three(), at=RUSH, color_scheme="dark")
    report.drawn()
    report.page.emulate_media(media="print")
    report.page.set_viewport_size({"width": 718, "height": 1000})  # A4 with usual margins
    assert background(report) == "rgb(255, 255, 255)"
    assert not report.page.get_by_label("Theme").is_visible()
    assert report.run("document.documentElement.scrollWidth <= 718")
    assert (
        report.run("getComputedStyle(document.querySelector(':target .xtick text')).fill")
        == "rgb(27, 31, 36)"
    )


def test_without_scripts_all_but_the_charts_is_there(open_report: Open) -> None:
    report = open_report(three(), at=RUSH, java_script_enabled=False)
    opened = report.page.locator(".disruption:visible")
    assert "fortio load" in opened.inner_text()
    opened.get_by_role("link", name="Overview").click()
    assert report.page.locator("table.disruptions tbody tr:visible").count() == 4
    assert not report.page.get_by_label("Search").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("at", ["", f"{RUSH}-2"], ids=["overview", "disruption"])
def test_nobody_is_kept_out(open_report: Open, axe: str, scheme: str, at: str) -> None:
    report = open_report(three(), at=at, color_scheme=scheme)
    if at:
        report.drawn()
        report.page.get_by_text("As a table").first.click()
        report.page.get_by_role("region", name="The figures of the chart").wait_for()
    report.run(axe)
    found = report.run("axe.run(document)")
    assert found["passes"]
    bad = [one for one in found["violations"] if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in bad] == []


# ---------------------------------------------------------------------- what others have written


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_text(open_report: Open, text: str) -> None:
    outcome = hostile(text)
    report = open_report({text: [outcome]})
    cells = report.run("[...document.querySelectorAll('tbody td')].slice(1, 5).map(cell => cell.textContent)")
    assert cells == [text, outcome.name, outcome.result.injected_fault, outcome.worker]
    report.page.get_by_role("link").nth(1).click()
    report.drawn()
    opened = report.page.locator(".disruption:visible")
    assert " ".join(outcome.reason.split()) in " ".join(opened.text_content().split())
    assert opened.get_by_role("heading", level=2).text_content() == f"broke {outcome.name}"
    assert outcome.series is not None
    if len(text) < 100:  # plotly wraps what is longer
        assert report.page.locator(":target .legendtext").first.text_content() == next(
            iter(outcome.series.codes)
        )
    assert report.run("window.pwned") is None
    assert report.page.locator("main :is(img, b b, [onload], [onerror])").count() == 0
    links = report.run(
        "[...document.querySelectorAll('main a')].map(link => link.href.baseVal ?? link.getAttribute('href'))"
    )
    assert all(link.startswith("#") for link in links)


def test_a_thousand_disruptions_open(open_report: Open) -> None:
    tests = thousand()
    report = open_report(tests)
    assert len(rows(report)) == 1000
    report.page.get_by_label("Search").fill("case-777")
    report.page.locator("tr:visible").get_by_role("link").click()
    report.drawn()
    assert [len(line["x"]) <= 40 for line in lines(report, "latency")] == [True] * 3
