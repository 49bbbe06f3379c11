"""A fault of our own, in one file: a child process of this one stands still for a while, and then goes on."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pytest_chaos import FAULTS, ChaosResult, Fault, clocks
from pytest_chaos.base import Plan
from pytest_chaos.context import RunContext
from pytest_chaos.errors import FaultFailed
from pytest_chaos.notation import Duration, seconds
from pytest_chaos.settings import Settings


class Pause(BaseModel):
    """What a pause says in its details: which process stood still, and for how long."""

    pid: int
    paused_s: float


@FAULTS.register("pause")
class PauseFault(Fault):
    """Stop a process that this one has started with SIGSTOP, and let it go on with SIGCONT."""

    type: Literal["pause"] = "pause"
    pid: Annotated[
        str,
        Field(
            pattern=r"^([1-9][0-9]{0,6}|\{\{ *[A-Za-z_][A-Za-z0-9_.-]* *\}\})$",
            description="Number of the process, as text, since only text may hold a placeholder.",
            examples=["{{WORKER_PID}}"],
        ),
    ]
    duration: Annotated[
        Duration | None,
        Field(description="How long it stands still; without it, until the body ends.", examples=["500ms"]),
    ] = None

    def ends_by_itself(self) -> bool:
        """Tell whether there is a duration."""
        return self.duration is not None

    def plan(self, settings: Settings) -> Plan:
        """Return what will stand still, and for how long."""
        del settings
        length = "until the body ends" if self.duration is None else f"for {self.duration}"
        return Plan(summary=f"process {self.pid} stands still {length}")

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        """Stop the process; let it go on after the duration, or when asked to stop, or when anything fails."""
        active = chaos_active_event or threading.Event()
        pid = int(self.pid)
        if _is_stopped(pid):  # which it says of our own children only
            raise FaultFailed("stopped", f"process {pid} stands still already")
        try:
            os.kill(pid, signal.SIGSTOP)
            while not _is_stopped(pid):
                ctx.sleep(0.001)
            began = clocks.monotonic()
            active.set()  # only now: it was seen to stand still
            ctx.stop.wait(None if self.duration is None else seconds(self.duration))
            if not _is_stopped(pid):
                raise FaultFailed("resumed", f"somebody else let process {pid} go on")
            paused_s = clocks.monotonic() - began
        finally:
            active.clear()  # first: it never says that the process stands still when it does not
            _resume(pid)
        return ChaosResult(
            success=True,
            injected_fault=self.type,
            output=f"process {pid} stood still for {paused_s:.3g} s",
            elapsed_time=paused_s,
            details=Pause(pid=pid, paused_s=paused_s).model_dump(),
        )


def _is_stopped(pid: int) -> bool:
    """Tell whether a child of this process stands still. Raises ``FaultFailed`` for any other process."""
    try:
        # WNOWAIT: whoever waits for this child will still be told everything.
        changed = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        raise FaultFailed("not_ours", f"process {pid} is no child of this one, so it is left alone") from None
    if changed is not None and changed.si_code != os.CLD_STOPPED:
        raise FaultFailed("ended", f"process {pid} has ended")
    return changed is not None


def _resume(pid: int) -> None:
    try:
        _is_stopped(pid)
    except FaultFailed:  # it has ended; its number may be somebody else's by now
        return
    os.kill(pid, signal.SIGCONT)
