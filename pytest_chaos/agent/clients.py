"""Choose the client of the loop that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_chaos.agent.planned import PlannedClient
from pytest_chaos.agent.protocol import Client
from pytest_chaos.settings import Settings


def client_for(settings: Settings, as_written: Sequence[tuple[str, Mapping[str, Any]]]) -> Client:
    """Return the client: the keyless one makes the calls ``as_written``."""
    del settings
    return PlannedClient(as_written)
