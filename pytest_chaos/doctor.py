"""``python -m pytest_chaos doctor``: what is installed, where fortio is, what is wrong, and the fix."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from pytest_chaos.errors import ChaosError
from pytest_chaos.fortio.locate import locate, version_of
from pytest_chaos.printing import say

_PARTS = ("pytest-chaos", "pytest", "pydantic", "pytest-xdist", "google-genai")


def doctor(fortio: str | None = None) -> int:
    """Print the findings; return 0 if chaos can run here, else 1."""
    say(f"python        {platform.python_version()} on {platform.system().lower()} {platform.machine()}")
    for name in _PARTS:
        say(f"{name:<13} {_version(name)}")
    problems = list(_problems(fortio if fortio is not None else os.environ.get("PYTEST_CHAOS_FORTIO")))
    for problem in problems:
        say(f"problem: {problem}")
    say("everything is fine" if not problems else f"{len(problems)} problem(s) found")
    return 1 if problems else 0


def _problems(fortio: str | None) -> Iterator[str]:
    if os.name != "posix":
        yield "only Linux and macOS are supported: processes are ended by session and signal"
    try:
        found = locate(fortio)
        say(f"fortio        {version_of(found.path)} ({found.source}: {found.path})")
    except ChaosError as error:
        say("fortio        -")
        yield str(error)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
