"""A browser for each module, a page for each test. Without playwright or Chromium the tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.html.report import write_report
from pytest_chaos.outcome import ChaosOutcome
from tests.browser.axe import NotToBeHad, axe_source

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Opened:
    """A report in a browser, with everything that the browser complained of or asked for."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._requested)
        page.goto(url)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith("data:"):  # what holds its content itself needs no network
            self.requests.append(request.url)

    def run(self, script: str, argument: object = None) -> Any:
        """Return what ``script`` comes to in the page."""
        return self.page.evaluate(script, argument)

    def drawn(self) -> None:
        """Wait until the charts of the opened disruption are there."""
        self.page.locator(":target[data-drawn=done]").wait_for()

    def close(self) -> None:
        """Close it; whatever was done, it must not have complained, nor have loaded anything but itself."""
        self.page.context.close()
        assert self.complaints == []
        assert {one.partition("#")[0] for one in self.requests} == {self.url.partition("#")[0]}


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Generator[Any, None, None]:
    """Yield the browser of this system."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (group browser)"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this system")
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.getuid() == 0 else []  # for root there is no sandbox
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Any, tmp_path: Path) -> Generator[Open, None, None]:
    """Return what writes a report and opens it; ``at`` is an id in it, other keywords are those of a browser's context."""
    opened: list[Opened] = []

    def open_it(tests: Mapping[str, Sequence[ChaosOutcome]], at: str = "", **more: Any) -> Opened:
        file = tmp_path / "chaos.html"
        write_report(file, tests)
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **more}).new_page()
        opened.append(Opened(page, file.as_uri() + (f"#{at}" if at else "")))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """Return the source of axe-core."""
    try:
        return axe_source(request.config.cache.mkdir("axe-core"))
    except NotToBeHad as reason:
        pytest.skip(f"axe-core is not to be had: {reason}")
