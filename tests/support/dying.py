"""Run a pytest whose tests start processes that are hard to end, so that it can die in some way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.inner import ROOT
from tests.support.survivors import AWAY, SLEEP, STUBBORN, running_with
from tests.support.waiting import eventually

STARTED = 5
"""How many processes the fault ``many`` is: a meek one, one that ignores signals, and a family of three in three sessions."""

CONFTEST = f"""
import os, sys, time
from pathlib import Path
from typing import Literal

import pytest
from pytest_chaos import FAULTS, ChaosResult, Fault

SCRIPTS = (
    "print('up', flush=True);" + {SLEEP!r},
    {STUBBORN!r},
    {AWAY!r} + "print(away(False), away(True), flush=True); time.sleep(60)",
)

@FAULTS.register("many")
class Many(Fault):
    type: Literal["many"] = "many"
    hangs: bool = False
    fails: bool = False
    hesitates: bool = False

    def inject(self, ctx, chaos_active_event=None):
        for script in SCRIPTS:
            process = ctx.spawn([sys.executable, "-IS", "-c", script, os.environ["DYING_TOKEN"]])
            assert process.stdout.readline()
        Path("started").touch()
        if self.fails:
            raise RuntimeError("no harm done")
        if self.hesitates:
            ctx.stop.wait()
        chaos_active_event.set()
        ctx.stop.wait()
        while self.hangs:
            time.sleep(1)
        return ChaosResult(success=True, injected_fault="many")

def many(**more):
    return pytest.mark.chaos({{"trigger": {{"type": "time"}}, "action": {{"type": "many", **more}}}})

@pytest.fixture
def torn_down():
    yield
    Path("torn-down").touch()
"""


@dataclass(frozen=True, slots=True)
class Dying:
    """A running pytest, its directory, and the word that all its fault processes have among their arguments."""

    pytest: subprocess.Popen[bytes]
    path: Path
    token: str

    def wait_started(self) -> None:
        """Wait until the processes of the fault run, and make sure that they do."""
        eventually((self.path / "started").exists, "the fault has started", within_s=30)
        assert len(running_with(self.token)) == STARTED

    def send(self, number: signal.Signals) -> None:
        """Send pytest a signal."""
        os.kill(self.pytest.pid, number)

    def ends_by(self, number: signal.Signals) -> bool:
        """Send it a signal, and tell whether it has ended."""
        self.send(number)
        return self.has_ended

    @property
    def has_ended(self) -> bool:
        """Tell whether pytest has ended."""
        return self._end() is not None

    def ended(self) -> tuple[int, str]:
        """Wait for the end of pytest; return its status and its output."""
        eventually(lambda: self.has_ended, "pytest has ended", within_s=30)
        end = self._end()
        assert end is not None
        status = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        return status, (self.path / "output.txt").read_text(encoding="utf-8")

    def _end(self) -> os.waitid_result | None:
        """Return how it has ended without taking note of it, so that the number of its process group stays its own."""
        return os.waitid(os.P_PID, self.pytest.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def assert_nothing_left(self) -> None:
        """Fail if a process of the fault is still there one second from now, or a ledger tells of one."""
        eventually(lambda: not running_with(self.token), "nothing is left of the fault", within_s=1)
        assert (self.path / "started").exists()
        eventually(
            lambda: not any(self.path.glob("pytest-chaos-*/ledgers/*")), "the ledger is gone", within_s=1
        )


@contextmanager
def dying(
    path: Path, source: str, *options: str, plugins: Sequence[str] = ()
) -> Generator[Dying, None, None]:
    """Start pytest on ``source``, in a process group that is killed in the end."""
    (path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (path / "test_dying.py").write_text(
        f"import os, signal, time\nimport pytest\nfrom conftest import many\n{textwrap.dedent(source)}",
        encoding="utf-8",
    )
    token = uuid.uuid4().hex
    loaded = [word for name in ("pytest_chaos.plugin", *plugins) for word in ("-p", name)]
    with (path / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-W",
                "error",
                "-p",
                "no:cacheprovider",
                *loaded,
                *options,
            ],
            cwd=path,
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith(("PYTEST", "PYTHON"))
                },
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": str(ROOT),
                "XDG_RUNTIME_DIR": str(path),
                "DYING_TOKEN": token,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Dying(process, path, token)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # itself, workers of xdist, forks of its tests
        process.wait()
