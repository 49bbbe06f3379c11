"""What is built once for all tests of the package as people get it: an sdist, its sources, a wheel made from them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What would change how a build inside a test goes, if the run of the tests has it.
FOREIGN = ("GOARCH", "GOOS", "PIP_BUILD_TRACKER", "PYTEST_CHAOS_NO_FORTIO", "PYTHONPATH")


Once = Callable[[str, Callable[[Path], object]], Path]


class Shell:
    """Run commands as a person would: in some folder, without what only this test run knows."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd

    def __call__(
        self, *argv: str | Path, env: Mapping[str, str] | None = None, ok: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv``; its exit status must be 0, or, with ``ok=False``, must not."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if name not in FOREIGN and not name.startswith("PYTEST_XDIST")
        }
        done = subprocess.run(
            argv, cwd=self.cwd, env={**clean, **(env or {})}, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is ok, (
            f"{argv} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def build(self, kind: str, source: Path, into: Path, *options: str, **env: str) -> Path:
        """Build an ``sdist`` or a ``wheel`` in a fresh environment, and return the one file that came out."""
        self(sys.executable, "-m", "build", f"--{kind}", "--outdir", into, *options, source, env=env)
        (made,) = into.iterdir()
        return made


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return what runs commands, outside of any checkout."""
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return what fills a folder once for the whole test run, however many workers it has."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        path = base / f"once-{name}"
        with (base / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (path / "done").exists():
                shutil.rmtree(path, ignore_errors=True)
                (path / "out").mkdir(parents=True)
                fill(path / "out")
                (path / "done").touch()
        return path / "out"

    return folder


@pytest.fixture(scope="session")
def sdist(once: Once) -> Path:
    """Return the sdist of this checkout, in which fortio has been built already."""
    (made,) = once("sdist", lambda out: Shell(out).build("sdist", ROOT, out)).iterdir()
    return made


@pytest.fixture(scope="session")
def wheel(once: Once, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel built from that sdist, for the platform that we are on."""
    source = unpack(sdist, tmp_path_factory.mktemp("source"))
    (made,) = once("wheel", lambda out: Shell(out).build("wheel", source, out)).iterdir()
    return made


@pytest.fixture
def source(sdist: Path, tmp_path: Path) -> Path:
    """Return sources of our own, as a new checkout has them: without a fortio."""
    return unpack(sdist, tmp_path / "source")


def unpack(sdist: Path, into: Path) -> Path:
    """Unpack an sdist, and return its top folder."""
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(into)
    (top,) = into.iterdir()
    return top


@pytest.fixture
def shadow_go(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a factory of environments in which ``go`` is a script of the test's, which notes that it was called."""

    def make(script: str) -> dict[str, str]:
        folder = tmp_path / "shadow"
        folder.mkdir()
        go = folder / "go"
        go.write_text(f'#!/bin/sh\necho "$@" >> {folder / "calls"}\n{script}\n', encoding="utf-8")
        go.chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    return make
