"""Run a blocking function from a coroutine without blocking its event loop, under asyncio, anyio and trio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_POLL_S = 0.002


async def off_loop(function: Callable[[], T], cancelled: Callable[[], None] = lambda: None) -> T:
    """Run ``function`` in a thread and await its end, whatever happens to the awaiting task meanwhile.

    If the task is cancelled, ``cancelled`` is called once so that ``function`` can end early; its end is
    awaited all the same before the cancellation goes on.
    """
    done = Event()
    values: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            values.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the task
            errors.append(error)
        finally:
            done.set()

    Thread(target=work, name="pytest-chaos-off-loop", daemon=True).start()
    sleep = _sleep()
    try:
        # Polling is the one way of waiting for a thread that cancels alike under every kind of loop.
        while not done.is_set():
            await sleep(_POLL_S)
    except BaseException:
        cancelled()
        with _shield():
            while not done.is_set():
                try:
                    await sleep(_POLL_S)
                except asyncio.CancelledError:  # cancelled once more; the first time counts
                    continue
        raise
    if errors:
        raise errors[0]
    return values[0]


def _in_trio() -> Any:
    trio: Any = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return trio


def _sleep() -> Callable[[float], Awaitable[None]]:
    trio = _in_trio()
    return asyncio.sleep if trio is None else trio.sleep


def _shield() -> AbstractContextManager[Any]:
    """Return what keeps a scope of anyio or trio from cancelling every single await; plain asyncio cancels once."""
    owner = _in_trio() or sys.modules.get("anyio")
    return nullcontext() if owner is None else owner.CancelScope(shield=True)
