"""One test for each entry of a file: the parameters for ``@pytest.mark.parametrize``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.errors import SpecError
from pytest_chaos.sources import Sources


def cases_of(file: str, *, base: Path, keywords: dict[str, Any]) -> list[Any]:
    """Return a ``pytest.param`` for each entry of ``file``: its name as value and id, its chaos as mark.

    Only the names are read here; the entries are checked when pytest collects the tests.

    Raises:
        pytest.Collector.CollectError: the file cannot be used, or an entry has no name of its own.
    """
    try:
        entries = Sources(root=Path.cwd()).resolve(file, base=base)
        for number, entry in enumerate(entries, 1):
            if entry.name is None:
                raise SpecError(
                    f"{entry.where}: entry {number} has no name, so no test can be named after it"
                )
    except SpecError as error:
        raise pytest.Collector.CollectError(f"cases({file!r}): {error}") from None
    return [
        pytest.param(
            entry.name,
            id=entry.name,
            marks=pytest.mark.chaos(f"{entry.path.resolve()}#{entry.name}", **keywords),
        )
        for entry in entries
    ]
