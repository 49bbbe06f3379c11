"""Look for processes that are still there."""

from __future__ import annotations

import shutil
import subprocess

from tests.support.waiting import eventually

_PS = shutil.which("ps") or "ps"  # found while PATH is still what it was: a test may change it


def processes_with(word: str) -> list[str]:
    """Return the command lines of all fortio processes (real or fake) whose arguments hold ``word``."""
    listed = subprocess.run(
        [_PS, "-A", "-ww", "-o", "pid=,args="],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    return [line for line in listed.stdout.splitlines() if word in line and " load -json " in line]


def assert_none_left(word: str, *, within_s: float = 1.0) -> None:
    """Fail if a fortio whose arguments hold ``word`` (a port, say) is still there after ``within_s`` seconds."""
    eventually(lambda: not processes_with(word), f"no process left with {word}", within_s=within_s)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that has ended, and only was not waited for, does not."""
    told = subprocess.run([_PS, "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() != "" and not told.stdout.strip().startswith("Z")
