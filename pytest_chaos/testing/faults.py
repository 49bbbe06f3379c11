"""The contract of a fault."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from unittest import SkipTest

from pydantic import BaseModel, ValidationError

from pytest_chaos import clocks
from pytest_chaos.base import FAULTS, Fault
from pytest_chaos.context import ActiveEvent
from pytest_chaos.errors import Cancelled
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.schema import explain
from pytest_chaos.scrub import MAX_DEPTH, MAX_DOCUMENT
from pytest_chaos.spec import ChaosSpec
from pytest_chaos.testing.contract import Contract, broken, check_line, in_words
from pytest_chaos.testing.traces import Traces
from pytest_chaos.testing.trial import context
from pytest_chaos.triggers.time_delay import TimeTrigger

__tracebackhide__ = True  # pytest shows the sentence alone, not where it stands here
_CUT: Final = re.compile(r"\.\.\. \(\d+ more characters\)\Z")


class FaultContract(Contract):
    """What every fault must keep to. Subclass it in a test module, and define ``make_fault`` and ``effect_seen``.

    Each test runs ``inject`` in a thread, as a test under chaos does. There is a new instance for each, so a fixture can
    put on ``self`` what both methods need.

    Attributes:
        active_within_s: seconds in which the fault must be active.
        stops_within_s: seconds in which it must have returned once it is asked to stop, and have left nothing behind.
        unseen_because: why nobody can see the effect from outside. The test that needs it is then skipped, and says so.
        details_model: says what the keys of the result's ``details`` mean; None if there are none.
    """

    __test__ = False

    active_within_s: float = 5.0
    stops_within_s: float = 5.0
    unseen_because: str | None = None
    details_model: type[BaseModel] | None = None

    _registry = FAULTS
    _key = "action"

    def make_fault(self) -> Fault:
        """Return the fault, ready to be injected. Without a duration it shows most."""
        raise NotImplementedError("define make_fault(), which returns the fault to test")

    def effect_seen(self) -> bool:
        """Tell whether the effect can be seen at this moment: from outside, not by asking the fault.

        It is asked before ``inject`` begins, and in the fault's own thread at the moment when it says that it is active.
        """
        raise NotImplementedError(
            "define effect_seen(), which tells whether the effect can be seen from outside, or say in unseen_because why nobody can"
        )

    def test_it_stops_when_asked_before_it_begins(self) -> None:
        """It returns soon, leaves nothing behind and claims nothing."""
        self._check_end(self._inject(stop_after_s=0))

    def test_it_stops_when_asked_before_it_is_active(self) -> None:
        """The same, asked when half of the time has passed that it takes to be active."""
        needed_s = self._active(self._inject())
        self._check_end(self._inject(stop_after_s=needed_s / 2))

    def test_it_stops_when_asked_as_soon_as_it_is_active(self) -> None:
        """The same, asked at once when it says that it is active."""
        run = self._inject()
        self._active(run)
        self._check_end(run)

    def test_it_is_active_only_once_its_effect_is_seen(self) -> None:
        """The effect is not there before, and it is there at the moment when the event is set."""
        if self.unseen_because is not None:
            raise SkipTest(f"nobody can see the effect: {self.unseen_because}")
        seen: list[object] = []

        def look() -> None:
            try:
                seen.append(self.effect_seen())
            except Exception as error:  # noqa: BLE001 - it is the author's, and would be taken for the fault's
                seen.append(error)

        look()
        run = self._inject(look)
        for answer in seen:
            if isinstance(answer, Exception):
                raise answer
            if not isinstance(answer, bool):
                raise broken(self, f"returned {answer!r} from effect_seen(): return True or False")
        self._active(run)
        before, *at_active = seen
        if before:
            raise broken(
                run.fault, "has an effect that was seen before inject() began, so effect_seen() shows nothing"
            )
        if not all(at_active):
            raise broken(
                run.fault, "set chaos_active_event before its effect was there: effect_seen() returned False"
            )

    def test_its_result_is_clean_json(self) -> None:
        """Nothing of its result gets lost on the way into a report, and its details are documented."""
        run = self._inject()
        self._active(run)
        result = self._result(run)
        try:
            # As it is built anew by whoever runs the fault: it may have been changed since, or never have been checked.
            checked = ChaosResult.model_validate(
                {name: getattr(result, name, None) for name in ChaosResult.model_fields}
            )
            text = json.dumps(checked.model_dump(mode="json"), allow_nan=False)
        except ValidationError as error:
            raise broken(
                run.fault, f"returned a result that is none: {'; '.join(explain(error, {}))}"
            ) from None
        if checked != result or ChaosResult.model_validate(json.loads(text)) != checked:
            raise broken(
                run.fault,
                "returned a result that changes when it is checked again: make a ChaosResult of it all",
            )
        for cut in _cuts(checked):
            raise broken(run.fault, f"returned a result that was cut: {cut}; say it in less")
        if checked.injected_fault != run.fault.type:
            raise broken(
                run.fault, f"returned a result of {checked.injected_fault!r}, not of {run.fault.type!r}"
            )
        self._check_details(run.fault, {**checked.details})

    def _made(self) -> tuple[Fault, ChaosSpec]:
        spec = ChaosSpec(trigger=TimeTrigger(), action=self.make_fault())
        return spec.action, spec

    def _check_words(self, subject: Fault) -> None:
        check_line("plan().summary", subject.plan(self.settings).summary)

    def _inject(
        self, look: Callable[[], None] = lambda: None, *, stop_after_s: float | None = None
    ) -> _Injected:
        """Run the fault; ask it to stop after so many seconds, or when it is active. ``look`` when it says that it is."""
        fault, _ = self._made()
        moved = threading.Event()
        active = _Told(look, moved)
        came: list[object] = []

        def inject() -> None:
            try:
                came.append(fault.inject(ctx, active))
            except BaseException as error:  # noqa: BLE001 - whatever a fault raises is judged, not lost in a thread
                came.append(error)
            moved.set()

        traces, thread = Traces(), threading.Thread(target=inject, name="pytest-chaos-contract", daemon=True)
        with context(settings=self.settings) as ctx:
            for url in fault.targets():
                ctx.allow(url)  # as before any run: what is outside is not touched here either
            if stop_after_s == 0:
                ctx.stop.set()
            began = clocks.monotonic()
            thread.start()
            moved.wait(self.active_within_s if stop_after_s is None else stop_after_s)
            ctx.stop.set()
            asked = clocks.monotonic()
            thread.join(self.stops_within_s)
            left = ["inject() itself"] if thread.is_alive() else traces.left(asked + self.stops_within_s)
        spans = active.spans()
        return _Injected(
            fault=fault,
            came=came[0] if came else None,
            active_after_s=spans[0][0] - began if spans else None,
            left=left,
        )

    def _active(self, run: _Injected) -> float:
        """Return the seconds after which it was active."""
        if run.active_after_s is None:
            said = run.came.error if isinstance(run.came, ChaosResult) else run.came
            why = in_words(said) if isinstance(said, BaseException) else said or "it gave no reason"
            raise broken(run.fault, f"was not active within {self.active_within_s:g} s: {why}")
        return run.active_after_s

    def _result(self, run: _Injected) -> ChaosResult:
        if isinstance(run.came, BaseException):
            raise broken(
                run.fault, f"raised {in_words(run.came)} when it was to return a result"
            ) from run.came
        if not isinstance(run.came, ChaosResult):
            raise broken(run.fault, f"returned {type(run.came).__name__}, not a ChaosResult")
        return run.came

    def _check_end(self, run: _Injected) -> None:
        if run.left:
            raise broken(
                run.fault,
                f"left this behind {self.stops_within_s:g} s after ctx.stop was set: {', '.join(run.left)}",
            )
        if isinstance(run.came, Cancelled) and run.active_after_s is None:
            return
        if self._result(run).success and run.active_after_s is None:
            raise broken(run.fault, "reports success, although it never was active")

    def _check_details(self, fault: Fault, details: dict[str, Any]) -> None:
        details.pop("shortfall", None)  # the key that every fault may use
        model = self.details_model
        if model is None:
            if details:
                raise broken(
                    fault,
                    f"gives details that nobody explains: name a model of {', '.join(map(repr, details))} in details_model",
                )
            return
        for key in (
            details.keys() - model.model_json_schema(mode="serialization").get("properties", {}).keys()
        ):
            raise broken(fault, f"gives the detail {key!r}, which {model.__name__} does not explain")
        try:
            model.model_validate(details)
        except ValidationError as error:
            words = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise broken(fault, f"gives details that are no {model.__name__}: {words}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Injected:
    """What came of one run: what it returned or raised, when it was active, what it left behind in the end."""

    fault: Fault
    came: object
    active_after_s: float | None
    left: list[str]


class _Told(ActiveEvent):
    """Looks at the effect when it is set, before anybody else can."""

    def __init__(self, look: Callable[[], None], moved: threading.Event) -> None:
        super().__init__()
        self._look = look
        self._moved = moved

    def set(self) -> None:
        self._look()
        super().set()
        self._moved.set()


def _cuts(result: ChaosResult) -> Iterator[str]:
    """Yield which texts of a result are not whole, and whether all of its details may be there."""
    size = 0
    for path, value in _walk(result.model_dump(mode="json"), ()):
        texts = [path[-1], value if isinstance(value, str) else ""]
        size += 10 + sum(map(len, texts)) if path[0] == "details" else 0
        if any(map(_CUT.search, texts)) or (value == "..." and len(path) > MAX_DEPTH):
            yield f"{'.'.join(path)[:80]} ends with {texts[-1][-40:]!r}"
    if size >= MAX_DOCUMENT:
        yield f"all of its details together may have {MAX_DOCUMENT} characters"


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for key, item in items:
        yield from _walk(item, (*path, str(key)))
