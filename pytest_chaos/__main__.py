"""The command line: ``python -m pytest_chaos``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

from pytest_chaos.doctor import doctor
from pytest_chaos.printing import say
from pytest_chaos.read import read
from pytest_chaos.schema import SchemaKind, json_schema
from pytest_chaos.validate import validate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_chaos", description="Tools around pytest-chaos.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, about: str, run: Callable[[argparse.Namespace], int], more: str = "") -> Any:
        made = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}{more}.")
        made.set_defaults(run=run)
        return made

    about = "print versions, where fortio was found, and what is wrong with the fix"
    one = command("doctor", about, lambda given: doctor(given.fortio), "; exit 1 if something is")
    one.add_argument(
        "--fortio", metavar="PATH", help="look at this fortio instead of the one a test run would use"
    )

    one = command("schema", "print the JSON Schema (draft 2020-12) of specs, for editors", _print_schema)
    one.add_argument(
        "--kind",
        choices=get_args(SchemaKind),
        default="entry",
        help="of one entry (default), or of a whole file",
    )

    about = "check files of specs, and task files"
    one = command(
        "validate",
        about,
        lambda given: validate(given.files, as_json=given.json),
        "; exit 1 if one is invalid, 2 if one cannot be read",
    )
    one.add_argument("files", nargs="+", metavar="FILE", help="a YAML or JSON file")
    one.add_argument("--json", action="store_true", help="print the findings as JSON")

    about = "print the verdicts in files of JUnit XML"
    one = command(
        "read",
        about,
        lambda given: read(given.files, as_json=given.json, html=given.html),
        "; exit 1 if one is not held or there is none, 2 if a file cannot be read",
    )
    one.add_argument("files", nargs="+", metavar="FILE", help="what pytest --junitxml=FILE has written")
    one.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    one.add_argument("--html", metavar="PAGE", help="also write the outcomes as one HTML file with charts")

    given = parser.parse_args(arguments)
    status: int = given.run(given)
    return status


def _print_schema(given: argparse.Namespace) -> int:
    say(json.dumps(json_schema(given.kind), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
