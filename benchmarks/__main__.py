"""Measure everything and print one table. With ``--write`` it also replaces the table in the README beside this."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NoReturn

from benchmarks import ending, engine, fidelity, idle, spawning
from benchmarks.figures import Row, machine, table
from benchmarks.sessions import MeasuringFailed

PARTS: Final = {"idle": idle, "engine": engine, "fidelity": fidelity, "ending": ending, "spawning": spawning}
README: Final = Path(__file__).with_name("README.md")
START, END = "<!-- the table: written by `python -m benchmarks --write` -->", "<!-- end of the table -->"


def main() -> int:
    """Return 0 if everything could be measured, whether or not it met its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"measure only these: {', '.join(PARTS)}")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    if asked.write and asked.parts:
        parser.error("--write needs the whole table")
    signal.signal(signal.SIGTERM, _leave)
    load_before = os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="chaos-bench-") as folder:
        for name in asked.parts or PARTS:
            began = time.monotonic()
            try:
                rows += PARTS[name].measure(Path(folder))
            except MeasuringFailed as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    text = f"{table(rows)}\n\nMeasured on {machine(load_before)}."
    print(text)
    if asked.write:
        before, _, rest = README.read_text().partition(START)
        README.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    return 0


def _leave(number: int, _frame: object) -> NoReturn:
    """End as after Ctrl-C, so that no server stays behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
