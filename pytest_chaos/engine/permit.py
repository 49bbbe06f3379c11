"""Whether chaos may run at all here and now: the project's environment, and the file that stops everything."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final

from pytest_chaos.errors import ChaosError
from pytest_chaos.settings import Settings

_POLL_S: Final = 0.1


def check_permit(settings: Settings) -> None:
    """Check that chaos may run.

    Raises:
        ChaosError: this is not the environment that the project allows, or the abort file is there.
    """
    for name, wanted in settings.environment:
        if os.environ.get(name) != wanted:
            found = f"is {os.environ[name]!r}" if name in os.environ else "is not set"
            raise ChaosError(
                f"nothing runs here: the environment variable {name} {found}, and chaos_environment asks for {wanted!r}"
            )
    if (why := _aborted(settings)) is not None:
        raise ChaosError(f"nothing runs: {why}")
    if (library := _replaces_threads()) is not None:
        raise ChaosError(
            f"nothing runs: {library} has replaced threads, and a disruption needs a real one beside the body; "
            "patch only in a process of the service's own"
        )


def _replaces_threads() -> str | None:
    """Return who has put something of its own in the place of threads: they would wait for each other for ever."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


class AbortFile:
    """Look for the file that stops everything, in a thread, as long as something runs."""

    def __init__(self, settings: Settings, abort: Callable[[str], None]) -> None:
        self._settings = settings
        self._abort = abort
        self._over = Event()
        self._thread = Thread(target=self._run, name="pytest-chaos-abort-file", daemon=True)

    def start(self) -> None:
        """Begin to look, if the project names such a file: once right now, then again and again."""
        if self._settings.abort_file and not self._look():
            self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._over.wait(_POLL_S):
            if self._look():
                return

    def _look(self) -> bool:
        why = _aborted(self._settings)
        if why is not None:
            self._abort(why)
        return why is not None


def _aborted(settings: Settings) -> str | None:
    if not settings.abort_file:
        return None
    try:
        Path(settings.abort_file).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # whoever cannot look does not know
        return f"nobody can tell whether the abort file {settings.abort_file} is there (chaos_abort_file): {error}"
    return f"the abort file {settings.abort_file} is there (chaos_abort_file); remove it to go on"
