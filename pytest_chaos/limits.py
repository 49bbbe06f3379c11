"""The ceilings that no setting can raise, and the defaults that two rooms share. Apart, so that a look costs nothing."""

from __future__ import annotations

from typing import Final

DEFAULT_MODEL: Final = "gemini-3.8-flash"
HARD_MAX_QPS: Final = 50_000
HARD_MAX_DURATION_S: Final = 3600.0
HARD_MAX_CONCURRENCY: Final = 4096
