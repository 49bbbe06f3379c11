"""The ledger: written before anything runs, private, and settled by the next session without harm to anybody else."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.engine.private import folder
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.reaper import family, ledger
from pytest_chaos.engine.reaper.client import Reaper
from pytest_chaos.errors import ChaosError
from tests.support.processes import is_running
from tests.support.survivors import AWAY, SLEEP, python
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("own_reaper")


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a place for ledgers of its own; return it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return folder("ledgers")


@pytest.fixture
def processes() -> Generator[Processes, None, None]:
    """Yield processes; they are ended afterwards."""
    processes = Processes()
    yield processes
    processes.end_all()


@contextmanager
def bystander() -> Generator[family.Seen, None, None]:
    """Run a process that is none of ours."""
    with subprocess.Popen(python(SLEEP)) as process:
        seen = family.see(process.pid)
        assert seen is not None
        yield seen
        process.kill()


def write(folder: Path, *lines: object, **header: Any) -> Path:
    """Write a ledger as a reaper would have left it; ``header`` differs from that of this boot."""
    path, descriptor = ledger.create(str(folder))
    os.close(descriptor)
    here = json.loads(Path(path).read_text(encoding="utf-8"))
    text = [json.dumps({**here, **header}), *map(json.dumps, lines)]
    Path(path).write_text("\n".join(text) + "\n", encoding="utf-8")
    return Path(path)


def test_a_program_stands_in_it_before_it_runs(private: Path, processes: Processes) -> None:
    script = "import pathlib, sys; print(*(path.read_text() for path in pathlib.Path(sys.argv[1]).iterdir()), end='')"
    process = processes.spawn([*python(script), str(private), "s3cret"], env={"TOKEN": "s3cret"})
    _, *entries = process.stdout.read().decode().splitlines()
    stat = family.stat_of(process.pid)
    assert stat is not None
    (entry,) = map(json.loads, entries)
    assert (entry["pid"], entry["start"]) == (process.pid, stat.start)
    assert set(entry) == {"pid", "start", "argv"}
    assert "s3cret" not in "".join(entries)


def test_it_is_the_users_alone_and_does_not_grow(private: Path, processes: Processes) -> None:
    for _ in range(2):
        process = processes.spawn(python(SLEEP))
        (path,) = private.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text(encoding="utf-8").splitlines()) == 2
        assert process.end() == ""
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    assert private.stat().st_mode & 0o777 == private.parent.stat().st_mode & 0o777 == 0o700


def test_without_a_private_place_nothing_is_started(private: Path, processes: Processes) -> None:
    private.chmod(0o755)
    with pytest.raises(ChaosError, match="is not a directory of your own"):
        processes.spawn(python(SLEEP))


def left_behind(private: Path) -> tuple[Path, list[int]]:
    """Let a reaper be killed and nobody be there to notice; return its ledger, and what is left of its processes."""
    reaper = Reaper()
    reaper.hold()
    spawned = reaper.spawn(
        python(f"{AWAY}print(os.getppid(), away(cleared=False), flush=True)\ntime.sleep(60)"), {}
    )
    with os.fdopen(spawned.stdout) as stdout:
        parent, grandchild = map(int, stdout.readline().split())
    (path,) = private.iterdir()
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not is_running(spawned.pid), "the child of the killed reaper is gone")
    os.close(spawned.stderr)
    spawned.leash.close()
    reaper.release()
    return path, [grandchild]


def test_the_next_session_ends_what_a_killed_reaper_left(private: Path) -> None:
    path, left = left_behind(private)
    assert path.exists()
    assert all(map(is_running, left))
    reaper = Reaper()
    reaper.hold()
    spawned = reaper.spawn(python("pass"), {})
    assert not any(map(is_running, left))
    assert not path.exists()
    assert reaper.found == [
        f"{program} (process {pid}), left by a reaper that was killed, was still running and was ended"
        for program, pid in (("python", pid) for pid in left)
    ]
    reaper.release()
    os.close(spawned.stdout)
    os.close(spawned.stderr)
    spawned.leash.close()


def test_what_it_lists_is_ended_with_its_descendants(private: Path) -> None:
    with subprocess.Popen(
        python(
            f"{AWAY}print(away(cleared=True), flush=True)\nos.fork()\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
        ),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        orphan, *pids = (int(process.stdout.readline()) for _ in range(3))
        try:
            seen = family.see(process.pid)
            assert seen is not None
            path = write(private, {"pid": seen.pid, "start": seen.start, "argv": "..."})
            left = list(ledger.left_in(str(private)))
            assert sorted(one.pid for one in left) == sorted(pids)
            assert not any(one.state for one in left)
            assert not any(map(is_running, pids))
            assert not path.exists()
        finally:
            os.kill(orphan, signal.SIGKILL)  # nothing tells that it is one of ours, so it is let alone


@pytest.mark.parametrize(
    "changed",
    [
        lambda seen: ([{"pid": seen.pid, "start": seen.start + 1, "argv": "..."}], {}),
        lambda seen: ([{"pid": seen.pid, "start": seen.start, "argv": "..."}], {"boot": "another"}),
        lambda seen: ([{"pid": seen.pid, "start": seen.start, "argv": "..."}], {"pids": "pid:[1]"}),
        lambda seen: ([{"pid": seen.pid}, [seen.pid], None, 7], {}),
    ],
    ids=["another start", "another boot", "another view of numbers", "no entry"],
)
def test_nobody_else_is_signalled(
    private: Path, changed: Callable[[family.Seen], tuple[list[Any], dict[str, Any]]]
) -> None:
    with bystander() as seen:
        lines, header = changed(seen)
        path = write(private, *lines, **header)
        assert list(ledger.left_in(str(private))) == []
        assert is_running(seen.pid)
        assert not path.exists()


def test_who_withstands_stays_in_it_and_its_state_is_told(
    private: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a process does that waits for a broken disk, which no signal ends."""
    monkeypatch.setattr(family, "send", lambda *_: None)
    monkeypatch.setattr(ledger, "_END_S", 0.05)
    with bystander() as seen:
        path = write(private, {"pid": seen.pid, "start": seen.start, "argv": "..."})
        reaper = Reaper()
        reaper._report(ledger.left_in(str(private)))
        assert is_running(seen.pid)
        assert path.exists()
    told = f"python (process {seen.pid}), left by a reaper that was killed, is still running and cannot be ended: its state is S"
    assert reaper.found == caplog.messages == [told]


def test_that_of_a_reaper_that_lives_is_let_alone(private: Path) -> None:
    with bystander() as seen:
        path = write(private, {"pid": seen.pid, "start": seen.start, "argv": "..."})
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert list(ledger.left_in(str(private))) == []
            assert path.exists()
            assert is_running(seen.pid)
        assert [one.pid for one in ledger.left_in(str(private))] == [seen.pid]


@pytest.mark.parametrize("text", ["", "{", "\0\xff", '{"boot": 1}\n{"pid": 1, "sta'])
def test_one_that_was_cut_off_is_removed(private: Path, text: str) -> None:
    (private / "cut").write_bytes(text.encode("latin-1"))
    assert list(ledger.left_in(str(private))) == []
    assert list(private.iterdir()) == []


def test_what_is_no_ledger_is_let_alone(private: Path, tmp_path: Path) -> None:
    (private / "directory").mkdir()
    (tmp_path / "file").write_text("")
    (private / "link").symlink_to(tmp_path / "file")
    os.mkfifo(private / "pipe")
    assert list(ledger.left_in(str(private))) == []
    assert len(list(private.iterdir())) == 3
    assert (tmp_path / "file").exists()
