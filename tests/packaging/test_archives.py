"""What lies in the sdist and in the wheels, and for whom the wheels say they are."""

from __future__ import annotations

import re
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from fortio_build import WHEEL_TAGS, FortioBuild, native_platform

from tests.packaging.conftest import ROOT, Shell

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
FORTIO = "pytest_chaos/fortio/bin/fortio"
LICENSES = "pytest_chaos/fortio/bin/THIRD_PARTY_LICENSES.txt"
# What an executable begins with: ELF, and Mach-O for one and for several kinds of CPU.
EXECUTABLE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
ELF_MACHINE = {"amd64": 62, "arm64": 183, "ppc64le": 21, "s390x": 22}


def metadata(archive: zipfile.ZipFile, name: str) -> Message:
    """Return a file of the wheel's dist-info."""
    (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
    return message_from_string(archive.read(path).decode())


def elf_segments(binary: bytes) -> set[int]:
    """Return the types of the program headers of a 64-bit little-endian ELF file."""
    (start,), (size, count) = struct.unpack_from("<Q", binary, 32), struct.unpack_from("<HH", binary, 54)
    return {struct.unpack_from("<I", binary, start + size * n)[0] for n in range(count)}


def test_the_sdist_holds_what_builds_fortio_and_no_fortio(sdist: Path) -> None:
    assert sdist.name == f"pytest_chaos-{VERSION}.tar.gz"
    with tarfile.open(sdist) as archive:
        files = {
            member.name.partition("/")[2]: archive.extractfile(member)
            for member in archive.getmembers()
            if member.isfile()
        }
        assert {"LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "pytest_chaos/py.typed"} <= set(
            files
        )
        assert {"chaos_backend.py", "fortio_build.py", "go.mod", "go.sum"} <= {
            Path(name).name for name in files if name.startswith("fortio-build/")
        }
        assert not [name for name in files if "/bin/" in name or ".venv" in name]
        assert not [name for name, file in files.items() if file and file.read(4) in EXECUTABLE]
    assert sdist.stat().st_size < 1_000_000


def test_the_wheel_is_for_this_platform_and_says_so(wheel: Path) -> None:
    tag = WHEEL_TAGS[native_platform()]
    assert wheel.name == f"pytest_chaos-{VERSION}-{tag}.whl"
    with zipfile.ZipFile(wheel) as archive:
        about = metadata(archive, "WHEEL")
        assert about["Root-Is-Purelib"] == "false"
        platforms = tag.removeprefix("py3-none-").split(".")
        assert sorted(about.get_all("Tag", [])) == sorted(f"py3-none-{platform}" for platform in platforms)


def test_the_wheel_holds_the_package_and_what_pip_must_know(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = metadata(archive, "METADATA")
        (entry_points,) = (
            archive.read(name).decode() for name in names if name.endswith("/entry_points.txt")
        )
    assert {"pytest_chaos/__init__.py", "pytest_chaos/plugin/__init__.py", "pytest_chaos/py.typed"} <= names
    assert {name.partition("/")[0] for name in names} == {"pytest_chaos", f"pytest_chaos-{VERSION}.dist-info"}
    assert {name for name in names if name.startswith("pytest_chaos/fortio/bin/")} == {FORTIO, LICENSES}
    assert f"pytest_chaos-{VERSION}.dist-info/licenses/LICENSE" in names
    assert entry_points == "[pytest11]\nchaos = pytest_chaos.plugin\n"
    assert about["Requires-Python"] == ">=3.11"
    assert about["License-Expression"] == "Apache-2.0"
    needed = {
        re.split(r"[<>=;]", line)[0] for line in about.get_all("Requires-Dist", []) if "extra ==" not in line
    }
    assert needed == {"pluggy", "pydantic", "pytest", "pyyaml", "regex"}
    assert about.get_all("Provides-Extra") == ["gemini", "report"]


def test_the_wheel_holds_the_licence_of_everything_that_is_compiled_in(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo(FORTIO).external_attr >> 16 & stat.S_IXUSR
        fortio = Path(archive.extract(FORTIO, tmp_path))
        licenses = archive.read(LICENSES).decode()
    fortio.chmod(0o755)
    says = subprocess.run([fortio, "buildinfo"], capture_output=True, text=True, check=True).stdout
    modules = re.findall(r"^(?:mod|dep)\t(\S+)\t(\S+)", says, re.MULTILINE)
    assert ("fortio.org/fortio", f"v{FortioBuild(*native_platform()).version}") in modules
    assert len(modules) > 10
    assert [module for module in modules if f"\n{' '.join(module)}: LICENSE" not in licenses] == []
    assert "\nGo standard library: LICENSE" in licenses
    assert "Apache License" in licenses
    assert "Copyright 2009 The Go Authors" in licenses


@pytest.mark.skipif(sys.platform != "linux", reason="only the tags of Linux name C libraries")
def test_fortio_asks_for_no_c_library(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        segments = elf_segments(archive.read(FORTIO))
    load, interpreter = 1, 3
    assert load in segments
    assert interpreter not in segments


def test_a_wheel_for_another_platform(source: Path, shell: Shell, tmp_path: Path) -> None:
    other = "arm64" if native_platform() != ("linux", "arm64") else "amd64"
    made = shell.build("wheel", source, tmp_path / "out", GOOS="linux", GOARCH=other)
    assert made.name == f"pytest_chaos-{VERSION}-{WHEEL_TAGS['linux', other]}.whl"
    with zipfile.ZipFile(made) as archive:
        binary = archive.read(FORTIO)
        assert LICENSES in archive.namelist()
    assert binary.startswith(b"\x7fELF")
    assert struct.unpack_from("<H", binary, 18) == (ELF_MACHINE[other],)
    # An editable install of these sources would run what lies there.
    assert not (source / FORTIO).exists()


def test_a_wheel_without_fortio(
    source: Path, shell: Shell, tmp_path: Path, shadow_go: Callable[[str], dict[str, str]]
) -> None:
    left = source / FORTIO
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of an earlier build")
    env = {**shadow_go("exit 1"), "PYTEST_CHAOS_NO_FORTIO": "1"}
    made = shell.build("wheel", source, tmp_path / "out", "--no-isolation", **env)
    assert made.name == f"pytest_chaos-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(made) as archive:
        assert metadata(archive, "WHEEL")["Root-Is-Purelib"] == "true"
        assert not [name for name in archive.namelist() if "/bin/" in name]
    assert not (tmp_path / "shadow" / "calls").exists()


@pytest.mark.skipif(shutil.which("go") is None, reason="without isolation there has to be a Go")
@pytest.mark.parametrize(("goos", "goarch"), [("plan9", "amd64"), ("linux", "mips")])
def test_no_wheel_for_a_platform_without_a_tag(source: Path, shell: Shell, goos: str, goarch: str) -> None:
    env = {"GOOS": goos, "GOARCH": goarch}
    said = shell(sys.executable, "-m", "build", "--wheel", "--no-isolation", source, env=env, ok=False)
    assert f"{goos}/{goarch}" in said.stdout + said.stderr
    assert "PYTEST_CHAOS_NO_FORTIO=1" in said.stdout + said.stderr
