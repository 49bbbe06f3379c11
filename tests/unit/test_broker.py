"""Locks: one holder at a time whatever its process, none left behind by the dead, and words for those who wait."""

from __future__ import annotations

import errno
import itertools
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_chaos import clocks
from pytest_chaos.engine import broker as module
from pytest_chaos.engine.broker import Broker, Lock, LockTimeout
from pytest_chaos.engine.guard import one_name
from pytest_chaos.engine.private import folder
from pytest_chaos.errors import Cancelled, ChaosError

# Says "held" once it holds the locks that its arguments name; ends when its standard input does.
HOLDER = """
import os, sys
from pytest_chaos.engine.broker import Broker
locks = Broker(timeout_s=10, tell=print).take(sys.argv[1:], who="somebody else")
print("held", flush=True)
"""
WAIT = "sys.stdin.read()\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the locks of these tests away from those of everybody else; return where they are."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return folder("locks")


class Clock:
    """Stands where the broker looks for ``time``. Only sleeping lets time go by, and ``at`` what happens then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.at: dict[float, Callable[[], None]] = {}

    def monotonic(self) -> float:
        return self.now

    wall = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now - 1000]:
            self.at.pop(moment)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "clocks", clock)
    return clock


def broker(timeout_s: float = 0.0, told: list[str] | None = None) -> Broker:
    """Return a broker of its own, as each process has one; a second one is a stranger to the first."""
    return Broker(timeout_s=timeout_s, tell=(told if told is not None else []).append)


def take(*keys: str, who: str = "me", shared: bool = False, timeout_s: float = 0.0) -> list[Lock]:
    return broker(timeout_s).take(keys, who=who, shared=shared)


def is_free(*keys: str, shared: bool = False) -> bool:
    """Tell whether a stranger can have them at this moment."""
    try:
        locks = take(*keys, shared=shared)
    except LockTimeout:
        return False
    let_go(locks)
    return True


def let_go(locks: list[Lock]) -> None:
    for lock in locks:
        lock.release()


@contextmanager
def holder(*keys: str, script: str = HOLDER + WAIT) -> Iterator[subprocess.Popen[str]]:
    """Yield another process, which holds ``keys``."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


# ------------------------------------------------------------------ who may hold it


def test_one_holder_at_a_time() -> None:
    (lock,) = take("shop:80")
    assert lock.key == "shop:80"
    assert not is_free("shop:80")
    assert is_free("shop:81")
    lock.release()
    assert is_free("shop:80")


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True), (False, False)])
def test_shared_ones_go_together_and_nothing_else_does(first: bool, second: bool) -> None:
    locks = take("k", shared=first)
    assert is_free("k", shared=second) is (first and second)
    let_go(locks)
    assert is_free("k", shared=second)


def test_of_two_who_share_each_keeps_out_the_third() -> None:
    one, two = take("k", shared=True), take("k", shared=True)
    let_go(one)
    assert not is_free("k")
    let_go(two)
    assert is_free("k")


def test_another_process_holds_it() -> None:
    with holder("a", "b"):
        assert not is_free("a")
        assert not is_free("b")
        assert is_free("c")


def test_all_or_none() -> None:
    held = take("b")
    with pytest.raises(LockTimeout, match=r"^b was not free"):
        take("a", "b", "c")
    assert is_free("a")
    let_go(held)
    assert is_free("a", "b", "c")


def test_each_key_once_in_the_order_of_all() -> None:
    assert [lock.key for lock in take("b", "a", "b")] == ["a", "b"]
    assert take() == []


def test_letting_go_twice_takes_nothing_from_the_next_holder() -> None:
    (lock,) = take("k")
    lock.release()
    others = take("k")
    lock.release()
    assert not is_free("k")
    let_go(others)


@pytest.mark.parametrize(
    "urls",
    [
        ["http://localhost/", "http://127.0.0.1:80/x", "HTTP://LOCALHOST.:80", "http://[::1]/", "http://127.9.9.9/"],
        ["https://Shop.test/a", "https://shop.test.:443/b", "http://shop.test:443/"],
        ["http://10.0.0.1:81/", "http://[::ffff:10.0.0.1]:81/"],
    ],
)  # fmt: skip
def test_spellings_of_one_target_are_one_lock(urls: list[str]) -> None:
    assert len({one_name(url) for url in urls}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://shop.test/", "https://shop.test/"),
        ("http://localhost:80/", "http://localhost:81/"),
        ("http://10.0.0.1/", "http://10.0.0.2/"),
        ("http://localhost/", "http://localhost.test/"),
    ],
)
def test_targets_that_are_not_one(one: str, other: str) -> None:
    assert one_name(one) != one_name(other)


# ------------------------------------------------------------------ waiting


