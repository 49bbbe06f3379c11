"""Build the sdist and a wheel for every platform, check what is in them, and install the one that fits here.

``python tools/wheels.py [FOLDER]`` fills FOLDER (``dist``) anew. Go builds for other platforms by itself; nothing else does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "fortio-build"))

from fortio_build import WHEEL_TAGS, native_platform  # noqa: E402 - it lies where pyproject.toml says the backend is

PLATFORMS: Final = [(system, machine) for system in ("linux", "darwin") for machine in ("amd64", "arm64")]
FORTIO: Final = "pytest_chaos/fortio/bin/fortio"
# What a binary of a platform begins with, and where its machine is told: ELF and Mach-O.
MACHINES: Final = {
    ("linux", "amd64"): (b"\x7fELF", 18, b"\x3e\x00"),
    ("linux", "arm64"): (b"\x7fELF", 18, b"\xb7\x00"),
    ("darwin", "amd64"): (b"\xcf\xfa\xed\xfe", 4, b"\x07\x00\x00\x01"),
    ("darwin", "arm64"): (b"\xcf\xfa\xed\xfe", 4, b"\x0c\x00\x00\x01"),
}
MAX_WHEEL: Final = 12_000_000


def main() -> int:
    """Return 0 if everything was built and is as it should be."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    problems = check_sdist(build("sdist", folder))
    fitting: Path | None = None
    for system, machine in PLATFORMS:
        wheel = build("wheel", folder, GOOS=system, GOARCH=machine)
        problems += check_wheel(wheel, system, machine)
        if (system, machine) == native_platform():
            fitting = wheel
    if fitting is None:
        print(f"no wheel fits here: {'-'.join(native_platform())}")
    else:
        problems += install(fitting)
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def build(kind: str, folder: Path, **environment: str) -> Path:
    """Build one archive and return it."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "build", f"--{kind}", "--outdir", scratch, str(ROOT)]
        subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
        (made,) = Path(scratch).iterdir()
        kept = folder / made.name
        shutil.move(made, kept)
    print(f"{kept.stat().st_size / 1e6:6.2f} MB  {kept.name}")
    return kept


def check_sdist(path: Path) -> list[str]:
    """Return what is wrong with the sdist: it holds what builds fortio, and no fortio."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {"fortio-build/go.mod", "fortio-build/go.sum", "hatch_build.py", "LICENSE"} - names
    problems = [f"{path.name} lacks {name}" for name in sorted(missing)]
    return problems + ([f"{path.name} holds a binary"] if FORTIO in names else [])


def check_wheel(path: Path, system: str, machine: str) -> list[str]:
    """Return what is wrong with a wheel: its tag, its fortio, the licences, its size."""
    problems = []
    if not path.name.endswith(f"-{WHEEL_TAGS[system, machine]}.whl"):
        problems.append(f"{path.name} is not tagged {WHEEL_TAGS[system, machine]}")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if FORTIO not in names:
            return [*problems, f"{path.name} holds no fortio"]
        with archive.open(FORTIO) as binary:
            start = binary.read(64)
    magic, at, kind = MACHINES[system, machine]
    if not start.startswith(magic) or start[at : at + len(kind)] != kind:
        problems.append(f"the fortio in {path.name} is for another platform")
    if f"{Path(FORTIO).parent}/THIRD_PARTY_LICENSES.txt" not in names:
        problems.append(f"{path.name} lacks the licences of what fortio is made of")
    if path.stat().st_size > MAX_WHEEL:
        problems.append(f"{path.name} is larger than {MAX_WHEEL / 1e6:.0f} MB")
    return problems


def install(wheel: Path) -> list[str]:
    """Install a wheel into an environment of its own, and ask its doctor."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        done = subprocess.run([python, "-m", "pytest_chaos", "doctor"], check=False, cwd=scratch)
    return [] if done.returncode == 0 else [f"{wheel.name} does not work once installed"]


if __name__ == "__main__":
    sys.exit(main())
