"""The ``log`` trigger: records and lines from now on, whatever others do to loggers and files meanwhile."""

from __future__ import annotations

import logging
import logging.config
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.context import RunContext
from pytest_chaos.errors import Cancelled, FaultFailed
from pytest_chaos.triggers import _records
from pytest_chaos.triggers._tail import Tail
from pytest_chaos.triggers.log_line import LogTrigger
from tests.support.waiting import eventually

SHOP = logging.getLogger("shop")


class Watching:
    """A trigger that waits in a thread of its own; ``came`` is what it returned or raised."""

    def __init__(self, *, within_s: float = 20.0, **spec: Any) -> None:
        self.ctx = RunContext("a test")
        self.came: list[bool | BaseException] = []
        self.trigger = LogTrigger.model_validate(spec)
        self._until = time.monotonic() + within_s
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        eventually(lambda: self.ctx.seen or self.came, "it listens")

    def _run(self) -> None:
        try:
            self.came.append(self.trigger.watch(self.ctx, self._until))
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.came.append(error)

    def result(self) -> bool | BaseException:
        """Return what came of it."""
        self._thread.join(25)
        assert self.came, "it still waits"
        return self.came[0]

    def looked_at(self, count: int) -> None:
        """Return once it has looked at so many."""
        eventually(lambda: self.ctx.seen.partition(": ")[2].startswith(str(count)), f"{count} looked at")

    def stop(self) -> None:
        """End it before its time."""
        self.ctx.stop.set()
        assert isinstance(self.result(), Cancelled)


@pytest.fixture(autouse=True)
def _nobody_listens_afterwards() -> Generator[None, None, None]:
    yield
    listening = [*logging.getLogger().handlers, *SHOP.handlers]
    assert not [handler for handler in listening if isinstance(handler, _records._Ear)]


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("logger", [None, "shop"])
@pytest.mark.parametrize("name", ["shop", "shop.orders"])
def test_a_record_whose_message_matches(logger: str | None, name: str) -> None:
    watching = Watching(pattern=r"order \d+ paid", logger=logger)
    logging.getLogger(name).warning("order %s paid", "x")
    logging.getLogger(name).warning("order %d paid", 7)
    assert watching.result() is True


def test_what_was_logged_before_does_not_count() -> None:
    SHOP.warning("order 7 paid")
    watching = Watching(pattern="paid", within_s=0.2)
    assert watching.result() is False
    assert watching.ctx.seen == "records of any logger that were looked at: 0"


def test_other_loggers_do_not_count() -> None:
    watching = Watching(pattern="paid", logger="shop")
    logging.getLogger("shopping").warning("order 7 paid")
    logging.getLogger().warning("order 7 paid")
    SHOP.warning("something else")
    watching.looked_at(1)
    watching.stop()
    assert watching.ctx.seen == "records of the logger 'shop' that were looked at: 1"


@pytest.mark.parametrize("logger", [None, "pytest_chaos"])
def test_our_own_records_never_count(logger: str | None) -> None:
    watching = Watching(pattern="paid", logger=logger, within_s=0.3)
    logging.getLogger("pytest_chaos").warning("order 7 paid")
    logging.getLogger("pytest_chaos.engine").warning("order 7 paid")
    assert watching.result() is False
    assert watching.ctx.seen.endswith(": 0")


def test_levels_are_left_alone() -> None:
    level = SHOP.level
    watching = Watching(pattern="paid", within_s=0.3)
    SHOP.debug("order 7 paid")
    assert watching.result() is False
    assert (SHOP.level, watching.ctx.seen) == (level, "records of any logger that were looked at: 0")


class Explosive:
    def __str__(self) -> str:
        raise SystemError("no text")


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("paid %s %s", ("too few",)),
        ("paid %d", ("no number",)),
        ("paid %(name)s", ({"other": 1},)),
        ("paid %s", (Explosive(),)),
        ("paid %", ("x",)),
    ],
)
def test_arguments_that_do_not_fit_leave_the_message_as_it_is(
    message: str, args: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(SHOP, "propagate", False)  # pytest's own handler raises for these
    watching = Watching(pattern="^paid %", logger="shop")
    SHOP.warning(message, *args)
    assert watching.result() is True


def test_records_of_any_make_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHOP, "propagate", False)

    class Bytes(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802 - the name is logging's
            return b"paid"  # type: ignore[return-value]  # that is the point

    watching = Watching(pattern="^b'paid'$", logger="shop")
    SHOP.handle(logging.makeLogRecord({"levelno": 30}))
    SHOP.handle(logging.makeLogRecord({"levelno": 30, "name": 7, "msg": None}))
    watching.looked_at(2)
    SHOP.handle(Bytes("shop", 30, "", 0, "", None, None))
    assert watching.result() is True


def test_a_message_that_has_no_text_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHOP, "propagate", False)
    watching = Watching(pattern="paid", logger="shop")
    SHOP.warning(Explosive())
    SHOP.warning("paid")
    assert watching.result() is True


