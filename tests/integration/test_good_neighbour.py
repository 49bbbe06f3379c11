"""Chaos lives in somebody else's process: it leaves nothing behind, changes nothing, and says nothing where others listen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop
from tests.support.specs import INSTANT_FAULT, load_spec

# What a process is made of, noted round every test from outside of everything that plugins do.
WATCHING: Final = '''
import asyncio, faulthandler, gc, locale, logging, os, random, resource, signal, socket, sys, threading
from pathlib import Path

import pytest

FOUND = []


def threads():
    return sorted(one.name for one in threading.enumerate())


def descriptors():
    """Return each open descriptor, and what it is where the system tells."""
    found = set()
    for one in Path("/dev/fd").iterdir():
        try:
            found.add((one.name, os.readlink(f"/proc/self/fd/{one.name}") if sys.platform == "linux" else ""))
        except OSError:
            pass  # the one that listed them
    return found


def state():
    gc.collect()
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "threads": threads(),
        "descriptors": descriptors(),
        "handlers of signals": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "directory": os.getcwd(),
        "mask": mask,
        "limits": {one: resource.getrlimit(one) for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)},
        "faulthandler": faulthandler.is_enabled(),
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, sys.gettrace(), sys.getprofile()],
        "streams": [sys.stdin, sys.__stdout__, sys.__stderr__],
        "import": [*sys.path, *map(type, sys.meta_path), *sys.path_hooks],
        "switching": [sys.getswitchinterval(), sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold()],
        "logging": [logging.root.level, [*logging.root.handlers], logging.root.manager.disable, logging.raiseExceptions],
        "dice": random.getstate(),
        "sockets": socket.getdefaulttimeout(),
        "locale": locale.setlocale(locale.LC_ALL),
        "ended children": ended_children(),
    }


def ended_children():
    """Return one that nobody has waited for, if there is one."""
    try:
        return [os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)]
    except ChildProcessError:
        return []


class Watch:
    """Outside of everybody else: what it sees before and after a test is what the session has."""

    def __init__(self, config):
        self._config = config
        self._first = {what: value for what, value in state().items() if what != "logging"}  # collected under handlers

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        before = state()
        result = yield
        if item.name != "test_first":  # which brings the process that all of a session's faults are children of
            self._compare(item.name, before)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self):
        result = yield
        mine = self._first["descriptors"] & descriptors()  # pytest has closed its own by now
        self._compare("the session", {**self._first, "descriptors": mine})
        self._config.get_terminal_writer().line(f"{len(FOUND)} changes")
        return result

    def _compare(self, name, before):
        after = state()
        for what in before:
            if before[what] != after[what]:
                FOUND.append(what)
                self._config.get_terminal_writer().line(f"CHANGED {name}: {what}: {before[what]} became {after[what]}")


def pytest_collection_finish(session):
    session.config.pluginmanager.register(Watch(session.config))
'''


def suite(shop: Shop) -> str:
    """Return tests that hold, break and never start: from marks, by hand, in a loop, with checks and with triggers."""
    load = load_spec(f"{shop.url}/", qps=60, min_delivered=0)
    dead = load_spec("http://127.0.0.1:1/", qps=60, timeout="500ms")
    return f"""
import asyncio, time, unittest, urllib.request
{INSTANT_FAULT}
LOAD, DEAD = {load!r}, {dead!r}
CHECKED = {{**LOAD, "verify": "a check", "verify_phases": ["before", "during", "after"], "recover_within": 1}}
ASKING = {{**LOAD, "trigger": {{"type": "http", "url": "{shop.url}/"}}}}
LOGGED = {{**LOAD, "trigger": {{"type": "log", "pattern": "now"}}}}

@pytest.fixture
def chaos_verifiers(): return {{"a check": lambda: None, "broken": lambda: False}}

@pytest.mark.chaos(LOAD)
def test_first(): time.sleep(0.3)

@pytest.mark.chaos(LOAD)
def test_held(): time.sleep(0.3)

