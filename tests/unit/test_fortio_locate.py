"""Finding fortio: configured, bundled, on PATH, or a message that says how to get one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_chaos.errors import FaultFailed
from pytest_chaos.fortio import locate as module
from pytest_chaos.fortio.locate import Located, locate, version_of
from tests.support.fake_fortio import write_raw_executable


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is all of PATH; nothing is bundled either."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(module, "BUNDLED", tmp_path / "bundled" / "fortio")
    return folder


def executable(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return write_raw_executable(path, "#!/bin/sh\n")


def test_the_bundled_one_wins_over_path(nowhere: Path) -> None:
    executable(nowhere / "fortio")
    bundled = executable(module.BUNDLED)
    assert locate() == Located(bundled, "bundled")


def test_path_is_looked_at_last(nowhere: Path) -> None:
    found = executable(nowhere / "fortio")
    assert locate() == Located(found, "PATH")


def test_the_configured_one_wins(nowhere: Path, tmp_path: Path) -> None:
    executable(nowhere / "fortio")
    executable(module.BUNDLED)
    mine = executable(tmp_path / "mine")
    assert locate(str(mine)) == Located(mine, "configured")


def test_a_configured_path_may_be_relative_or_in_the_home_folder(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = executable(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("mine").path == locate("~/mine").path == mine


@pytest.mark.parametrize("what", ["missing", "a folder", "not executable", "empty"])
def test_a_configured_one_that_is_none_is_refused_although_there_are_others(
    nowhere: Path, tmp_path: Path, what: str
) -> None:
    executable(nowhere / "fortio")
    executable(module.BUNDLED)
    path = tmp_path / "mine"
    if what == "a folder":
        path.mkdir()
    elif what == "not executable":
        path.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(FaultFailed, match=r"is not an executable file.*--chaos-fortio PATH") as failed:
        locate("" if what == "empty" else str(path))
    assert failed.value.kind == "no_fortio"


def test_none_at_all_says_how_to_get_one(nowhere: Path) -> None:
    with pytest.raises(
        FaultFailed, match=r"none is bundled.*none is on PATH.*reinstall.*--chaos-fortio"
    ) as failed:
        locate()
    assert failed.value.kind == "no_fortio"


def test_the_bundled_one_is_fortio() -> None:
    found = locate()
    assert found.source == "bundled"
    assert version_of(found.path) == "1.68.2"


@pytest.mark.parametrize("answer", ["1.75.2", "v1.60.0", "1.68.2-pre1", "dev"])
def test_versions(tmp_path: Path, answer: str) -> None:
    assert version_of(write_raw_executable(tmp_path / "fortio", f"#!/bin/sh\necho {answer}\n")) == answer


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\n",
        "#!/bin/sh\necho fortio 3.1\n",
        "#!/bin/sh\necho 1.68.2\nexit 1\n",
        "no program",
        "#!/nowhere\n",
    ],
    ids=["says nothing", "another tool", "fails", "no program", "no interpreter"],
)
def test_what_does_not_answer_like_fortio_is_none(tmp_path: Path, script: str) -> None:
    with pytest.raises(FaultFailed) as failed:
        version_of(write_raw_executable(tmp_path / "fortio", script))
    assert failed.value.kind == "not_fortio"
    assert "--chaos-fortio" in str(failed.value)


def test_other_programs_are_no_fortio(fake_fortio: Callable[[str], Path]) -> None:
    for name in ("true", "false"):
        with pytest.raises(FaultFailed) as failed:
            version_of(Path(str(shutil.which(name))))
        assert failed.value.kind == "not_fortio"
    assert version_of(fake_fortio("")) == "1.68.2"
