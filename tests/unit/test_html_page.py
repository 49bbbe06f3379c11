"""The HTML report as a text: whole, closed to the network, and with all text of others escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos import html
from pytest_chaos.html.library import library
from pytest_chaos.html.report import render, write_report
from pytest_chaos.outcome import ChaosOutcome, Verdict
from tests.support.outcomes import HOSTILE, hostile, loaded, thousand

VOID = {"meta", "input", "rect", "br"}
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Page(HTMLParser):
    """A page, parsed: its elements with their attributes, and what stands in scripts and elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._raw = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._raw = tag
            if tag == "script":
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw:
            self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts[-1] += data
        elif not self._raw:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page(tests: dict[str, list[ChaosOutcome]]) -> Page:
    return Page(render(tests, now=NOW))


def test_it_says_what_came_of_everything() -> None:
    found = page(
        {"t::a": [loaded("t::a")], "t::b": [loaded("t::b", "second", Verdict.broke), loaded("t::b", "third")]}
    )
    words = " ".join(found.text.split())
    assert "3 disruptions in 2 tests" in words
    assert "2 held 1 broke When they ran" in words
    for said in (
        "lunch rush",
        "second",
        "third",
        "orders add up",
        "{{SHOP}}/checkout",
        "fortio load -json",
        "298.7",
    ):
        assert said in words
    assert [one["id"] for one in found.all("section")] == ["overview", "t::a", "t::b", "t::b-2"]
    assert {one["href"] for one in found.all("a")} >= {"#t::a", "#t::b", "#t::b-2"}


def test_a_run_without_chaos_has_a_page_that_says_so() -> None:
    found = page({})
    assert "No test ran under chaos." in found.text
    assert found.all("table") == []


def test_nothing_is_loaded_from_anywhere() -> None:
    found = page({"t": [loaded()]})
    links = {
        value
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in {"src", "href"}
    }
    assert {link for link in links if not str(link).startswith("#")} == {"https://plotly.com/javascript/"}
    assert not found.all("link")
    (policy,) = [one["content"] for one in found.all("meta") if "http-equiv" in one]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    script = found.scripts[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ")[1:] == [
        f"script-src 'sha256-{digest}' {library().hash}",
        "style-src 'unsafe-inline'",
        "img-src data:",  # plotly.js 3 looks with one whether the browser knows a format
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_every_chart_has_a_label_and_its_numbers() -> None:
    found = page({"t": [loaded()]})
    drawn = [one for one in found.all("div") if "data-chart" in one]
    assert [one["data-chart"] for one in drawn] == ["rate", "latency", "histogram"]
    assert all(one["role"] == "img" and one["aria-label"] for one in drawn)
    assert all(
        one["role"] in {"img", "group"} or one["aria-hidden"] == "true"
        for one in map(_with_role, found.all("svg"))
    )
    data: dict[str, Any] = json.loads(found.scripts[0])
    assert data["rate"][0]["name"] == "200"


def _with_role(attributes: dict[str, str | None]) -> dict[str, str | None]:
    return {"role": None, "aria-hidden": None, **attributes}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_text_everywhere(text: str) -> None:
    outcome = hostile(text)
    plain, found = page({"t": [loaded("t", verdict=Verdict.broke)]}), page({text: [outcome]})
    names = {name for tag, attributes in found.elements for name in (tag, *attributes)}
    assert names <= {name for tag, attributes in plain.elements for name in (tag, *attributes)} | {"ol", "li"}
    assert len(found.scripts) == len(plain.scripts)
    assert found.scripts[1:] == plain.scripts[1:]
    assert json.loads(found.scripts[0])["rate"][0]["name"] == next(iter(outcome.series.codes))  # type: ignore[union-attr]
    told = " ".join(found.text.split())
    for kept in (outcome.name, outcome.reason, outcome.result.injected_fault, outcome.worker, outcome.test):
        assert told.count(" ".join(kept.split())) >= 8


@pytest.mark.parametrize("character", ["<", ">", "&", "\u2028", "\u2029"])
def test_numbers_hold_no_character_that_means_something_else(character: str) -> None:
    found = page({"t": [hostile(f"a{character}b")]})
    assert character not in found.scripts[0]


def test_a_thousand_disruptions_stay_small(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "chaos.html", thousand())
    text = (tmp_path / "new" / "chaos.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 10_000_000
    assert text.count('<section class="disruption"') == 1000
    data = [
        json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', text)
    ]
    assert len(data) == 1000
    assert all(4000 in line["value"] for one in data for line in one["latency"] if line["name"] == "max")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert html.missing() is None
    monkeypatch.setattr(html, "find_spec", lambda name: None if name == "plotly" else object())
    assert html.missing() == 'an HTML report needs plotly: pip install "pytest-chaos[report]"'


def test_asking_what_is_missing_imports_nothing() -> None:
    code = (
        "import sys; from pytest_chaos.html import missing; missing()\n"
        "print([name for name in ('jinja2', 'plotly', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