@pytest.mark.chaos(LOAD, LOAD, INSTANT)
def test_broke(): time.sleep(0.1); assert False

@pytest.mark.chaos(DEAD)
def test_never_starts(): pass

@pytest.mark.chaos(CHECKED)
def test_checked(): time.sleep(0.5)

@pytest.mark.chaos({{**LOAD, "verify": "broken"}})
def test_not_steady(): pass

@pytest.mark.chaos({{**LOAD, "abort_when": "broken"}})
def test_aborted(): time.sleep(0.5)

@pytest.mark.chaos(ASKING)
def test_asking(): time.sleep(1)

@pytest.mark.chaos(LOGGED)
def test_logged():
    import logging
    logging.getLogger("shop").warning("now")
    time.sleep(1)

@pytest.mark.chaos(LOAD, wait="none")
def test_skipped(): time.sleep(0.1); pytest.skip("no")

def test_by_hand(chaos_injector):
    with chaos_injector.inject(LOAD): time.sleep(0.3)

def test_left_running(chaos_injector):
    chaos_injector.start(LOAD)
    time.sleep(0.3)

def test_in_a_loop(chaos_injector):
    async def body():
        async with chaos_injector.inject(LOAD): await asyncio.sleep(0.3)
    asyncio.run(body())

@pytest.mark.chaos(INSTANT)
class TestUnittest(unittest.TestCase):
    def test_it(self): time.sleep(0.01)
"""


def strict(monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """Make everything that a process can complain of a complaint; return the directory for its temporary files."""
    temporary = path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(temporary))
    return temporary


def test_nothing_of_the_process_is_changed(
    inner: InnerPytest, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = strict(monkeypatch, tmp_path)
    run = inner(suite(shop), conftest=WATCHING, subprocess=True, timeout_s=120)
    assert "\n0 changes" in run.stdout, run.stdout
    assert run.stderr == ""
    wanted = {"passed": 9, "skipped": 1, "failed": 2, "error": 2}
    assert Counter(run.words.values()) == wanted, run.stdout
    assert [path for path in temporary.rglob("*") if not path.is_dir()] == []


def test_a_change_would_be_seen(inner: InnerPytest) -> None:
    source = """
    import os, signal, socket, threading

    def test_rude():
        os.environ["RUDE"] = "yes"
        os.umask(0o77)
        os.chdir("/")
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.excepthook = print
        socket.setdefaulttimeout(3)
        os.dup(1)
        threading.Thread(target=threading.Event().wait, name="left", daemon=True).start()
        os.spawnlp(os.P_NOWAIT, "true", "true")
    """
    run = inner(source, conftest=WATCHING, subprocess=True)
    changed = {line.split(": ")[1] for line in run.stdout.splitlines() if line.startswith("CHANGED")}
    assert changed >= {
        *("threads", "descriptors", "handlers of signals", "environment", "directory", "mask", "hooks"),
        *("sockets", "ended children"),
    }, run.stdout


def test_threads_are_named_and_gone_and_nothing_is_said_where_nobody_captures(
    inner: InnerPytest, shop: Shop
) -> None:
    """Ours are the only threads that come, and each says whose it is."""
    seen = """
import functools, pytest, threading
SEEN = set()

@pytest.fixture(scope="session", autouse=True)
def watch():
    begin, before = threading.Thread.start, set(threading.enumerate())

    @functools.wraps(begin)
    def start(thread):
        SEEN.add(thread.name)
        begin(thread)

    threading.Thread.start = start
    yield
    threading.Thread.start = begin
    assert set(threading.enumerate()) == before
    print("", *sorted(SEEN), sep="\\n")
