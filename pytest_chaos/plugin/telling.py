"""Say something to whoever watches the run, past every capture."""

from __future__ import annotations

import contextlib
import sys

import pytest


def tell(config: pytest.Config, line: str) -> None:
    """Print ``line`` on the terminal; a worker of xdist has none, its standard error is that of its controller."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or hasattr(config, "workerinput"):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        else:
            terminal.ensure_newline()
            terminal.write_line(line, yellow=True)
