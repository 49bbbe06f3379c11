"""Build hook of the wheel target: put the pinned fortio into wheels and editable installs. ``fortio-build/`` compiles it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

# From fortio-build/, which pyproject.toml puts on the backend's path.
from fortio_build import (
    BIN,
    LICENSES,
    ROOT,
    WHEEL_TAGS,
    FortioBuild,
    FortioBuildError,
    is_wanted,
    native_platform,
    wheel_platform,
)
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FortioBuildHook(BuildHookInterface[BuilderConfig]):
    """Compile fortio unless the stamp says that nothing changed; tag the wheel for the platform that it runs on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have fortio ready before the wheel is put together; end with a plain message if that fails."""
        if not is_wanted():
            return
        try:
            self._initialize(version, build_data)
        except FortioBuildError as error:
            sys.exit(str(error))

    def _initialize(self, version: str, build_data: dict[str, Any]) -> None:
        platform = native_platform() if version == "editable" else wheel_platform()
        fortio = FortioBuild(*platform)
        if platform not in WHEEL_TAGS:
            raise fortio.error("It is not a platform that this package is built for.")
        folder = BIN
        if platform != native_platform():
            # Not among the sources: an editable install runs what is there.
            self._cross = tempfile.TemporaryDirectory(prefix="fortio-")
            folder = Path(self._cross.name)
        if not fortio.is_in(folder):
            fortio.into(folder)
        if version == "standard":
            build_data["tag"] = WHEEL_TAGS[platform]
            build_data["pure_python"] = False
            for name in ("fortio", LICENSES):
                build_data["force_include"][str(folder / name)] = (BIN / name).relative_to(ROOT).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built for another platform, now that it is in the wheel."""
        if hasattr(self, "_cross"):
            self._cross.cleanup()
