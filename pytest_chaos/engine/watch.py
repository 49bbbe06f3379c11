"""Watch: the named check of one disruption, asked before, during and after it."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Final

from pytest_chaos import clocks
from pytest_chaos.engine.checks import Check, Question
from pytest_chaos.engine.sampler import Sampler
from pytest_chaos.outcome import CheckFailure, VerifyReport

if TYPE_CHECKING:
    from pytest_chaos.engine.disruption import Disruption

_KEPT: Final = 20


class Watch:
    """Ask the check that a spec names in ``verify``, phase by phase, and keep what it said.

    Attributes:
        broke_during: what the check said of the disruption while it was active, if it failed.
        broke_after: what it said when the system had not recovered, if that is so.
        recovered_s: the time to recover; None as long as that is not known.
        broken: why it is no usable check, if it turned out to be none.
    """

    def __init__(self, disruption: Disruption, check: Check, *, timeout_s: float) -> None:
        self._disruption = disruption
        self._spec = disruption.spec
        self._question = Question(disruption.spec.verify or "", check, disruption, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._phases: dict[str, bool] = {}
        self._failures: list[CheckFailure] = []
        self._failed = 0
        self._samples = 0
        self._tries = 0
        self.recovered_s: float | None = None
        self._sampler = Sampler(disruption, self._sample, every_s=disruption.spec.verify_every)
        self._given_up = Event()
        self.broke_during: str | None = None
        self.broke_after: str | None = None
        self.broken: str | None = None

    @property
    def unsampled(self) -> bool:
        """Tell whether the check was to be asked during the disruption, and never was."""
        return "during" in self._spec.verify_phases and not self._samples

    def before(self) -> str | None:
        """Ask once, before anything is started. Return None if it held or is not wanted, else why it did not."""
        if "before" not in self._spec.verify_phases:
            return None
        failure = self._ask("before")
        self._phases["before"] = failure is None and self.broken is None
        return failure

    def start(self) -> None:
        """Begin to ask again and again while the disruption is active, in a thread, if that is wanted."""
        if "during" in self._spec.verify_phases:
            self._sampler.start()

    def join(self) -> None:
        """Ask no more during the disruption, and wait for the last answer. The check's own timeout bounds it."""
        self._sampler.end(self._timeout_s + 1)

    def give_up(self) -> None:
        """Ask no more, whatever the answer would be."""
        self._given_up.set()
        self._sampler.end()

    def recover(self, since: float) -> bool:
        """Ask until the system has recovered from what ended at ``since``, or ``recover_within`` has passed.

        Tell whether it was asked: only if that is wanted, and only once.
        """
        if "after" not in self._spec.verify_phases or "after" in self._phases:
            return False
        self._recover(since)
        return True

    def report(self) -> VerifyReport:
        """Return what was asked and answered so far."""
        return VerifyReport(
            name=self._spec.verify or "",
            phases=dict(self._phases),
            samples=self._samples,
            tries=self._tries,
            time_to_recover_s=self.recovered_s,
            failed=self._failed,
            failures=list(self._failures),
        )

    def _sample(self) -> None:
        failure = self._ask("during")
        self._samples += 1
        if failure is not None and self.broke_during is None:
            self.broke_during = f"{failure} (while it was active)"
        self._phases["during"] = self.broke_during is None and self.broken is None

    def _recover(self, since: float) -> None:
        """Two passes in a row are needed, the first of them in time; the last try is made when the time is up.

        The very first try always counts, however long it takes; a later one has ``verify_every`` to answer in.
        """
        every, limit = self._spec.verify_every, since + self._spec.recover_within
        needed = 2 if self._spec.recover_within else 1
        passes: list[float] = []
        said = ""
        while not self._given_up.is_set():
            self._tries += 1
            failure = self._ask("after")
            now = clocks.monotonic()
            pause = every
            if failure is None:
                passes.append(now)
                if passes[0] > limit + every and self._tries > len(passes):
                    self.broke_after = self._not_recovered(
                        said, f"held again only {now - since:.3g} s after the fault's end"
                    )
                    break
                if len(passes) == needed:
                    self.recovered_s = round(max(0.0, passes[0] - since), 6)
                    self._phases["after"] = True
                    return
            else:
                passes.clear()
                said = failure
                if now >= limit or self.broken is not None:
                    self.broke_after = self._not_recovered(
                        said, f"did not hold again {now - since:.3g} s after the fault's end"
                    )
                    break
                pause = min(every, limit - now)
            self._given_up.wait(pause)
        else:
            self.broke_after = self._not_recovered(said or "it was not asked", "was given up before it held")
        self._phases["after"] = False

    def _not_recovered(self, said: str, when: str) -> str:
        allowed = self._spec.recover_within
        return f"{said}; it {when}, and `recover_within` allows {allowed:g} s" if allowed else said

    def _ask(self, phase: str) -> str | None:
        """Return None if the check held, else why not; one that cannot be used is kept in ``broken``."""
        began = clocks.monotonic()
        try:
            failure = self._question.ask()
        except Exception as error:  # noqa: BLE001 - a check that cannot be used is our error to report
            failure = self.broken = str(error)
        if failure is not None:
            self._failed += 1
            kept = CheckFailure(at_s=self._disruption.seconds(began), phase=phase, message=failure)
            # The first and the last ones tell most; what is between them is counted.
            del self._failures[_KEPT // 2 : max(_KEPT // 2, len(self._failures) - _KEPT // 2 + 1)]
            self._failures.append(kept)
        return failure
