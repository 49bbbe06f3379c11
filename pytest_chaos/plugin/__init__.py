"""The pytest plugin ``chaos``: options, hook specs, fixtures, and the gates that load the rest when chaos is met.

Nothing but the standard library and pytest is imported here: a suite without chaos must not pay for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_chaos.plugin import options

if TYPE_CHECKING:
    from pytest_chaos.plugin.injector import ChaosInjector
    from pytest_chaos.plugin.lifecycle import Lifecycle
    from pytest_chaos.plugin.reporting import Reporting

MARKER = (
    'chaos(spec, *specs, wait="active"): disrupt the test while it runs, and fail it unless the disruption '
    "really happened. Without arguments it is a plain category. See the README of pytest-chaos."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, from one table."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our own hooks."""
    from pytest_chaos.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker and merge the settings; a wrong value ends the run here, before anything is collected."""
    config.addinivalue_line("markers", MARKER)
    value: dict[str, Any] = {}
    if options.is_anything_given(config):
        from pytest_chaos.plugin.merging import read_values

        value = read_values(config)
    config.stash[options.VALUES] = value
    if value.get("dry_run") or value.keys() & {"plan", "summary", "report"}:
        ensure_reporting(config)  # what is asked for is written, also of a run that meets no chaos
    if (
        config.getoption("dist", "no") != "no"
    ):  # only a controller of xdist is told of tests that ran elsewhere
        from pytest_chaos.plugin.gate import Gate

        config.pluginmanager.register(Gate(config, ensure_reporting), "chaos-gate")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load the machinery when the first chaos test was collected, and let it check all marks."""
    value = config.stash[options.VALUES]
    if value.get("dry_run") or "plan" in value or any(_wants_chaos(item) for item in items):
        ensure_lifecycle(config).collection.check(items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the chaos of a test once every fixture is up; only then are all its marks there, too.

    The last of all, inside the wrappers: what is printed and logged meanwhile is captured like that of any fixture.
    """
    if _wants_chaos(item):
        ensure_lifecycle(item.config).start(item)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Time the body and judge it. The innermost wrapper; the machinery may be loaded while the body runs."""
    if (found := _lifecycle_of(item.config)) is not None:
        found.body_starts(item)
    try:
        result = yield
    except BaseException as error:
        if (found := _lifecycle_of(item.config)) is not None:
            found.body_raised(item, error)
        raise
    if (found := _lifecycle_of(item.config)) is None and item.own_markers and _wants_chaos(item):
        found = ensure_lifecycle(item.config)  # a mark that came too late
    if found is not None:
        found.body_returned(item)
    return result


def ensure_lifecycle(config: pytest.Config) -> Lifecycle:
    """Return the object that runs chaos in this process; register it first if need be."""
    found = _lifecycle_of(config)
    if found is None:
        from pytest_chaos.plugin.lifecycle import Lifecycle
        from pytest_chaos.plugin.merging import settings_of

        found = Lifecycle(config, settings_of(config), ensure_reporting(config))
        config.pluginmanager.register(found, "chaos-lifecycle")
    return found


def _lifecycle_of(config: pytest.Config) -> Lifecycle | None:
    found: Lifecycle | None = config.pluginmanager.get_plugin("chaos-lifecycle")
    return found


def ensure_reporting(config: pytest.Config) -> Reporting:
    """Return the object that shows outcomes; it is registered in every process but shows only where reports end up."""
    found: Reporting | None = config.pluginmanager.get_plugin("chaos-reporting")
    if found is None:
        from pytest_chaos.plugin.merging import settings_of
        from pytest_chaos.plugin.reporting import Reporting

        found = Reporting(config, settings_of(config))
        config.pluginmanager.register(found, "chaos-reporting")
    return found


def _wants_chaos(item: pytest.Item) -> bool:
    node: pytest.Item | pytest.Collector | None = item
    while node is not None:  # what get_closest_marker does, in a third of its time: this runs for every test
        for mark in node.own_markers:
            if mark.name == "chaos":
                return True
        node = node.parent
    return "chaos_injector" in getattr(item, "fixturenames", ())


def cases(file: str, **keywords: Any) -> list[Any]:
    """Return a ``pytest.param`` for each entry of ``file``, to make a test of each with ``pytest.mark.parametrize``.

    Each one carries the chaos of its entry as a mark, with ``keywords`` such as ``wait``, and its name as value
    and id. The path is relative to the test file, then to the working directory.
    """
    from pytest_chaos.plugin.parameters import cases_of

    caller = sys._getframe(1).f_globals.get("__file__") or "."
    return cases_of(file, base=Path(caller).parent, keywords=keywords)


@pytest.fixture
def chaos_variables() -> Mapping[str, str]:
    """Override to fill {{NAME}} in chaos specs: return a mapping of names to text."""
    return {}


@pytest.fixture
def chaos_verifiers() -> Mapping[str, Callable[..., Any]]:
    """Override to name the checks that chaos specs may ask for in `verify`: a mapping of keys to functions."""
    return {}


@pytest.fixture
def chaos_injector(request: pytest.FixtureRequest) -> Generator[ChaosInjector, None, None]:
    """Start and stop disruptions from inside a test body; each is judged like one from a mark."""
    yield from ensure_lifecycle(request.config).injector(request)
