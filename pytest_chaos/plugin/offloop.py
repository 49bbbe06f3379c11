"""Run a blocking function from a coroutine without blocking its event loop, under asyncio and under trio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def off_loop(function: Callable[[], T]) -> T:
    """Run ``function`` in a thread, and await it."""
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            pass
        else:
            return await trio.to_thread.run_sync(function)  # type: ignore[no-any-return]  # trio is not a dependency
    return await asyncio.get_running_loop().run_in_executor(None, function)
