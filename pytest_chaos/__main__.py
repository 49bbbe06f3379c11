"""The command line: ``python -m pytest_chaos``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_chaos.doctor import doctor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_chaos", description="Tools around pytest-chaos.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "print versions, where fortio was found, and what is wrong with the fix"
    command = commands.add_parser(
        "doctor", help=about, description=f"{about[0].upper()}{about[1:]}; exit 1 if something is."
    )
    command.add_argument(
        "--fortio", metavar="PATH", help="look at this fortio instead of the one a test run would use"
    )
    given = parser.parse_args(arguments)
    return doctor(given.fortio)


if __name__ == "__main__":
    sys.exit(main())
