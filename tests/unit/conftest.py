"""Files of specs, and both parsers that may read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pytest_chaos.reading import yaml_text
from tests.support.written import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes a file of the temporary directory."""

    def make(text: str | bytes, name: str = "chaos.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # some file systems write a file that is truncated through to the disk
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


@pytest.fixture(params=[yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "pure"])
def each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read YAML with libyaml, and again without it, as where it could not be built."""
    monkeypatch.setattr(yaml_text, "LOADER", request.param)
