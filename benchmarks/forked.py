"""Measure what the installed plugin adds, in pairs of fresh processes: ``python -m benchmarks.forked SUITE PAIRS``.

Each process is forked off this one, which has imported pytest and everything that pytest itself
uses, but nothing of ours. So a pair differs by the plugin alone, and not by the 0.2 s that a new
interpreter takes, whose noise is larger than what is measured.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.sessions import MeasuringFailed, arguments

PEACE = ("-p", "no:chaos")


def cpu_of(suite: Path, *more: str) -> float:
    """Run ``suite`` in a forked process; return the seconds of CPU that it used, user and system.

    Raises:
        MeasuringFailed: a test failed.
    """
    child = os.fork()
    if child == 0:
        with open(os.devnull, "r+b") as null:  # noqa: PTH123 - this child lives for one run
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        os._exit(int(pytest.main([*arguments(suite.parent), *more, str(suite)])))
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise MeasuringFailed(f"{suite.name}: pytest ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def import_what_pytest_uses(suite: Path) -> None:
    """Run ``suite`` without the plugin, so that the processes to come find every module of pytest loaded."""
    output = os.dup(1)
    with open(os.devnull, "r+b") as null:  # noqa: PTH123 - the output of this one run goes nowhere
        os.dup2(null.fileno(), 1)
        pytest.main([*arguments(suite.parent), *PEACE, str(suite)])
        sys.stdout.flush()
    os.dup2(output, 1)
    os.close(output)


def main(suite: Path, pairs: int) -> list[tuple[float, float]]:
    """Return seconds of CPU without and with the plugin, a tuple for each pair; who goes first alternates."""
    import_what_pytest_uses(suite)
    assert not any(name.startswith("pytest_chaos") for name in sys.modules)
    cpu_of(suite)  # writes the byte code
    gc.collect()
    gc.freeze()  # or each child would copy what its collector looks at
    measured = []
    for pair in range(pairs):
        if pair % 2:
            with_plugin = cpu_of(suite)
            without = cpu_of(suite, *PEACE)
        else:
            without = cpu_of(suite, *PEACE)
            with_plugin = cpu_of(suite)
        measured.append((without, with_plugin))
    return measured


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
