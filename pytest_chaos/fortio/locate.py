"""Find the fortio binary: the configured one, the bundled one, or one on PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_chaos.errors import FaultFailed

BUNDLED = Path(__file__).parent / "bin" / "fortio"
FIX = (
    "reinstall pytest-chaos where Go >= 1.25 or a package index is reachable, "
    "or name a fortio with --chaos-fortio PATH (ini chaos_fortio)"
)

ASK_DOCTOR = (
    "`python -m pytest_chaos doctor` tells whether this fortio is sound; --chaos-fortio PATH names another"
)


@dataclass(frozen=True, slots=True)
class Located:
    """A fortio binary and where it was found: ``configured``, ``bundled`` or ``PATH``."""

    path: Path
    source: str


def locate(configured: str | None = None) -> Located:
    """Return the fortio to run.

    A configured path is used or refused; there is no falling back from it.

    Raises:
        FaultFailed: there is none (``no_fortio``); the message says how to get one.
    """
    if configured is not None:
        path = Path(configured).expanduser().absolute()
        if not _runs(path):
            raise FaultFailed(
                "no_fortio", f"the configured fortio {configured!r} is not an executable file; {FIX}"
            )
        return Located(path, "configured")
    if _runs(BUNDLED):
        return Located(BUNDLED, "bundled")
    if found := shutil.which("fortio"):
        return Located(Path(found).absolute(), "PATH")
    raise FaultFailed(
        "no_fortio", f"no fortio: none is bundled with this installation and none is on PATH; {FIX}"
    )


def version_of(path: Path) -> str:
    """Return the version that the binary at ``path`` reports.

    Raises:
        FaultFailed: it does not answer like fortio (``not_fortio``).
    """
    try:
        answer = subprocess.run(  # noqa: S603 - the one binary that locate() chose, no shell
            [path, "version"], capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FaultFailed("not_fortio", f"{path} does not run: {error}; {FIX}") from None
    word = answer.stdout.strip()
    if answer.returncode != 0 or not re.fullmatch(r"v?\d+\.\d+\.\d+\S*|dev", word):
        raise FaultFailed(
            "not_fortio", f"{path} answered `version` with {word[:80]!r}, so it is no fortio; {FIX}"
        )
    return word


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
