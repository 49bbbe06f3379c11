"""One test under a fault that is hard to end, in a process that is going to be killed at some moment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_chaos import FAULTS, ChaosResult, Fault
from tests.support.survivors import AWAY, STUBBORN

engine: Any = import_module("pytest_chaos.engine.disruption")
FOLDER = Path(os.environ["CHAOS_KILL_FOLDER"])
TOKEN = os.environ["CHAOS_KILL_TOKEN"]
SCRIPTS = {
    "stubborn": STUBBORN,
    "family": f"{AWAY}print(away(False), away(True), flush=True); time.sleep(60)",
}
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    "load": {
        "type": "generate_load",
        "target": {"service_url": f"{os.environ['CHAOS_KILL_URL']}{TOKEN}", "qps": 50, "min_delivered": 0.0},
    },
    "stubborn": {"type": "script", "name": "stubborn"},
    "family": {"type": "script", "name": "family"},
}


@FAULTS.register("script")
class Script(Fault):
    """Run a script until asked to stop."""

    type: Literal["script"] = "script"
    name: str

    def inject(self, ctx: Any, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        assert chaos_active_event is not None
        process = ctx.spawn([sys.executable, "-IS", "-c", SCRIPTS[self.name], TOKEN])
        process.stdout.readline()
        chaos_active_event.set()
        ctx.stop.wait()
        return ChaosResult(success=True, injected_fault="script")


class Plain:
    """What stands in for our processes when it is to be shown what happens without a reaper."""

    failure = ""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[bytes]] = []

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Any:
        process: Any = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tempfile.gettempdir(),
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        process.interrupt = lambda: process.send_signal(2)
        self._all.append(process)
        return process

    def end_all(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


def begin() -> None:
    """Tell that a process is about to be started; from here on the moment of the kill is counted."""
    (FOLDER / "begun").touch()
    if (delay := os.environ.get("CHAOS_KILL_EXIT_S")) is not None:
        timer = threading.Timer(float(delay), os._exit, [3])
        timer.daemon = True
        timer.start()


class Noted(Plain if "CHAOS_KILL_PLAIN" in os.environ else engine.Processes):  # type: ignore[misc]  # chosen here
    """Processes, with the moments before and after each start told in files."""

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Any:
        begin()
        process = super().spawn(argv, env=env)
        (FOLDER / "spawned").touch()
        return process


engine.Processes = Noted


@pytest.mark.chaos({"trigger": {"type": "time"}, "action": ACTIONS[os.environ["CHAOS_KILL_WHAT"]]})
def test_disrupted() -> None:
    time.sleep(0.5)