def test_a_long_message_is_cut() -> None:
    watching = Watching(pattern="paid", logger="shop", within_s=0.5)
    SHOP.warning("x" * 65_533 + "paid")
    assert watching.result() is False
    watching = Watching(pattern="paid", logger="shop")
    SHOP.warning("x" * 65_532 + "paid")
    assert watching.result() is True


def test_whoever_logs_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matcher that is held up lets the queue run full; what does not fit is counted."""
    monkeypatch.setattr(_records, "_MAX_WAITING", 10)
    monkeypatch.setattr(SHOP, "propagate", False)
    held, go_on = threading.Event(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            held.set()
            go_on.wait(10)
            return "slow"

    watching = Watching(pattern="paid", logger="shop")
    SHOP.warning("%s", Slow())
    assert held.wait(10)
    began = time.monotonic()
    for _ in range(1_000):
        SHOP.warning("something")
    assert time.monotonic() - began < 5
    go_on.set()
    watching.looked_at(11)
    assert watching.ctx.seen == "records of the logger 'shop' that were looked at: 11; 990 more came too fast"
    watching.stop()


def test_logging_that_is_configured_anew_does_not_end_it() -> None:
    watching = Watching(pattern="paid", logger="shop")
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "loggers": {"shop": {"handlers": []}}}
    )
    eventually(lambda: SHOP.handlers, "it listens again")
    SHOP.warning("paid")
    assert watching.result() is True


@pytest.mark.parametrize("busy", [False, True])
def test_a_stop_is_noticed_at_once_among_records(busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHOP, "propagate", False)
    watching = Watching(pattern="paid", logger="shop")
    over = threading.Event()

    def chatter() -> None:
        while not over.is_set():
            SHOP.warning("something")

    threads = [threading.Thread(target=chatter, daemon=True) for _ in range(2 * busy)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    watching.stop()
    assert time.monotonic() - began < 1
    over.set()
    for thread in threads:
        thread.join(5)


def test_it_ends_with_its_time_among_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHOP, "propagate", False)
    began = time.monotonic()
    watching = Watching(pattern="paid", logger="shop", within_s=0.3)
    while not watching.came:
        SHOP.warning("something")
        assert time.monotonic() - began < 5
    assert watching.result() is False


def test_a_pattern_that_takes_too_long_is_no_hang() -> None:
    watching = Watching(pattern="(?:a|aa)+$", logger="shop")
    SHOP.warning("%sb", "a" * 60_000)
    assert isinstance(error := watching.result(), FaultFailed)
    assert "the pattern '(?:a|aa)+$' took longer than 0.5 s" in str(error)


# ---------------------------------------------------------------- files


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


@contextmanager
def watching_file(path: Path, pattern: str = "^paid$", **more: Any) -> Generator[Watching, None, None]:
    watching = Watching(pattern=pattern, file=str(path), **more)
    yield watching
    assert watching.result() is True


def test_lines_from_now_on(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "paid\npaid")
    with watching_file(log) as watching:
        append(log, " a bit\nmore\n")
        watching.looked_at(2)
        append(log, "paid\r\n")


def test_a_file_that_comes_later_counts_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "later" / "shop.log"
    with watching_file(log) as watching:
        assert watching.ctx.seen == f"lines of {str(log)!r} that were looked at: 0; it does not exist"
        log.parent.mkdir()
        append(log, "paid\n")


def test_a_line_counts_once_it_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    with watching_file(log, "^order 7 paid$") as watching:
        for piece in ("ord", "er 7 pa", "id"):
            append(log, piece)
            time.sleep(0.05)
            watching.looked_at(0)
        append(log, "\nmore")


def test_a_file_that_is_cut_off_counts_from_its_start_again(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "old\n" * 100 + "half a li")
    with watching_file(log) as watching:
        append(log, "ne\nhalf a li")
        watching.looked_at(1)
        os.truncate(log, 0)
        time.sleep(0.1)
        append(log, "paid\n")


def test_another_file_with_its_name_counts_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "old\n")
    with watching_file(log) as watching:
        append(log, "half a li")
        log.rename(tmp_path / "shop.log.1")
        time.sleep(0.1)
        append(tmp_path / "shop.log.1", "ne\n")  # whoever writes may hold it open for a while
        watching.looked_at(1)
        append(log, "paid\n")


def test_what_was_written_before_it_was_replaced_is_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "old\n")
    for _ in range(20):
        with watching_file(log):
            append(log, "paid\n")
            log.replace(tmp_path / "shop.log.1")
            append(log, "new\n")


def test_a_file_that_is_gone_and_back(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "old\n")
    with watching_file(log) as watching:
        append(log, "more\nhalf a li")
        watching.looked_at(1)
        log.unlink()
        time.sleep(0.05)
        append(log, "paid\n")


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    with watching_file(log, "paid") as watching:
        append(log, "x" * 65_533 + "paid" + "x" * 1_000_000 + "paid\n")
        watching.looked_at(1)
        append(log, "x" * 65_532 + "paid" + "x" * 1_000_000 + "\n")


def test_a_line_without_an_end_is_no_hang_and_no_heap(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "")
    with Tail(log) as tail:
        append(log, b"x" * 5_000_000)
        assert [*tail.texts(0)] == []
        assert tail._at == 4 * 1024 * 1024, "it went on for as long as there was something to read"
        assert len(tail._partial) == 65_536
        append(log, "\npaid\n")
        assert [*tail.texts(0)] == ["x" * 65_536, "paid"]


def test_a_file_that_was_replaced_is_read_to_its_end_first(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "")
    with Tail(log) as tail:
        append(log, b"x" * 5_000_000 + b"\npaid\n")
        log.replace(tmp_path / "shop.log.1")
        append(log, "new\n")
        assert [line[:4] for _ in range(2) for line in tail.texts(0)] == ["xxxx", "paid", "new"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    with watching_file(log, "^\ufffd paid ü$"):
        append(log, b"\xff paid \xc3\xbc\n")


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "shop.log").symlink_to(tmp_path / "today.log")
    append(tmp_path / "today.log", "old\n")
    with watching_file(tmp_path / "shop.log") as watching:
        append(tmp_path / "today.log", "more\n")
        watching.looked_at(1)
        (tmp_path / "shop.log").unlink()
        (tmp_path / "shop.log").symlink_to(tmp_path / "tomorrow.log")
        append(tmp_path / "tomorrow.log", "paid\n")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def under_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (a_pipe, "is no regular file"),
        (a_folder, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (a_loop, "cannot be read: Too many levels of symbolic links"),
        (under_a_file, "cannot be read: Not a directory"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_is_no_file_is_named(
    tmp_path: Path, make: Callable[[Path], None], why: str, later: bool
) -> None:
    log = tmp_path / "logs" / "shop.log"
    log.parent.mkdir()
    if not later:
        make(log)
    watching = Watching(pattern="paid", file=str(log))
    if later:
        make(log)
    assert isinstance(error := watching.result(), FaultFailed)
    assert str(error).startswith(f"{log} {why}")


def test_a_pipe_that_takes_its_place_at_the_last_moment_is_no_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stat.S_ISREG", lambda _mode: True)
    a_pipe(tmp_path / "shop.log")
    assert isinstance(Watching(pattern="paid", file=str(tmp_path / "shop.log")).result(), OSError)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    append(log, "old\n")
    for _ in range(3):
        with watching_file(log):
            log.replace(tmp_path / "shop.log.1")
            append(log, "paid\n")
    links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert not [link for link in links if tmp_path in link.parents]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "when something that matches 'paid' is logged by any logger"),
        ({"logger": "shop"}, "when something that matches 'paid' is logged by the logger 'shop'"),
        ({"file": "shop.log"}, "when a line that matches 'paid' is written to 'shop.log'"),
    ],
)
def test_in_words(spec: dict[str, str], words: str) -> None:
    assert LogTrigger.model_validate({"pattern": "paid", **spec}).in_words() == words
