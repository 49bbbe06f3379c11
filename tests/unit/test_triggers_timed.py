"""What a trigger does about the thing that does not come: ``timeout`` and ``on_timeout``, with a checkpoint as the thing."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, TriggerTimeout
from pytest_chaos.schema import explain, validate_spec
from pytest_chaos.triggers.after import AfterTrigger
from pytest_chaos.triggers.checkpoint import CheckpointTrigger

EACH = pytest.mark.parametrize("on_timeout", ["fail", "skip", "fire"])
ACTION = {"type": "generate_load", "target": {"service_url": "http://127.0.0.1/"}}


class Noted(RunContext):
    """A context that keeps what is put on the timeline."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        super().__init__("a test", note=self.notes.append)


def checkpoint(**more: Any) -> CheckpointTrigger:
    return CheckpointTrigger.model_validate({"type": "checkpoint", "name": "half way", **more})


@EACH
def test_at_once(on_timeout: str) -> None:
    ctx = Noted()
    ctx.milestones.reach("checkpoint", "half way")
    checkpoint(on_timeout=on_timeout, timeout=0.001).wait(ctx)
    assert ctx.notes == []


@EACH
def test_late_but_in_time(on_timeout: str) -> None:
    ctx = Noted()
    timer = threading.Timer(0.1, ctx.milestones.reach, ("checkpoint", "half way"))
    began = time.monotonic()
    timer.start()
    checkpoint(on_timeout=on_timeout, timeout=20).wait(ctx)
    assert 0.1 <= time.monotonic() - began < 10
    assert ctx.notes == []
    timer.join()


@pytest.mark.parametrize(("timeout", "in_words"), [(0.1, "0.1 s"), ("100ms", "0.1 s"), (1, "1 s")])
@EACH
def test_never(on_timeout: str, timeout: float | str, in_words: str) -> None:
    ctx = Noted()
    ctx.milestones.reach("checkpoint", "a")
    ctx.milestones.reach("checkpoint", "b")
    began = time.monotonic()
    trigger = checkpoint(on_timeout=on_timeout, timeout=timeout)
    if on_timeout == "fire":
        trigger.wait(ctx)
    else:
        with pytest.raises(TriggerTimeout) as caught:
            trigger.wait(ctx)
        assert caught.value.skip is (on_timeout == "skip")
        assert str(caught.value) == (
            f"it did not fire when the body reaches the checkpoint 'half way' within its timeout of {in_words}"
        )
    assert time.monotonic() - began >= trigger.timeout_s
    assert ctx.notes == ["trigger_timed_out"]
    assert ctx.seen == "checkpoints that were reached: 'a', 'b'"


@EACH
def test_stopped_first(on_timeout: str) -> None:
    ctx = Noted()
    ctx.stop.set()
    with pytest.raises(TriggerTimeout if on_timeout == "skip" else Cancelled) as caught:
        checkpoint(on_timeout=on_timeout).wait(ctx)
    assert getattr(caught.value, "skip", False) is (on_timeout == "skip")
    assert ctx.notes == []
    assert ctx.seen == "checkpoints that were reached: none"


@pytest.mark.parametrize(
    ("state", "reached", "seen"),
    [
        ("finished", [], "'a' was never active"),
        ("finished", ["injecting"], "'a' was never active"),
        ("finished", ["injecting", "active"], "'a' was active"),
        ("active", ["injecting"], "'a' is not over"),
        ("active", ["injecting", "finished"], "'a' is over"),
    ],
)
def test_it_says_what_came_of_the_other_disruption(state: str, reached: list[str], seen: str) -> None:
    ctx = Noted()
    for one in reached:
        ctx.milestones.reach(one, "a")
    for one in ("injecting", "active", "finished"):
        ctx.milestones.reach(one, "b")
    trigger = AfterTrigger.model_validate({"disruption": "a", "state": state, "timeout": 0.01})
    with pytest.raises(TriggerTimeout):
        trigger.wait(ctx)
    assert ctx.seen == seen


@pytest.mark.parametrize("on_timeout", ["fail", "skip"])
def test_one_that_ended_with_everything_else_is_not_what_it_waited_for(on_timeout: str) -> None:
    ctx = Noted()
    ctx.stop.set()
    ctx.milestones.reach("finished", "a")
    with pytest.raises(TriggerTimeout if on_timeout == "skip" else Cancelled):
        AfterTrigger.model_validate({"disruption": "a", "on_timeout": on_timeout}).wait(ctx)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"timeout": 0}, "trigger.timeout"),
        ({"timeout": 3601}, "trigger.timeout"),
        ({"timeout": "0s"}, "not a duration"),
        ({"timeout": True}, "trigger.timeout"),
        ({"on_timeout": "explode"}, "'fail', 'skip' or 'fire'"),
        ({"name": ""}, "trigger.name"),
        ({"nmae": "x"}, "did you mean 'name'?"),
    ],
)
def test_what_does_not_fit_is_refused(more: dict[str, Any], message: str) -> None:
    entry = {"trigger": {"type": "checkpoint", "name": "half way", **more}, "action": ACTION}
    with pytest.raises(ValidationError) as caught:
        validate_spec(entry)
    assert message in "\n".join(explain(caught.value, entry))
