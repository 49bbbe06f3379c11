"""Write the report: all outcomes of a run, or of several, in one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_chaos.html import told
from pytest_chaos.html.charts import charts
from pytest_chaos.html.library import library, source_hash
from pytest_chaos.html.links import linked
from pytest_chaos.html.phases import phases
from pytest_chaos.html.suite import suite
from pytest_chaos.outcome import ChaosOutcome, Verdict

# All disruptions share these points, so that a report of a thousand opens as one of ten does.
_POINTS, _MOST, _FEWEST = 40_000, 600, 40


def write_report(path: Path, tests: Mapping[str, Sequence[ChaosOutcome]]) -> None:
    """Write the outcomes of ``tests`` to ``path``, whose directory is made if need be. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(tests, now=datetime.now(UTC)), encoding="utf-8")


def render(tests: Mapping[str, Sequence[ChaosOutcome]], *, now: datetime) -> str:
    """Return the report as text."""
    disruptions = linked(tests)
    limit = max(_FEWEST, min(_MOST, _POINTS // max(1, len(disruptions))))
    counts = Counter(one.outcome.verdict for one in disruptions)
    script = _asset("report.js")
    environment = Environment(
        loader=PackageLoader(__name__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.globals.update(told=told, charts=lambda one: charts(one, limit), phases=phases)
    return environment.get_template("report.html.j2").render(
        disruptions=disruptions,
        tests=len(tests),
        counts=[(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]],
        suite=suite(disruptions),
        library=library(),
        style=Markup(_asset("report.css")),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        script_hash=source_hash(script),
        version=version("pytest-chaos"),
        now=f"{now:%Y-%m-%d %H:%M:%S} UTC",
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8").strip()
