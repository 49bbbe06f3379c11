"""The brake: a check that stops a disruption when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_chaos.engine.checks import Check, Question
from pytest_chaos.engine.sampler import Sampler

if TYPE_CHECKING:
    from pytest_chaos.engine.disruption import Disruption


class Brake:
    """Ask the check that a spec names in ``abort_when`` while it is active, and abort it when the check fails.

    Attributes:
        broken: why it is no usable check, if it turned out to be none.
    """

    def __init__(self, disruption: Disruption, check: Check, *, timeout_s: float) -> None:
        self._disruption = disruption
        self._question = Question(disruption.spec.abort_when or "", check, disruption, timeout_s=timeout_s)
        self._sampler = Sampler(disruption, self._ask, every_s=disruption.spec.verify_every)
        self.broken: str | None = None

    def start(self) -> None:
        """Begin to ask, in a thread."""
        self._sampler.start()

    def end(self) -> None:
        """Ask no more."""
        self._sampler.end()

    def _ask(self) -> None:
        try:
            failure = self._question.ask()
        except Exception as error:  # noqa: BLE001 - whatever breaks here: a brake that cannot be relied on stops
            failure = self.broken = str(error)
        if failure is not None:
            self._disruption.abort(failure, broke=True)
            self._disruption.cut_off()
