"""The directory for locks: it is this user's alone, or it is not used."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_chaos.engine.private import folder
from pytest_chaos.errors import ChaosError

NAME = f"pytest-chaos-{os.getuid()}"
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to somebody else")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the runtime directory, and another place for temporary files; return the former."""
    for name in ("runtime", "temporary"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "runtime"


def modes(path: Path) -> list[int]:
    return [one.stat().st_mode & 0o777 for one in (path, path.parent)]


def refusal() -> str:
    with pytest.raises(ChaosError) as caught:
        folder("locks")
    return str(caught.value)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_it_is_made_for_this_user_alone(runtime: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        found = folder("locks")
    finally:
        os.umask(before)
    assert found == runtime / NAME / "locks"
    assert modes(found) == [0o700, 0o700]
    assert folder("locks") == found
    assert folder("ledgers") == runtime / NAME / "ledgers"


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(None, id="unset"),
        "",
        "relative",
        ".",
        "/no/such/directory",
        pytest.param("/" + "x" * 300, id="too long"),
        pytest.param("/" + "x/" * 3000, id="far too long"),
    ],
)
def test_without_a_runtime_directory_it_is_among_the_temporary_files(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    (runtime / "relative").mkdir()
    monkeypatch.chdir(runtime)
    if named is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", named)
    assert folder("locks") == runtime.parent / "temporary" / NAME / "locks"


@AS_ROOT
def test_the_runtime_directory_of_somebody_else_is_left_alone(runtime: Path) -> None:
    os.chown(runtime, 65_534, 65_534)
    assert folder("locks") == runtime.parent / "temporary" / NAME / "locks"
    assert list(runtime.iterdir()) == []


def test_users_have_one_each(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder("locks")
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert f"pytest-chaos-{other} is not a directory of your own" in refusal(), (
        "it is the real user who made it"
    )
    assert [one.name for one in runtime.iterdir()] == [NAME]


def too_open(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.chmod(0o755)


def for_the_group(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.chmod(0o710)


def for_others(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.chmod(0o701)


def writable_for_all(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.chmod(0o1777)


def link(path: Path) -> None:
    path.symlink_to(path.parent, target_is_directory=True)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("/no/such/directory")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def file(path: Path) -> None:
    path.write_text("precious")


def somebody_elses(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, 65_534, 65_534)


@pytest.mark.parametrize("inner", [False, True], ids=["outer", "inner"])
@pytest.mark.parametrize(
    ("trap", "said"),
    [
        (too_open, "is not a directory of your own with mode 0700: remove it, or set XDG_RUNTIME_DIR"),
        (for_the_group, "is not a directory of your own with mode 0700"),
        (for_others, "is not a directory of your own with mode 0700"),
        (writable_for_all, "is not a directory of your own with mode 0700"),
        (link, "is not a directory of your own with mode 0700"),
        pytest.param(somebody_elses, "is not a directory of your own with mode 0700", marks=AS_ROOT),
        (link_to_nowhere, "cannot be made: "),
        (link_to_itself, "cannot be made: "),
        (file, "cannot be made: "),
    ],
)
def test_what_is_not_ours_alone_is_refused(
    runtime: Path, trap: Callable[[Path], None], said: str, inner: bool
) -> None:
    path = runtime / NAME
    if inner:
        path.mkdir(mode=0o700)
        path /= "locks"
    trap(path)
    before = sorted(runtime.rglob("*"))
    assert f"{path} {said}" in refusal()
    assert sorted(runtime.rglob("*")) == before


def test_it_is_looked_at_each_time(runtime: Path) -> None:
    folder("locks").chmod(0o770)
    assert "locks is not a directory of your own" in refusal()


def test_no_place_for_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(
        ChaosError, match=r"there is no directory for temporary files: No usable .*; set TMPDIR"
    ):
        folder("locks")
