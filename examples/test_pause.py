"""A worker under a fault of our own, without any load; and the contract that every fault has to pass."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pause import Pause, PauseFault

from pytest_chaos.testing import FaultContract

WORK = """
import sys, time
with open(sys.argv[1], "ab", buffering=0) as journal:
    while True:
        journal.write(b".")
        time.sleep(0.005)
"""


class Worker:
    """A process that puts one dot after another into its journal."""

    def __init__(self, journal: Path) -> None:
        journal.touch()
        self.journal = journal
        self.process = subprocess.Popen([sys.executable, "-c", WORK, str(journal)])

    def works(self, within_s: float = 0.5) -> bool:
        """Tell whether it puts something into its journal."""
        before, deadline = self.journal.stat().st_size, time.monotonic() + within_s
        while self.journal.stat().st_size == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def stands_still_while_paused(self, disruption: Any) -> bool:
        """Tell whether it does nothing while the disruption is active, and works while it is not."""
        active: bool = disruption.active.is_set()
        works, changed = self.works(), disruption.active.is_set() != active
        return changed or works != active


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    one = Worker(tmp_path / "journal")
    assert one.works(within_s=20)
    yield one
    one.process.kill()
    one.process.wait()


@pytest.fixture
def chaos_variables(worker: Worker) -> Mapping[str, str]:
    """Fill {{WORKER_PID}}."""
    return {"WORKER_PID": str(worker.process.pid)}


@pytest.fixture
def chaos_verifiers(worker: Worker) -> Mapping[str, Callable[..., bool]]:
    return {
        "stands still while paused": worker.stands_still_while_paused,
        "works": worker.works,
    }


@pytest.mark.chaos(
    {
        "name": "stuck worker",
        "trigger": {"type": "time"},
        "action": {"type": "pause", "pid": "{{WORKER_PID}}"},
        "verify": "stands still while paused",
        "verify_phases": ["before", "during", "after"],
        "recover_within": 5,
    }
)
def test_a_stuck_worker_does_nothing(worker: Worker) -> None:
    """Holds: nothing gets done while it stands still, and it goes on afterwards."""
    assert not worker.works()


@pytest.mark.chaos(
    {
        "name": "hiccup",
        "trigger": {"type": "time"},
        "action": {"type": "pause", "pid": "{{WORKER_PID}}", "duration": "200ms"},
        "verify": "works",
    },
    wait="done",
)
def test_a_worker_gets_over_a_hiccup(worker: Worker) -> None:
    """Holds: the body begins once the pause is over."""
    assert worker.works()


class TestPause(FaultContract):
    """The contract: our own fault keeps to what every fault has to keep to."""

    details_model = Pause

    @pytest.fixture(autouse=True)
    def _worker(self, worker: Worker) -> None:
        self.worker = worker

    def make_fault(self) -> PauseFault:
        return PauseFault(pid=str(self.worker.process.pid))

    def effect_seen(self) -> bool:
        return not self.worker.works()
