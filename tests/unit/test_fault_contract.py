"""Each promise of a fault is tested: it fails for those who break it, in one sentence, and for nobody else."""

# ruff: noqa: ARG002 - what overrides a method has its arguments, whether it needs them or not

from __future__ import annotations

import logging
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, computed_field

from pytest_chaos.base import FAULTS, Fault, Plan
from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, TargetRefused
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.settings import Settings
from pytest_chaos.testing import FaultContract
from tests.support.promises import COUNTER, LIT, PLAN, RELEASE, ROUND_TRIP, SCHEMA, SLEEPER, failures

STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _dark() -> Iterator[None]:
    LIT.clear()
    RELEASE.clear()
    yield
    RELEASE.set()
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


BEFORE = "stops_when_asked_before_it_begins"
STARTING = "stops_when_asked_before_it_is_active"
AT_ONCE = "stops_when_asked_as_soon_as_it_is_active"
SEEN = "is_active_only_once_its_effect_is_seen"
RESULT = "its_result_is_clean_json"


class Watts(BaseModel):
    watts: float


class Lamp(Fault):
    """A fault without fault: it makes light until it is asked to stop."""

    type: Literal["lamp"] = "lamp"
    watts: float = 3.0

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        if ctx.stop.is_set():
            raise Cancelled("no light is wanted")
        return self.light(ctx, chaos_active_event or threading.Event())

    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        LIT.set()
        active.set()
        ctx.stop.wait()
        return self.result(watts=self.watts)

    def result(self, **details: object) -> ChaosResult:
        return ChaosResult.model_validate({"success": True, "injected_fault": "lamp", "details": details})


class Leaves(Lamp):
    """It leaves behind what ``leave`` starts. What ``ctx.spawn`` has started would be ended for it."""

    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        self.leave(ctx)
        return super().inject(ctx, chaos_active_event)

    def leave(self, ctx: RunContext) -> None:
        raise NotImplementedError


class LeavesThread(Leaves):
    def leave(self, ctx: RunContext) -> None:
        threading.Thread(target=RELEASE.wait, name="moth", daemon=True).start()


class LeavesHandler(Leaves):
    def leave(self, ctx: RunContext) -> None:
        # A logger of each run's own: the one before has not been tidied up either.
        logging.getLogger(f"moths.{next(COUNTER)}").addHandler(logging.NullHandler())


class DeafBefore(Lamp):
    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        if ctx.stop.is_set():
            RELEASE.wait()
        return super().inject(ctx, chaos_active_event)