"""
    run = inner(suite(shop), "-s", "-q", "--no-summary", conftest=seen, subprocess=True, timeout_s=120)
    assert run.exit_code == 1
    assert run.stderr == ""
    progress, *begun = run.stdout.splitlines()
    assert Counter(progress) == {".": 9, "s": 1, "F": 2, "E": 2}
    begun = begun[: begun.index("")]
    ours = {"load", "fortio-stdout", "fortio-stderr", "check", "recovery"}
    assert {f"pytest-chaos-{name}" for name in ours} <= {*begun}
    assert [name for name in begun if not name.startswith(("pytest-chaos-", "asyncio_"))] == []


@pytest.mark.parametrize("capture", ["capsys", "capfd"])
def test_nothing_is_said_where_a_test_listens(inner: InnerPytest, shop: Shop, capture: str) -> None:
    """What fortio says on its standard error grows with the requests that fail."""
    shop.status = 503
    source = f"""
import time
{INSTANT_FAULT}
LOAD = {load_spec(f"{shop.url}/", qps=60, min_delivered=0)!r}
DEAD = {load_spec("http://127.0.0.1:1/", qps=60)!r}

@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.chaos(LOAD, INSTANT, wait="none")),
                                    pytest.param(2, marks=pytest.mark.chaos(LOAD, INSTANT))])
def test_mark(number, {capture}):
    print("mine")
    time.sleep(1)
    assert {capture}.readouterr() == ("mine\\n", "")

def test_by_hand({capture}, chaos_injector):
    with chaos_injector.inject(LOAD):
        time.sleep(0.3)
    with chaos_injector.inject(DEAD, wait="none", check=False):
        time.sleep(0.3)
    assert {capture}.readouterr() == ("", "")

@pytest.fixture
def listening({capture}):
    yield
    assert {capture}.readouterr() == ("", "")

@pytest.mark.chaos(LOAD)
def test_fixture(listening): time.sleep(0.3)
"""
    run = inner(source, subprocess=True)
    assert set(run.words.values()) == {"passed"}, run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize("options", [(), ("-p", "no:faulthandler")], ids=["pytest's own", "without"])
def test_faulthandler_is_left_alone(inner: InnerPytest, shop: Shop, options: tuple[str, ...]) -> None:
    """A test that takes too long is still dumped, and a handler of the user's own stays where it was."""
    source = f"""
    import faulthandler, signal, sys, time, pytest

    @pytest.fixture(scope="session", autouse=True)
    def mine(tmp_path_factory):
        path = tmp_path_factory.mktemp("dumps") / "dump"
        with path.open("w") as file:
            faulthandler.register(signal.SIGUSR2, file=file)
            yield path
            faulthandler.unregister(signal.SIGUSR2)

    @pytest.mark.chaos({load_spec(f"{shop.url}/", qps=60)!r})
    def test_long(mine):
        assert faulthandler.is_enabled() == ("_pytest.faulthandler" in sys.modules and {not options})
        time.sleep(0.6)
        signal.raise_signal(signal.SIGUSR2)
        assert "in test_long" in mine.read_text()
    """
    run = inner(source, *options, ini={"faulthandler_timeout": 0.3} if not options else {}, subprocess=True)
    assert run.test().word == "passed", run.stdout
    assert ("Timeout (0:00:00.3" in run.stderr) == (not options), run.stderr


def test_fifty_at_once(inner: InnerPytest, shop: Shop) -> None:
    """Real loads, each with its own fortio, its own threads and its own verdict."""
    specs = [
        load_spec(f"{shop.url}/{n}", name=f"load {n}", qps=4, concurrency=1, min_delivered=0)
        for n in range(50)
    ]
    source = f"""
    import threading, time, pytest

    @pytest.fixture(autouse=True)
    def joined():
        before = set(threading.enumerate())
        yield before
        assert set(threading.enumerate()) == before

    @pytest.mark.chaos(*{specs!r})
    def test_it(): time.sleep(1)
    """
    run = inner(source, subprocess=True, timeout_s=120)
    assert run.test().verdicts == ["held"] * 50, run.stdout
    assert {hit.path for hit in shop.hits} == {f"/{n}" for n in range(50)}
