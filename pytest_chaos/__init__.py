"""A disruption as a part of a pytest test: declared on it, proven to have hit it, judged with it, gone after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_chaos.base import FAULTS, TRIGGERS, Fault, Trigger
    from pytest_chaos.outcome import ChaosResult
    from pytest_chaos.spec import ChaosSpec

__all__ = ["FAULTS", "TRIGGERS", "ChaosResult", "ChaosSpec", "Fault", "Trigger"]

_ELSEWHERE = {"ChaosResult": "pytest_chaos.outcome", "ChaosSpec": "pytest_chaos.spec"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import pytest_chaos`` alone must cost nothing (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - keeps the import of this package free

    return getattr(import_module(_ELSEWHERE.get(name, "pytest_chaos.base")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
