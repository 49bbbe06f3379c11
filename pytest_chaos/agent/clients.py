"""Choose the client of the loop that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_chaos.agent.planned import PlannedClient
from pytest_chaos.agent.protocol import Client
from pytest_chaos.agent.record import PlanFile
from pytest_chaos.settings import Settings


def client_for(
    settings: Settings, as_written: Sequence[tuple[str, Mapping[str, Any]]], plan: PlanFile | None
) -> Client:
    """Return the client: one that makes the calls ``as_written``, one that replays ``plan``, or a model.

    Raises:
        ModelError: the plan is missing or stale.
    """
    if settings.agent == "planned":
        return PlannedClient(as_written)
    if settings.agent == "replay" and plan is not None:
        return PlannedClient(plan.read(), name="replay", model=settings.model)
    from pytest_chaos.agent.gemini import GeminiClient  # noqa: PLC0415 - only who asks for it may pay for it

    return GeminiClient(
        model=settings.model, api_version=settings.api_version, timeout_s=settings.model_timeout_s
    )
