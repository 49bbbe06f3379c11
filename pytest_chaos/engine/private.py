"""The directory that is this user's alone: what locks and ledgers live in."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pytest_chaos.errors import ChaosError


def folder(name: str) -> Path:
    """Return the directory ``name`` inside the one of this user, made if need be.

    It stands in ``XDG_RUNTIME_DIR``, or else among the temporary files.

    Raises:
        ChaosError: what is there is not a directory of this user alone.
    """
    own = _base() / f"pytest-chaos-{os.getuid()}"
    for path in (own, own / name):
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            found = path.lstat()
        except OSError as error:
            raise ChaosError(f"the directory {path} cannot be made: {error}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise ChaosError(
                f"{path} is not a directory of your own with mode 0700: remove it, or set XDG_RUNTIME_DIR"
            )
    return own / name


def _base() -> Path:
    """Return where it stands. A runtime directory that is somebody else's, as after ``su``, is as good as none."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        if os.path.isabs(named) and os.stat(named).st_uid == os.getuid():  # noqa: PTH116, PTH117 - any text may stand there
            return Path(named)
    except (OSError, ValueError):
        pass
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise ChaosError(f"there is no directory for temporary files: {error}; set TMPDIR") from None
