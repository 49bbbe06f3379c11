"""axe-core, which looks for what keeps people out of a page. It comes from the npm registry that npm is set up for."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="


class NotToBeHad(Exception):
    """It cannot be fetched here."""


def axe_source(cache: Path) -> str:
    """Return the script; it is fetched into ``cache`` once. Raises ``NotToBeHad``."""
    package = cache / f"axe-core-{VERSION}.tgz"
    if not package.exists():
        _fetch(package)
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert digest == SHA512, f"{package} is not the axe-core {VERSION} that was pinned"
    with tarfile.open(package) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def _fetch(package: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotToBeHad("there is no npm to fetch axe-core with")
    with tempfile.TemporaryDirectory(dir=package.parent) as folder:
        command = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            raise NotToBeHad("npm did not answer within 120 s") from None
        if done.returncode:
            raise NotToBeHad(f"npm pack: {done.stderr.strip()[-500:]}")
        os.replace(Path(folder) / package.name, package)  # noqa: PTH105 - over what another worker may have fetched
