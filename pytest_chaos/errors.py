"""The errors of this project: one small tree under one public base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_chaos.outcome import ChaosOutcome


class ChaosError(Exception):
    """Base of everything this project raises on purpose. The message says what, where and what to do."""


class SpecError(ChaosError):
    """A spec, marker or registration that cannot be used as written."""


class TargetRefused(ChaosError):
    """A target or a size outside what the project's settings allow. Nothing was started."""


class FaultFailed(ChaosError):
    """A fault could not do its harm, or could not prove that it did.

    ``kind`` is one word for programs (``no_json``, ``killed``, ...), the message is for people.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ToolRefused(ChaosError):
    """A tool will not do what it was asked for; the message goes back to the client as the result of its call."""


class Cancelled(ChaosError):
    """The disruption was asked to stop before the fault had begun. Not a failure by itself."""


class SteadyStateBad(ChaosError):
    """The named check did not hold before anything was started."""


class TriggerTimeout(ChaosError):
    """A trigger did not fire in time. ``skip`` tells that the spec wants the test to be skipped then."""

    def __init__(self, message: str, *, skip: bool = False) -> None:
        super().__init__(message)
        self.skip = skip


class ModelError(ChaosError):
    """The client of an agent could not answer; the message gives the cause in words, never a key.

    ``report`` is what the loop had come to by then, if it had begun.
    """

    report: Any = None


class ReportError(ChaosError):
    """A file or a report of a test run whose outcomes cannot be read."""


class NotHeld(ChaosError, AssertionError):
    """A disruption started by hand did not hold. ``outcomes`` are the ones that did not."""

    def __init__(self, message: str, outcomes: Sequence[ChaosOutcome]) -> None:
        super().__init__(message)
        self.outcomes = tuple(outcomes)
