"""Run a named check (a verifier) and tell a check that fails from one that cannot be used."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

from pytest_chaos.errors import SpecError
from pytest_chaos.registry import did_you_mean
from pytest_chaos.scrub import clean, shown

Check = Callable[..., Any]


def find_check(name: str, checks: Mapping[str, Check], *, key: str = "verify") -> Check:
    """Return the check called ``name``, which ``key`` of a spec asks for.

    Raises:
        SpecError: there is none, or it cannot be called as ``check()`` or ``check(disruption)``.
    """
    if name not in checks:
        known = ", ".join(map(repr, checks)) or "none"
        raise SpecError(
            f"{key}: no check is called {name!r}; chaos_verifiers has: {known}{did_you_mean(name, checks)}"
        )
    check = checks[name]
    if not callable(check):
        raise SpecError(f"{key}: the check {name!r} is {type(check).__name__}, not a function")
    if inspect.iscoroutinefunction(check) or inspect.isasyncgenfunction(check):
        raise SpecError(
            f"{key}: the check {name!r} is a coroutine function; a check must be a plain function"
        )
    if _arity(check) is None:
        raise SpecError(f"{key}: the check {name!r} must take nothing, or the disruption alone")
    return check


class Question:
    """A named check as it is asked about one disruption: bounded, and with the context variables of the test."""

    def __init__(self, name: str, check: Check, disruption: object, *, timeout_s: float) -> None:
        self._name = name
        self._check = check
        self._disruption = disruption
        self._timeout_s = timeout_s
        self._context = contextvars.copy_context()

    def ask(self) -> str | None:
        """Ask in a thread of its own, which cannot hang; return None if the check held, else why not.

        It holds by returning None or True and fails by returning False, by raising, or by not answering in time.

        Raises:
            SpecError: it returned anything else, or could not be asked.
        """
        answers: list[Any] = []
        errors: list[str] = []

        def ask() -> None:
            try:
                answer = self._check(self._disruption) if _arity(self._check) == 1 else self._check()
                answers.append((answer, shown(answer, 80)))
            except BaseException as error:  # noqa: BLE001 - a check fails by raising; pytest.fail raises a BaseException
                errors.append(_words(error))

        thread = Thread(target=self._context.copy().run, args=(ask,), name="pytest-chaos-check", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # a machine that is short of threads
            raise SpecError(f"the check {self._name!r} could not be asked: {error}") from None
        thread.join(self._timeout_s)
        failed = f"the check {self._name!r} failed:"
        if errors:
            return f"{failed} {errors[0]}"
        if not answers:
            return f"{failed} it did not answer within {self._timeout_s:g} s (chaos_check_timeout)"
        ((answer, words),) = answers
        if answer is None or answer is True:
            return None
        if answer is False:
            return f"{failed} it returned False"
        if inspect.iscoroutine(answer):
            answer.close()
        raise SpecError(
            f"the check {self._name!r} returned {words}; it must return None or True, return False, or raise"
        )


def _words(error: BaseException) -> str:
    try:
        words = clean(" ".join(str(error).split()), 1000)
    except Exception:  # noqa: BLE001 - foreign __str__
        words = ""
    return f"{type(error).__name__}: {words or 'no message'}"


def _arity(check: Check) -> int | None:
    """Return 0 or 1, the number of arguments to call ``check`` with; None if neither fits."""
    try:
        signature = inspect.signature(check)
    except (TypeError, ValueError):  # some built-ins have none
        return 0
    for count in (0, 1):
        try:
            signature.bind(*([None] * count))
        except TypeError:
            continue
        return count
    return None