def test_whoever_waits_gets_it_as_soon_as_it_is_free(clock: Clock) -> None:
    held = take("k")
    clock.at[7] = lambda: let_go(held)
    let_go(take("k", timeout_s=300))
    assert 1007 <= clock.now <= 1007.1


def test_the_limit_is_for_all_keys_together(clock: Clock) -> None:
    first, second = take("a"), take("b")
    clock.at[6] = lambda: let_go(first)
    clock.at[11] = lambda: let_go(second)
    with pytest.raises(LockTimeout, match=r"^b was not free within 10 s \(chaos_lock_timeout\)"):
        take("a", "b", timeout_s=10)
    assert 1010 <= clock.now <= 1010.1


def test_what_is_told_after_five_seconds_and_then_each_minute(clock: Clock) -> None:
    told: list[str] = []
    held = take("k", who="test_a.py::test_it")
    clock.at[4.9] = lambda: told.append("4.9")
    clock.at[5.1] = lambda: told.append("5.1")
    clock.at[66] = lambda: let_go(held)
    let_go(broker(300, told).take(["k"], who="test_b.py::test_it"))
    words = f"chaos: test_b.py::test_it waits for k: held by test_a.py::test_it (process {os.getpid()}) for "
    assert told == ["4.9", f"{words}5 s", "5.1", f"{words}65 s"]


def test_nothing_is_told_of_a_short_wait(clock: Clock) -> None:
    told: list[str] = []
    held = take("k")
    clock.at[4.9] = lambda: let_go(held)
    let_go(broker(300, told).take(["k"], who="me"))
    assert told == []


def test_the_message_says_who_holds_it_and_what_to_do(clock: Clock) -> None:
    take("shop.test:80", who="test_a.py::test_it")
    with pytest.raises(LockTimeout) as caught:
        take("shop.test:80", timeout_s=1.5)
    assert str(caught.value) == (
        "shop.test:80 was not free within 1.5 s (chaos_lock_timeout): held by test_a.py::test_it "
        f"(process {os.getpid()}) for 2 s; if both may be disrupted at once, say shared=True on the mark"
    )


def test_of_those_who_shared_it_only_those_who_still_do_are_named() -> None:
    stays, leaves = take("k", who="stays", shared=True), take("k", who="leaves", shared=True)
    with pytest.raises(LockTimeout, match=r"held by stays \(process \d+\) for 0 s and by leaves \("):
        take("k")
    let_go(leaves)
    with pytest.raises(LockTimeout, match=r"held by stays \(process \d+\) for 0 s; "):
        take("k")
    let_go(stays)


def test_the_dead_are_not_named() -> None:
    script = HOLDER.replace('who="somebody else"', 'who="somebody else", shared=True') + WAIT
    with holder("k", script=script) as process:
        stays = take("k", who="stays", shared=True)
        process.kill()
        process.wait()
        with pytest.raises(LockTimeout, match=r"held by stays \(process \d+\) for 0 s; "):
            take("k")
    let_go(stays)


def test_whoever_held_it_before_is_not_named(directory: Path) -> None:
    mine = broker()
    held = mine.take(["k"], who="long dead")
    (file,) = directory.iterdir()
    left_behind = file.read_text()
    let_go(held)
    file.write_text(left_behind)  # as after a kill, and its number is another process's by now
    held = mine.take(["k"], who="holder")
    with pytest.raises(LockTimeout, match=r"held by holder \(process \d+\) for 0 s; "):
        take("k")
    let_go(held)


def test_a_file_that_says_nothing_is_no_mystery(directory: Path) -> None:
    held = take("k")
    (file,) = directory.iterdir()
    for text in ["", "{", "[]", '{"who": "x"}', "null", "\x00"]:
        file.write_text(text)
        with pytest.raises(LockTimeout, match="held by somebody who does not say more"):
            take("k")
    let_go(held)


def test_whoever_is_cancelled_takes_nothing_along() -> None:
    held = take("b")
    with pytest.raises(Cancelled):
        broker(300).take(["a", "b"], who="me", cancelled=lambda: True)
    assert is_free("a")
    let_go(held)
    assert is_free("b")


