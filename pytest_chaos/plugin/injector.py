"""The ``chaos_injector`` fixture: disruptions started from inside a test body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Event, Lock, get_ident
from types import TracebackType
from typing import Any, Literal, Self

from pytest_chaos.engine.conclusion import unrun
from pytest_chaos.engine.run import NotStarted, Run, Wait, end_all
from pytest_chaos.engine.verdict import Body
from pytest_chaos.errors import ChaosError, NotHeld, SpecError
from pytest_chaos.milestones import Milestones
from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Verdict
from pytest_chaos.plugin import text
from pytest_chaos.plugin.marks import check_specs, read_min_overlap, read_wait
from pytest_chaos.plugin.offloop import off_loop
from pytest_chaos.plugin.outcomes import body_of
from pytest_chaos.secrecy import Redactor
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec

NewRun = Callable[[Sequence[ChaosSpec], Wait, float | None, Callable[[], bool]], Run]


class Injection:
    """Disruptions started by hand, as a block: ``with`` or, in an async test, ``async with``.

    Attributes:
        outcomes: one for each spec, once the block has ended.
        active: set while the first of them is really under way.
        check: whether leaving the block raises unless every disruption held.
        told: whether what was raised reached the test, as far as that is known; if not, the outcomes decide about it in
            the end.
    """

    def __init__(
        self,
        specs: Sequence[ChaosSpec],
        new_run: Callable[[Callable[[], bool]], Run],
        *,
        check: bool,
        settings: Settings,
        test: str,
        home: int,
    ) -> None:
        self.outcomes: list[ChaosOutcome] = []
        self.active = Event()
        self.check = check
        self.told = False
        self._specs = specs
        self._new_run = new_run
        self._settings = settings
        self._test = test
        self._home = home
        self._task: asyncio.Task[Any] | None = None
        self._entered = False
        self._abandoned = False
        self._run: Run | None = None
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """The names of its disruptions."""
        return [spec.name for spec in self._specs]

    @property
    def running(self) -> Run | None:
        """What runs for this block, once it was entered."""
        return self._run

    @property
    def outcome(self) -> ChaosOutcome:
        """The worst outcome. Raises ``ChaosError`` while the block is still running."""
        if not self.outcomes:
            raise ChaosError("there is no outcome yet: the disruption has not ended")
        return max(self.outcomes, key=lambda outcome: outcome.verdict.rank)

    def begin(self) -> None:
        """Start the disruptions and wait until the block may run.

        Raises:
            ChaosError: the block was entered before.
            NotHeld: a disruption failed before it was active; with ``check=False`` the block runs all the same.
        """
        self._enter()
        self._start()
        self._tell_of_a_bad_start()

    def _enter(self) -> None:
        if self._entered:
            raise ChaosError("this block was entered already; ask chaos_injector.inject() for another one")
        self._entered = True

    def _start(self) -> None:
        """Do what may block. What goes wrong with the disruptions ends up in ``outcomes``."""
        if self._settings.disable:
            self.outcomes = self._unrun(Verdict.disabled, "chaos is disabled")
            self.active.set()  # a body that waits for it must not hang in a run in peace
            return
        try:
            run = self._run = self._new_run(lambda: self._abandoned)
            self.active = run.disruptions[0].active
            run.prepare()
            if self._abandoned:
                run.stop()
            run.begin()
        except NotStarted:
            if self.check or self._abandoned:
                self.end(Body.not_run)
        except ChaosError as error:
            why = str(error)
            self.outcomes = self._run.refuse(why) if self._run else self._unrun(Verdict.inconclusive, why)
        except BaseException:
            self.stop()
            raise
        if self._abandoned:
            self._undo()
        if self._run is not None and not self.outcomes:
            self._run.body_starts()

    def _undo(self) -> None:
        if self._run is not None:  # it may have been judged as never entered, before it came to be
            self._run.end(Body.not_run)
        self.end(Body.not_run)

    def _tell_of_a_bad_start(self) -> None:
        if self.outcomes and not self._settings.disable:
            self.note_telling()
            raise NotHeld(text.failure(self.outcomes, "chaos_injector:"), self.outcomes)

    def stop(self) -> None:
        """Ask the disruptions to stop, without waiting, and give up on a recovery that is waited for."""
        self._abandoned = True
        if self._run is not None:
            self._run.stop()
            self._run.give_up_checking()

    def end(self, body: Body) -> list[ChaosOutcome]:
        """Stop, wait, judge. The second call returns what the first one said."""
        with self._lock:
            if not self.outcomes and self._run is not None:
                if body is not Body.not_run:
                    self._run.body_ends()
                self.outcomes = self._run.end(body)
            elif not self.outcomes:
                why = "it was never entered: use `with`, `async with` or chaos_injector.start()"
                self.outcomes = self._unrun(Verdict.inconclusive, why)
            return self.outcomes

    def body_ends(self) -> None:
        """Note that the block is over, and ask everything to stop; ``end`` waits for it and judges it."""
        self._abandoned = True
        if self._run is not None and not self.outcomes:
            self._run.body_ends()

    def _give_up_checking(self) -> None:
        if self._run is not None:
            self._run.give_up_checking()

    def _unrun(self, verdict: Verdict, reason: str) -> list[ChaosOutcome]:
        return unrun(self._specs, verdict, reason, test=self._test, settings=self._settings)

    def note_telling(self) -> None:
        """Note that the test is told here and now: in a thread of its own that may reach nobody."""
        self._task = _current_task()
        self.told = get_ident() == self._home

    @property
    def is_unheard(self) -> bool:
        """Tell whether nobody was told, as it turned out: neither here nor by whoever should have awaited the task."""
        return not self.told or _is_unasked(self._task)

    def _tell(self, error: BaseException | None) -> None:
        """Tell the test of outcomes that it does not know yet: by raising, or in a note on its own failure."""
        if self.told:
            return
        self.note_telling()
        if error is not None:
            # The test may expect this error, but not that nothing was proven.
            self.told &= not any(one.verdict.proves_nothing for one in self.outcomes)
            if note := text.note(self.outcomes):
                error.add_note(note)
        elif self.check and any(one.verdict.fails for one in self.outcomes):
            raise NotHeld(text.failure(self.outcomes, "chaos_injector:"), self.outcomes)

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        __tracebackhide__ = True
        self.end(_body(error))
        self._tell(error)
        return False

    async def __aenter__(self) -> Self:
        self._enter()
        await off_loop(self._start, self.stop)
        self._tell_of_a_bad_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        __tracebackhide__ = True
        if self._run is not None:
            self._run.body_ends()
        try:
            await off_loop(lambda: self.end(_body(error)), self._give_up_checking)
        finally:  # a block that is left by a cancellation may be cancelled again here; its own failure tells enough
            if error is not None:
                self._tell(error)
        if error is None:
            self._tell(None)
        return False


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop
        return None


def _is_unasked(task: asyncio.Task[Any] | None) -> bool:
    """Tell whether ``task`` has ended with an error that nobody has asked for; asyncio itself complains of it late."""
    return task is not None and bool(getattr(task, "_log_traceback", False))


def _body(error: BaseException | None) -> Body:
    return Body.passed if error is None else body_of(error)


class ChaosInjector:
    """Start and stop disruptions from inside a body; each is judged like one from a mark.

    ``spec`` is what a mark takes: a mapping, a ``ChaosSpec``, a file, a name, or a list of these.
    """

    def __init__(
        self,
        *,
        new_run: NewRun,
        read: Callable[[Sequence[Any]], list[ChaosSpec]],
        marked: Callable[[], Run | None],
        marked_names: Sequence[str],
        milestones: Milestones,
        settings: Settings,
        test: str,
    ) -> None:
        self._new_run = new_run
        self._read = read
        self._marked = marked
        self._marked_names = marked_names
        self._milestones = milestones
        self._settings = settings
        self._test = test
        self._home = get_ident()
        self._injections: list[Injection] = []
        self._refused: list[ChaosOutcome] = []
        self._late: list[ChaosOutcome] = []
        self._over = Event()

    @property
    def active(self) -> Event:
        """The event of the disruption that was started last: set while it is really under way."""
        return self._injections[-1].active if self._injections else Event()

    @property
    def outcomes(self) -> list[ChaosOutcome]:
        """The outcomes so far, in the order in which the disruptions were started."""
        started = [outcome for one in self._injections for outcome in one.outcomes]
        return [*self._refused, *started, *self._late]

    @property
    def untold(self) -> list[ChaosOutcome]:
        """The outcomes that the body was not told of, such as of what it left running; they decide about the test."""
        unheard = [one for one in self._injections if one.check and one.is_unheard]
        return [*self._late, *(outcome for one in unheard for outcome in one.outcomes)]

    @property
    def left_to_the_test(self) -> list[ChaosOutcome]:
        """The outcomes of what was started with ``check=False``."""
        return [outcome for one in self._injections if not one.check for outcome in one.outcomes]

    def inject(
        self,
        *specs: Any,
        wait: str | None = None,
        min_overlap: float | None = None,
        check: bool = True,
    ) -> Injection:
        """Return a block, for ``with`` or ``async with``, that is disrupted.

        The block starts as ``wait`` says, like the body of a marked test; ``min_overlap`` means what it means on a mark.
        Leaving it raises unless every disruption held; ``check=False`` leaves the outcomes to the test.

        Raises:
            SpecError: a spec is wrong; nothing is started.
        """
        made = self._made(specs, wait, min_overlap, check=check)
        del specs  # nothing of what was authored may stand in a traceback that shows local variables
        return _or_raise(made)

    def _made(
        self, specs: Sequence[Any], wait: str | None, min_overlap: float | None, *, check: bool
    ) -> Injection | SpecError:
        if self._over.is_set():
            why = f"{self._test} is over, and its chaos_injector starts nothing any more"
            self._late.append(refused(why, test=self._test, name="too late"))
            raise ChaosError(why)
        try:
            given = self._read(specs)
            if not given:
                raise SpecError("chaos_injector: give at least one spec")
            asked = None if wait is None else read_wait(wait, "chaos_injector")
            share = None if min_overlap is None else read_min_overlap(min_overlap, "chaos_injector")
            others = [*self._marked_names, *(name for one in self._injections for name in one.names)]
            how = check_specs(given, asked, self._settings, others=others)
        except SpecError as error:
            told = Redactor(self._settings.secrets).text(str(error))
            self._refused.append(refused(told, test=self._test))
            return SpecError(told)
        injection = Injection(
            given,
            lambda cancelled: self._new_run(given, how, share, cancelled),
            check=check,
            settings=self._settings,
            test=self._test,
            home=self._home,
        )
        self._injections.append(injection)
        if self._over.is_set():  # by now: nobody ends what is started from here on
            injection.stop()
        return injection

    def checkpoint(self, name: str) -> None:
        """Say that the body has come to ``name``; return once every disruption that fires there is active.

        In an async test use ``await acheckpoint(name)``, which does not block the loop.

        Raises:
            NotStarted: one failed before it was active.
        """
        self._milestones.reach("checkpoint", name)
        for run in self._runs():
            run.checkpoint(("checkpoint", name))

    async def acheckpoint(self, name: str) -> None:
        """Do what ``checkpoint`` does without blocking the event loop."""
        await off_loop(lambda: self.checkpoint(name), self._stop_all)

    def _stop_all(self) -> None:
        for run in self._runs():
            run.stop()

    def _runs(self) -> list[Run]:
        runs = [self._marked(), *(one.running for one in self._injections)]
        return [run for run in runs if run is not None]

    def start(
        self,
        *specs: Any,
        wait: str | None = None,
        min_overlap: float | None = None,
        check: bool = True,
    ) -> Injection:
        """Start disruptions now. What is not stopped when the body ends is stopped and judged then."""
        made = self._made(specs, wait, min_overlap, check=check)
        del specs
        injection = _or_raise(made)
        injection.begin()
        return injection

    def stop(self, injection: Injection | None = None) -> list[ChaosOutcome]:
        """Stop one injection, or all that run, and return the outcomes.

        Raises:
            NotHeld: one did not hold, and was not started with ``check=False``.
        """
        __tracebackhide__ = True
        chosen = [injection] if injection else [one for one in self._injections if not one.told]
        _end_together(chosen, Body.passed)
        outcomes = [outcome for one in chosen for outcome in one.end(Body.passed)]
        for one in chosen:
            one.note_telling()
        bad = [outcome for one in chosen if one.check for outcome in one.outcomes if outcome.verdict.fails]
        if bad:
            raise NotHeld(text.failure(bad, "chaos_injector:"), bad)
        return outcomes

    def run(self, *specs: Any, check: bool = True) -> list[ChaosOutcome]:
        """Run disruptions to their end, which needs faults that end by themselves, and return the outcomes."""
        __tracebackhide__ = True
        made = self._made(specs, "done", None, check=check)
        del specs
        with _or_raise(made) as injection:
            pass
        return injection.outcomes

    def finish(self) -> list[ChaosOutcome]:
        """End what still runs because the test is over, and start nothing any more; return all outcomes."""
        self._over.set()
        return self.close(Body.not_run)

    def close(self, body: Body, beside: Sequence[Run] = ()) -> list[ChaosOutcome]:
        """End what still runs because the body is over, together with what runs ``beside`` it; return all outcomes."""
        _end_together(self._injections, body, beside)
        for one in self._injections:
            one.end(body)
        return self.outcomes


def _end_together(injections: Sequence[Injection], body: Body, beside: Sequence[Run] = ()) -> None:
    left = [one for one in injections if not one.outcomes]
    for one in left:
        if body is Body.not_run:
            one.stop()
        else:
            one.body_ends()
    end_all([*beside, *(one.running for one in left if one.running is not None)], body)


def _or_raise(made: Injection | SpecError) -> Injection:
    if isinstance(made, SpecError):
        raise made
    return made


def refused(reason: str, *, test: str, name: str = "unreadable spec") -> ChaosOutcome:
    """Return the outcome of something that was no spec that could be started."""
    result = ChaosResult(success=False, injected_fault="unknown", error=reason)
    return ChaosOutcome(name=name, verdict=Verdict.inconclusive, reason=reason, result=result, test=test)
