"""Say something to whoever watches the run, past every capture."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

import pytest


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """Return what lifts every capture for a block."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    lifted: AbstractContextManager[None] = capture.global_and_fixture_disabled() if capture else nullcontext()
    return lifted


def tell(config: pytest.Config, line: str) -> None:
    """Print ``line`` on the terminal; a worker of xdist has none, its standard error is that of its controller."""
    with uncaptured(config):
        terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or hasattr(config, "workerinput"):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        else:
            terminal.ensure_newline()
            terminal.write_line(line, yellow=True)