class DeafWhileStarting(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        if ctx.stop.wait(0.3):
            RELEASE.wait()
        return super().light(ctx, active)


class DeafOnceActive(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        LIT.set()
        active.set()
        RELEASE.wait()
        return self.result()


class Eager(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        active.set()
        return super().light(ctx, active)


class NeverLit(Lamp):
    def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
        return self.result()


class Fused(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        raise OSError("the fuse\nhas blown")


class CancelledTooLate(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> ChaosResult:
        super().light(ctx, active)
        raise Cancelled("no more")


class NoResult(Lamp):
    def light(self, ctx: RunContext, active: threading.Event) -> Any:
        super().light(ctx, active)


class Unchecked(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return ChaosResult.model_construct(success="very", injected_fault="lamp", output=b"")


class Changed(Lamp):
    def result(self, **details: object) -> ChaosResult:
        result = super().result(**details)
        result.details["watts"] = float("nan")
        return result


class Talkative(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return ChaosResult(success=True, injected_fault="lamp", output="light " * 1_000)


class Encyclopaedic(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return super().result(watts=[0] * 30_000)


class Deep(Lamp):
    def result(self, **details: object) -> ChaosResult:
        deep: object = 3
        for _ in range(20):
            deep = [deep]
        return super().result(watts=deep)


class LongKey(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return super().result(**{"w" * 300: 3})


class Unexplained(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return super().result(watts=3, volts=230)


class NotANumber(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return super().result(watts=float("nan"))


class UnderAnotherName(Lamp):
    def result(self, **details: object) -> ChaosResult:
        return ChaosResult(success=True, injected_fault="candle")


class Forgetful(Lamp):
    watts: Annotated[float, Field(exclude=True)] = 3.0


class Picky(Lamp):
    colour: Path = Path("red")


class Misdescribed(Lamp):
    watts: Annotated[float, Field(json_schema_extra={"maximum": 1})] = 3.0


class Reading(Lamp):
    def plan(self, settings: Settings) -> Plan:
        return Plan(summary=Path(__file__).read_text(encoding="utf-8")[:10].strip())


class Asking(Lamp):
    def targets(self) -> list[str]:
        socket.getaddrinfo("127.0.0.1", 80)
        return []


class Starting(Lamp):
    def plan(self, settings: Settings) -> Plan:
        subprocess.run(["true"], check=True)
        return super().plan(settings)


class Undecided(Lamp):
    def plan(self, settings: Settings) -> Plan:
        return Plan(summary=f"lamp {random.random()}")


class Unplannable(Lamp):
    def plan(self, settings: Settings) -> Plan:
        raise TargetRefused("too bright")


class Verbose(Lamp):
    def plan(self, settings: Settings) -> Plan:
        return Plan(summary="a lamp\nthat shines")


class LampContract(FaultContract):
    """The contract of whatever ``kind`` of lamp is registered."""

    __test__ = False

    kind: type[Lamp]
    stops_within_s = 0.2
    details_model = Watts

    def make_fault(self) -> Fault:
        return self.kind(watts=7.0)

    def effect_seen(self) -> bool:
        return LIT.is_set()


def lamp_failures(kind: type[Lamp], **attributes: object) -> dict[str, str]:
    FAULTS.register("lamp")(kind)
    return failures(LampContract, kind=kind, **attributes)


def test_a_good_fault_keeps_the_contract() -> None:
    assert lamp_failures(Lamp, stops_within_s=10.0) == {}


STOPS = {BEFORE, STARTING, AT_ONCE}
ONCE_ACTIVE = {STARTING, AT_ONCE, RESULT}
BAD_FAULTS: list[tuple[type[Lamp], set[str], str]] = [
    (DeafBefore, {BEFORE}, r"left this behind 0\.2 s after ctx\.stop was set: inject\(\) itself"),
    (DeafWhileStarting, {STARTING}, r"left this behind 0\.2 s after ctx\.stop was set: inject\(\) itself"),
    (DeafOnceActive, ONCE_ACTIVE, r"inject\(\) itself|returned NoneType, not a ChaosResult"),
    (LeavesThread, STOPS, r"the thread 'moth'"),
    (LeavesHandler, STOPS, r"a change of the logger 'moths\.\d+'"),
    (Eager, {SEEN}, r"set chaos_active_event before its effect was there: effect_seen\(\) returned False"),
    (
        NeverLit,
        STOPS | {SEEN, RESULT},
        r"reports success, although it never|was not active within 5 s: it gave",
    ),
    (Fused, ONCE_ACTIVE | {SEEN}, r"was not active within 5 s: OSError: the fuse has blown"),
    (CancelledTooLate, ONCE_ACTIVE, r"raised Cancelled: no more when it was to return a result"),
    (NoResult, ONCE_ACTIVE, r"returned NoneType, not a ChaosResult"),
    (Unchecked, {RESULT}, r"returned a result that is none: success: must be a valid boolean"),
    (Changed, {RESULT}, r"returned a result that changes when it is checked again"),
    (Talkative, {RESULT}, r"was cut: output ends with '.*\.\.\. \(\d+ more characters\)'; say it in less"),
    (Encyclopaedic, {RESULT}, r"was cut: all of its details together may have 200000 characters"),
    (Deep, {RESULT}, r"was cut: details\.watts(\.0)+ ends with '\.\.\.'"),
    (LongKey, {RESULT}, r"was cut: details\.w+"),
    (Unexplained, {RESULT}, r"gives the detail 'volts', which Watts does not explain"),
    (NotANumber, {RESULT}, r"gives details that are no Watts: watts: Input should be a valid number"),
    (UnderAnotherName, {RESULT}, r"returned a result of 'candle', not of 'lamp'"),
    (Forgetful, {ROUND_TRIP}, r"is read back as something else: Forgetful\(.*watts=3\.0\), not .*watts=7\.0"),
    (Picky, {ROUND_TRIP}, r"cannot be read back: action.colour: must be an instance of Path"),
    (
        Misdescribed,
        {SCHEMA},
        r"is not what its JSON Schema describes: \$\.watts: 7\.0 is greater than the max",
    ),
    (Reading, {PLAN}, r"is not planned without touching anything: open '[^']*test_fault_contract\.py'$"),
    (Asking, {PLAN}, r"is not planned without touching anything: socket\.getaddrinfo '127\.0\.0\.1'"),
    (Starting, {PLAN}, r"is not planned without touching anything: .*subprocess\.Popen 'true'"),
    (Undecided, {PLAN}, r"is planned as \[.*lamp 0\..*\] and then as \["),
    (Unplannable, {PLAN}, r"cannot be planned: TargetRefused: too bright"),
    (Verbose, {PLAN}, r"plan\(\)\.summary is 'a lamp\\nthat shines', not one line of text"),
]


@pytest.mark.parametrize(
    ("kind", "broken", "sentence"), BAD_FAULTS, ids=[one.__name__ for one, *_ in BAD_FAULTS]
)
def test_a_bad_fault_breaks_the_promise_that_it_breaks(
    kind: type[Lamp], broken: set[str], sentence: str
) -> None:
    said = lamp_failures(kind)
    assert said.keys() == broken
    for one in said.values():
        assert one.startswith(f"{kind.__name__} ")
        assert "\n" not in one
        assert re.search(sentence, one), one


class LeavesAnotherProcess(Leaves):
    def leave(self, ctx: RunContext) -> None:
        STARTED.append(subprocess.Popen(SLEEPER))


def test_a_process_that_the_context_did_not_start_is_found_too() -> None:
    contract: Any = type("Tried", (LampContract,), {"kind": LeavesAnotherProcess})
    with pytest.raises(AssertionError, match=r"left this behind .* the process \d+ \(python"):
        contract().test_it_stops_when_asked_as_soon_as_it_is_active()


class Counted(Lamp):
    @computed_field
    def lumens(self) -> float:
        return 80 * self.watts


class Opaque(Lamp):
    colour: Any = None


def test_what_json_or_its_schema_cannot_hold_is_named() -> None:
    said = lamp_failures(Counted)
    assert said[ROUND_TRIP] == (
        "Counted cannot be read back: action.lumens: unknown key; allowed: type, watts"
    )
    assert "Counted is not what its JSON Schema describes: $: Additional properties" in said[SCHEMA]
    FAULTS.unregister("lamp")
    FAULTS.register("lamp")(Opaque)
    said = failures(LampContract, make_fault=lambda _: Opaque(colour=object()))
    assert said.keys() == {ROUND_TRIP, SCHEMA}
    assert all(
        one.startswith("Opaque cannot be written as JSON: PydanticSerializationError: ")
        for one in said.values()
    )


def test_without_jsonschema_the_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert lamp_failures(Lamp) == {}
    FAULTS.unregister("lamp")
    assert lamp_failures(Counted)[SCHEMA].endswith("describes: it knows no 'lumens'")


def test_a_fault_must_be_registered_as_what_it_says() -> None:
    fix = 'decorate it with @FAULTS.register("lamp")'
    one = failures(LampContract, kind=Lamp)[SCHEMA]
    assert one == f"Lamp is not what the type 'lamp' stands for: {fix}"
    FAULTS.register("lamp")(Lamp)
    assert failures(LampContract, kind=Eager)[SCHEMA].endswith(fix)


def test_an_effect_that_is_always_there_shows_nothing() -> None:
    said = lamp_failures(Lamp, effect_seen=lambda _: True)
    assert said.keys() == {SEEN}
    assert said[SEEN].endswith("was seen before inject() began, so effect_seen() shows nothing")


def test_who_cannot_see_the_effect_says_so() -> None:
    undefined = FaultContract.effect_seen
    assert lamp_failures(Eager, unseen_because="the bulb is a black box", effect_seen=undefined) == {
        SEEN: "nobody can see the effect: the bulb is a black box"
    }
    FAULTS.unregister("lamp")
    said = lamp_failures(Lamp, effect_seen=undefined)
    assert said.keys() == {SEEN}
    assert said[SEEN].startswith("define effect_seen(), ")
    assert failures(LampContract, kind=Lamp, effect_seen=lambda _: None)[SEEN] == (
        "Tried returned None from effect_seen(): return True or False"
    )


def test_an_eye_that_breaks_is_not_taken_for_the_fault() -> None:
    def broken_eye(_: object) -> bool:
        assert not LIT.is_set(), "too bright"
        return False

    assert lamp_failures(Lamp, effect_seen=broken_eye)[SEEN].startswith("too bright")


def test_details_need_a_model_and_a_shortfall_does_not() -> None:
    class Dim(Lamp):
        def result(self, **details: object) -> ChaosResult:
            return super().result(**details, shortfall="dimmer than asked")

    assert lamp_failures(Dim) == {}
    said = failures(LampContract, kind=Dim, details_model=None)
    assert said == {
        RESULT: "Dim gives details that nobody explains: name a model of 'watts' in details_model"
    }


class FarLamp(Lamp):
    def targets(self) -> list[str]:
        return ["http://192.0.2.1/"]


def test_what_is_outside_is_not_touched() -> None:
    fault: Any = type("Tried", (LampContract,), {"kind": FarLamp})
    with pytest.raises(TargetRefused, match=r"192\.0\.2\.1"):
        fault().test_it_stops_when_asked_as_soon_as_it_is_active()
    assert not LIT.is_set()
