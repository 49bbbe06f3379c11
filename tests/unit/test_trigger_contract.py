"""Each promise of a trigger is tested: it fails for those who break it, in one sentence, and for nobody else."""

# ruff: noqa: ARG002 - what overrides a method has its arguments, whether it needs them or not

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from pytest_chaos.base import TRIGGERS, Trigger
from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, TargetRefused
from pytest_chaos.testing import TriggerContract
from tests.support.promises import COUNTER, LIT, PLAN, RELEASE, ROUND_TRIP, SCHEMA, failures


@pytest.fixture(autouse=True)
def _dark() -> Iterator[None]:
    LIT.clear()
    RELEASE.clear()
    yield
    RELEASE.set()


FIRES = "fires_when_it_should_and_not_before"
STOPS_FIRST = "stops_when_asked_before_it_waits"
STOPS_LATER = "stops_when_asked_while_it_waits"


class Dusk(Trigger):
    """A trigger without fault: it fires once there is light."""

    type: Literal["dusk"] = "dusk"

    def wait(self, ctx: RunContext) -> None:
        while True:
            ctx.sleep(0.005)
            if LIT.is_set():
                return


class NeverFires(Dusk):
    def wait(self, ctx: RunContext) -> None:
        while True:
            ctx.sleep(0.005)


class FiresAtOnce(Dusk):
    def wait(self, ctx: RunContext) -> None:
        ctx.sleep(0)


class FiresWhenStopped(Dusk):
    def wait(self, ctx: RunContext) -> None:
        while not (LIT.is_set() or ctx.stop.is_set()):
            ctx.stop.wait(0.005)


class Blind(Dusk):
    def wait(self, ctx: RunContext) -> None:
        super().wait(ctx)
        raise OSError("nothing to see")


class Offended(Dusk):
    def wait(self, ctx: RunContext) -> None:
        try:
            super().wait(ctx)
        except Cancelled:
            raise RuntimeError("I was waiting") from None


class Deaf(Dusk):
    def wait(self, ctx: RunContext) -> None:
        while not (LIT.is_set() or RELEASE.wait(0.005)):
            pass


class Listening(Dusk):
    def wait(self, ctx: RunContext) -> None:
        logging.getLogger(f"moths.{next(COUNTER)}").addHandler(logging.NullHandler())
        super().wait(ctx)


class Branching(Dusk):
    def wait(self, ctx: RunContext) -> None:
        threading.Thread(target=RELEASE.wait, name="moth", daemon=True).start()
        super().wait(ctx)


class TwoLines(Dusk):
    def in_words(self) -> str:
        return "when it\nis dark"


class Looking(Dusk):
    def in_words(self) -> str:
        return f"when {Path(__file__).read_text(encoding='utf-8')[:3]!r} is dark"


class DuskContract(TriggerContract):
    """The contract of whatever ``kind`` of dusk is registered."""

    __test__ = False

    kind: type[Dusk]
    stops_within_s = 0.2

    def make_trigger(self) -> Trigger:
        return self.kind()

    def make_it_happen(self, ctx: RunContext) -> None:
        LIT.set()


def dusk_failures(kind: type[Dusk], **attributes: object) -> dict[str, str]:
    TRIGGERS.register("dusk")(kind)
    return failures(DuskContract, kind=kind, **attributes)


def test_a_good_trigger_keeps_the_contract() -> None:
    assert dusk_failures(Dusk, stops_within_s=10.0, fires_within_s=10.0) == {}


STOPPING = {STOPS_FIRST, STOPS_LATER}
BAD_TRIGGERS: list[tuple[type[Dusk], set[str], str]] = [
    (NeverFires, {FIRES}, r"did not fire within 0\.5 s"),
    (
        FiresAtOnce,
        {FIRES, STOPS_LATER},
        r"fired before make_it_happen\(\) was called|fires within 0\.1 s, which",
    ),
    (FiresWhenStopped, STOPPING, r"returned from wait\(\) as if it had fired, although ctx\.stop was set"),
    (Blind, {FIRES}, r"raised OSError: nothing to see when it was to fire"),
    (Offended, STOPPING, r"raised RuntimeError: I was waiting, not Cancelled"),
    (Deaf, STOPPING, r"left this behind 0\.2 s after ctx\.stop was set: wait\(\) itself"),
    (Listening, {FIRES, *STOPPING}, r"a change of the logger 'moths\.\d+'"),
    (Branching, {FIRES, *STOPPING}, r"the thread 'moth'"),
    (TwoLines, {PLAN}, r"in_words\(\) is 'when it\\nis dark', not one line of text"),
    (Looking, {PLAN}, r"is not planned without touching anything: open '[^']*test_trigger_contract\.py'$"),
]


@pytest.mark.parametrize(
    ("kind", "broken", "sentence"), BAD_TRIGGERS, ids=[one.__name__ for one, *_ in BAD_TRIGGERS]
)
def test_a_bad_trigger_breaks_the_promise_that_it_breaks(
    kind: type[Dusk], broken: set[str], sentence: str
) -> None:
    said = dusk_failures(kind, fires_within_s=0.5)
    assert said.keys() == broken
    for one in said.values():
        assert "\n" not in one
        assert re.search(sentence, one), one


class Listens(Dusk):
    """It hears one moment, and forgets it."""

    listens = True
    sets: ClassVar[bool] = True

    def wait(self, ctx: RunContext) -> None:
        if self.sets:
            ctx.listening.set()
        super().wait(ctx)


class SaysThatItListens(Listens):
    sets = False


class ListensBadly(Listens):
    """It needs to be told twice."""

    def wait(self, ctx: RunContext) -> None:
        super().wait(ctx)
        LIT.clear()
        super().wait(ctx)


def test_a_trigger_that_listens_is_told_once() -> None:
    told = [0]

    def tell(*_: object) -> None:
        told[0] += 1
        LIT.set()

    assert dusk_failures(Listens, make_it_happen=tell) == {}
    assert told == [1]
    TRIGGERS.unregister("dusk")
    assert dusk_failures(ListensBadly, make_it_happen=tell, fires_within_s=0.5) == {
        FIRES: "ListensBadly did not fire within 0.5 s"
    }
    TRIGGERS.unregister("dusk")
    assert dusk_failures(SaysThatItListens, fires_within_s=0.5) == {
        FIRES: "SaysThatItListens says that it listens, and did not set ctx.listening"
    }


class FarDusk(Dusk):
    def targets(self) -> list[str]:
        return ["http://192.0.2.1/"]


def test_what_is_outside_is_not_asked() -> None:
    trigger: Any = type("Tried", (DuskContract,), {"kind": FarDusk})
    with pytest.raises(TargetRefused, match=r"192\.0\.2\.1"):
        trigger().test_it_fires_when_it_should_and_not_before()
    assert not LIT.is_set()


def test_a_trigger_must_be_registered_as_what_it_says() -> None:
    said = failures(DuskContract, kind=Dusk)
    assert said.keys() == {ROUND_TRIP, SCHEMA}
    assert said[SCHEMA] == (
        "Dusk is not what the type 'dusk' stands for: decorate it with @TRIGGERS.register(\"dusk\")"
    )