def test_an_interrupt_takes_nothing_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    held = take("b")
    with monkeypatch.context() as patched:
        patched.setattr(clocks, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take("a", "b", timeout_s=300)
    assert is_free("a")
    let_go(held)
    assert is_free("b")


# ------------------------------------------------------------------ nobody waits for ever


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll so often that hundreds of rounds take a second."""
    monkeypatch.setattr(module, "_POLL_S", 0.0005)


def in_threads(*works: Callable[[], None]) -> None:
    """Do all of ``works`` at once; raise the first error."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_two_who_name_two_targets_in_opposite_orders(quick: None) -> None:
    def rounds(*keys: str) -> Callable[[], None]:
        def work() -> None:
            mine = broker(10)
            for _ in range(200):
                let_go(mine.take(keys, who="me"))

        return work

    in_threads(rounds("a", "b"), rounds("b", "a"))


def test_never_two_at_once_and_nothing_left(quick: None, directory: Path) -> None:
    inside: list[bool] = []  # of each that is inside: whether it shares
    seen: set[tuple[bool, ...]] = set()
    guard = threading.Lock()

    def work(shared: bool) -> Callable[[], None]:
        def rounds() -> None:
            mine = broker(20)
            for _ in range(60):
                locks = mine.take(["k"], who="me", shared=shared)
                with guard:
                    inside.append(shared)
                    seen.add(tuple(sorted(inside)))
                time.sleep(0.0002)
                with guard:
                    inside.remove(shared)
                let_go(locks)

        return rounds

    in_threads(*(work(shared) for shared in (False, False, False, True, True, True)))
    assert {(False,), (True,), (True, True)} <= seen, "the test saw too little"
    assert {kinds for kinds in seen if False in kinds} == {(False,)}
    assert list(directory.iterdir()) == []


def test_those_who_share_do_not_keep_out_for_ever_whoever_wants_it_alone(quick: None) -> None:
    enough = threading.Event()
    overlap = threading.Barrier(3)

    def share(first: bool) -> Callable[[], None]:
        def work() -> None:
            mine = broker(20)
            locks = mine.take(["k"], who="me", shared=True)
            overlap.wait()
            while not enough.is_set():  # hand over hand: one of the two always holds it, but for the third
                time.sleep(0.02 if first else 0.03)
                let_go(locks)
                locks = mine.take(["k"], who="me", shared=True)
            let_go(locks)

        return work

    def alone() -> None:
        overlap.wait()
        try:
            for _ in range(10):
                let_go(take("k", timeout_s=10))
        finally:
            enough.set()

    in_threads(share(True), share(False), alone)


def test_whoever_comes_back_at_once_does_not_go_first(quick: None) -> None:
    turns: list[str] = []

    def work(name: str) -> Callable[[], None]:
        def rounds() -> None:
            mine = broker(20)
            for _ in range(15):
                locks = mine.take(["k"], who=name)
                turns.append(name)
                time.sleep(0.02)
                let_go(locks)

        return rounds

    in_threads(work("a"), work("b"))
    longest = max(len(list(same)) for _, same in itertools.groupby(turns[: turns.index(turns[-1]) + 15]))
    assert longest <= 3, turns


def test_what_comes_before_a_lock_that_is_held_is_not_waited_for_long(clock: Clock) -> None:
    held, other = take("b"), take("a")
    mine = broker(300)
    with pytest.raises(LockTimeout, match=r"^a was not free within 5 s \(.*lock=\[\.\.\.\] on its mark\)"):
        mine.take(["a"], who="me", holding=["b"])
    assert clock.now <= 1005.1
    clock.at[60] = lambda: let_go(other)
    let_go(mine.take(["a"], who="me", holding=["Z"]))
    assert clock.now >= 1060, "what comes after it is waited for as long as anything"
    let_go(held)


def test_out_of_order_is_no_reason_to_wait_longer_than_allowed(clock: Clock) -> None:
    take("a")
    with pytest.raises(LockTimeout, match=r"within 2 s \(chaos_lock_timeout\)"):
        broker(2).take(["a"], who="me", holding=["b"])


# ------------------------------------------------------------------ the dead


def test_a_lock_of_a_killed_process_is_free_at_once() -> None:
    with holder("k") as process:
        waiting = threading.Thread(target=lambda: freed.append((take("k", timeout_s=20), time.monotonic())))
        freed: list[tuple[list[Lock], float]] = []
        waiting.start()
        time.sleep(0.1)  # not to wait for something: to let it try in vain
        assert not freed
        killed = time.monotonic()
        process.kill()
        waiting.join()
    ((locks, at),) = freed
    assert at - killed < 1
    let_go(locks)


def test_whoever_dies_while_it_waits_blocks_nobody() -> None:
    held = take("k")
    script = "print('held', flush=True)\n" + HOLDER
    with holder("k", script=script) as process:
        deadline = time.monotonic() + 10
        while not list(folder("locks").glob("*.next")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
    let_go(held)
    let_go(take("k", timeout_s=1))
    assert list(folder("locks").iterdir()) == []


def test_a_thousand_killed_processes_leave_nothing_that_stays(directory: Path) -> None:
    script = """
        import os, signal
        from pytest_chaos.engine.broker import Broker

        for number in range(1000):
            if not (child := os.fork()):
                Broker(timeout_s=0, tell=print).take([f"shop:{number}"], who="soon dead")
                os.kill(os.getpid(), signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
    assert len(list(directory.iterdir())) == 1, "only what the last one has left may be there"
    locks = take("another:80")
    assert len(list(directory.iterdir())) == 1
    let_go(locks)
    assert list(directory.iterdir()) == []


def test_sweeping_up_takes_nothing_from_the_living() -> None:
    alone, together = take("a"), take("b", shared=True)
    let_go(take("c"))
    assert not is_free("a")
    assert not is_free("b")
    let_go([*alone, *together])


def test_a_fork_that_outlives_its_parent_keeps_no_lock() -> None:
    script = f"""{HOLDER.replace('print("held", flush=True)', "")}
if not os.fork():
    print("held", flush=True)  # this runs, so it has let go
    os.close(1)
    sys.stdin.read()  # ends with the test
    os._exit(0)
os.wait()
"""
    with holder("k", script=script) as process:
        assert not is_free("k")
        process.kill()
        process.wait()
        assert is_free("k")
        assert process.stdin is not None
        process.stdin.close()


def test_a_fork_takes_no_lock_from_its_parent() -> None:
    script = f"""{HOLDER.replace('print("held", flush=True)', "")}
if not os.fork():
    for lock in locks:
        lock.release()
    os._exit(0)
os.wait()
print("held", flush=True)
sys.stdin.read()
for lock in locks:
    lock.release()
print("free", flush=True)
sys.stdin.read()
"""
    with holder("k", script=script) as process:
        assert not is_free("k")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.readline() == "free\n"
        assert is_free("k")


def test_what_the_holder_has_started_keeps_no_lock() -> None:
    script = f"""
import subprocess
{HOLDER.replace('print("held", flush=True)', "")}
subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False, stdout=subprocess.DEVNULL)
print("held", flush=True)
sys.stdin.read()
"""
    with holder("k", script=script) as process:
        assert not is_free("k")
        process.kill()
        process.wait()
        assert is_free("k")


# ------------------------------------------------------------------ the files


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_no_file_stays(directory: Path, shared: bool, order: list[int]) -> None:
    held = [take("k" if shared else f"k{number}", shared=shared)[0] for number in range(2)]
    assert len(list(directory.iterdir())) == (1 if shared else 2)
    for number in order:
        held[number].release()
    assert list(directory.iterdir()) == []


def test_none_stays_of_those_who_waited_in_vain(directory: Path, clock: Clock) -> None:
    held = take("b")
    with pytest.raises(LockTimeout):
        take("a", "b", timeout_s=1)
    assert len(list(directory.iterdir())) == 1
    let_go(held)


def test_a_file_that_somebody_has_cleaned_away_costs_nobody_else_a_lock(directory: Path) -> None:
    held = take("k")
    for file in directory.iterdir():
        file.unlink()
    others = take("k")
    let_go(held)
    assert not is_free("k")
    let_go(others)


def test_files_are_for_this_user_alone(directory: Path) -> None:
    mask = os.umask(0)
    try:
        held = take("k")
    finally:
        os.umask(mask)
    (file,) = directory.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.name.isalnum(), "a key is anything, a name of a file is not"
    let_go(held)


@pytest.mark.parametrize("key", ["../../x", "a/b", "x" * 5000, "\x00", "é\ud800", ""])
def test_any_key_will_do(directory: Path, key: str) -> None:
    held = take(key, who=f"{key}::test")
    assert not is_free(key)
    assert len(list(directory.iterdir())) == 1
    let_go(held)


def link(file: Path) -> None:
    file.symlink_to(file.parent.parent.parent / "precious")


def folder_there(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("trap", [link, folder_there])
def test_what_is_no_file_of_ours_is_refused_in_words(
    directory: Path, tmp_path: Path, trap: Callable[[Path], None]
) -> None:
    (tmp_path / "precious").write_text("precious")
    held = take("k")
    (file,) = directory.iterdir()
    let_go(held)
    trap(file)
    with pytest.raises(ChaosError, match=re.escape(f"the locks in {directory} cannot be used: ")):
        take("a", "k")
    assert is_free("a")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_full_disk_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        held = take("k")
    with pytest.raises(LockTimeout, match="held by somebody who does not say more"):
        take("k")
    let_go(held)
    assert is_free("k")


def test_no_descriptor_is_left_open(clock: Clock) -> None:
    def descriptors() -> int:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names alone

    before = descriptors()
    held = take("b")
    for _ in range(3):
        with pytest.raises(LockTimeout):
            take("a", "b", timeout_s=1)
        let_go(take("c", shared=True))
    let_go(held)
    assert descriptors() == before
