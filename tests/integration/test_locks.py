"""One target, one disruption: across tests, workers and sessions, for as long as a test may still disrupt it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_chaos.engine.broker import Broker, Lock
from tests.integration.test_docs import ROOT, files
from tests.support.inner import InnerPytest, InnerRun
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.waiting import eventually

XDIST = ["xdist.plugin"]

CONFTEST = '''
import contextlib, json, os, pathlib, socket, time
from typing import Literal
from urllib.parse import urlsplit

import pytest
from pytest_chaos import FAULTS, ChaosResult, Fault
from pytest_chaos.engine import broker
from pytest_chaos.engine.broker import Broker, LockTimeout
from pytest_chaos.errors import NotHeld


@FAULTS.register("strike")
class Strike(Fault):
    """Tell each target on 127.0.0.1 when it begins, and when it has ended."""

    type: Literal["strike"] = "strike"
    at: list[str] = []

    def targets(self):
        return list(self.at)

    def ends_by_itself(self):
        return False

    def inject(self, ctx, chaos_active_event=None):
        with contextlib.ExitStack() as stack:
            told = []
            for url in self.at:
                where = urlsplit(url)
                if where.hostname == "127.0.0.1":
                    told.append(stack.enter_context(socket.create_connection((where.hostname, where.port))))
            for one in told:
                self.tell(one, b"begin")
            chaos_active_event.set()
            ctx.stop.wait()
            for one in told:
                self.tell(one, b"end")
        return ChaosResult(success=True, injected_fault="strike")

    def tell(self, one, word):
        one.sendall(word + b"\\\\n")
        assert one.recv(3) == b"ok\\\\n"


def strike(*urls, name="a strike", **more):
    return {"name": name, "trigger": {"type": "time"}, "action": {"type": "strike", "at": list(urls)}, **more}


def is_free(*keys):
    """Tell whether a stranger could have these locks at this moment."""
    try:
        locks = Broker(timeout_s=0, tell=print).take(keys, who="a stranger")
    except LockTimeout:
        return False
    for lock in locks:
        lock.release()
    return True


def note(name, value):
    with open("notes.jsonl", "a") as file:
        file.write(json.dumps([name, value]) + "\\\\n")


def wait_for(path):
    deadline = time.monotonic() + 10
    while not pathlib.Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.005)
'''.replace("\\\\n", "\\n")
HEAD = "import os, pathlib, signal, threading, time\nimport pytest\nfrom conftest import *\n"


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the locks of these tests to themselves; return where they all are."""
    path = tmp_path_factory.mktemp("runtime")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path / f"pytest-chaos-{os.getuid()}" / "locks"


class Target(socketserver.ThreadingTCPServer):
    """Counts for itself how many disruptions it is under.

    Attributes:
        most: how many there were at once, at most.
        count: how many there were in all.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Stricken)
        self.key = f"localhost:{self.server_address[1]}"
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        self.now = self.most = self.count = 0
        self.guard = threading.Lock()

    def begin(self) -> None:
        with self.guard:
            self.count += 1
            self.now += 1
            self.most = max(self.most, self.now)

    def end(self) -> None:
        with self.guard:
            self.now -= 1


class _Stricken(socketserver.StreamRequestHandler):
    server: Target

    def handle(self) -> None:
        begun = False
        while (word := self.rfile.readline()) == b"begin\n":
            self.server.begin()
            begun = True
            self.wfile.write(b"ok\n")
        if begun:
            self.server.end()
        if word:
            self.wfile.write(b"ok\n")


@pytest.fixture
def targets() -> Generator[Callable[[int], list[Target]], None, None]:
    """Return a factory of so many targets."""
    made: list[Target] = []

    def make(count: int) -> list[Target]:
        new = [Target() for _ in range(count)]
        for target in new:
            threading.Thread(target=target.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        made.extend(new)
        return new

    yield make
    for target in made:
        target.shutdown()
        target.server_close()


@pytest.fixture
def target(targets: Callable[[int], list[Target]]) -> Target:
    return targets(1)[0]


@contextmanager
def held(*keys: str, shared: bool = False, for_s: float | None = None) -> Iterator[list[Lock]]:
    """Hold ``keys`` as somebody else would; with ``for_s`` they are let go that many seconds later."""
    locks = Broker(timeout_s=0, tell=print).take(keys, who="somebody else", shared=shared)

    def let_go() -> None:
        for lock in locks:
            lock.release()

    timer = threading.Timer(for_s or 0, let_go)
    if for_s is not None:
        timer.start()
    yield locks
    if for_s is not None:
        timer.join()
    let_go()


def notes(run: InnerRun) -> list[tuple[str, object]]:
    """Return what the inner tests have noted, in the order of time."""
    file = run.path / "notes.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [(name, value) for name, value in map(json.loads, lines)]


def all_passed(run: InnerRun, count: int) -> None:
    assert list(run.words.values()) == ["passed"] * count, run.stdout + run.stderr
    assert run.exit_code == 0


# ------------------------------------------------------------------ one at a time


def test_forty_tests_of_eight_workers_on_four_targets(
    inner: InnerPytest, targets: Callable[[int], list[Target]], runtime: Path
) -> None:
    four = targets(4)
    run = inner(
        f"""{HEAD}
URLS = {[target.url for target in four]!r}

@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.chaos(strike(URLS[n % 4]))) for n in range(40)])
def test_it(number): time.sleep(0.03)
""",
        "-n8",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    all_passed(run, 40)
    assert [(target.count, target.most) for target in four] == [(10, 1)] * 4
    assert list(runtime.iterdir()) == []


def test_two_targets_in_opposite_orders(
    inner: InnerPytest, targets: Callable[[int], list[Target]], runtime: Path
) -> None:
    one, other = targets(2)
    run = inner(
        f"""{HEAD}
broker._POLL_S = 0.001
ORDERS = [({one.url!r}, {other.url!r}), ({other.url!r}, {one.url!r})]

# Half of them name both in one spec, half in a spec each.
def marks(n):
    first, second = ORDERS[n % 2]
    if n % 4 < 2:
        return pytest.mark.chaos(strike(first, second))
    return [pytest.mark.chaos(strike(first)), pytest.mark.chaos(strike(second))]

@pytest.mark.parametrize("number", [pytest.param(n, marks=marks(n)) for n in range(200)])
def test_it(number): pass
""",
        "-n3",
        "--chaos-lock-timeout=20",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    all_passed(run, 200)
    assert [(target.count, target.most) for target in (one, other)] == [(200, 1)] * 2
    assert list(runtime.iterdir()) == []


def test_workers_that_run_a_group_each(inner: InnerPytest, target: Target) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.xdist_group(f"{{n % 2}}")) for n in range(8)])
@pytest.mark.chaos(strike({target.url!r}))
def test_it(n): time.sleep(0.03)
""",
        "-n2",
        "--dist=loadgroup",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    all_passed(run, 8)
    assert (target.count, target.most) == (8, 1)


def test_sessions_that_know_nothing_of_each_other(inner: InnerPytest, shop: Shop) -> None:
    spec = load_spec(f"{shop.url}/{{{{WHO}}}}", qps=100, concurrency=2)
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.chaos({spec!r})) for n in range(3)])
def test_it(number):
    note("body", number)
    time.sleep(0.1)
""",
        "--collect-only",
        conftest=CONFTEST,
    )
    command = [sys.executable, "-m", "pytest", "-p", "pytest_chaos.plugin", "-p", "no:cacheprovider"]
    sessions = [
        subprocess.Popen(
            [*command, f"--chaos-var=WHO={who}"], cwd=run.path, stdout=subprocess.PIPE, text=True
        )
        for who in ("one", "other")
    ]
    told = [session.communicate(timeout=60)[0] for session in sessions]
    # How much was delivered is another matter: each body ran, so that each load was really under way.
    assert sorted(notes(run)) == [("body", number) for number in (0, 0, 1, 1, 2, 2)], told
    turns = [who for who, _ in itertools.groupby(hit.path for hit in shop.hits)]
    assert set(turns) == {"/one", "/other"}
    # Three loads of each: were two of them ever at once, their requests would alternate far more often.
    assert len(turns) <= 6, turns


def test_every_spelling_of_a_target_is_the_same(inner: InnerPytest, target: Target) -> None:
    port = target.server_address[1]
    urls = [f"http://{host}:{port}/x" for host in ("localhost", "LOCALHOST.", "[::1]", "127.0.0.1")]
    with held(target.key):
        run = inner(
            f"""{HEAD}
@pytest.mark.parametrize("url", [pytest.param(url, marks=pytest.mark.chaos(strike(url))) for url in {urls!r}])
def test_it(url): raise SystemError
""",
            "--chaos-lock-timeout=0",
            conftest=CONFTEST,
        )
    assert set(run.words.values()) == {"error"}


@pytest.mark.parametrize(
    ("first", "second", "at_once"),
    [
        ("shared=True", "shared=True", True),
        ("shared=True", "shared=False", False),
        ("shared=False", "shared=True", False),
    ],
)
def test_shared(inner: InnerPytest, target: Target, first: str, second: str, at_once: bool) -> None:
    # Each of the two waits in its body for the other one's; only one that is shared ever sees it.
    run = inner(
        f"""{HEAD}
def meet(me, other):
    pathlib.Path(me).touch()
    deadline = time.monotonic() + ({10 if at_once else 0.3})
    while not pathlib.Path(other).exists() and time.monotonic() < deadline:
        time.sleep(0.005)

@pytest.mark.chaos(strike({target.url!r}), {first})
def test_first(): meet("first", "second")

@pytest.mark.chaos(strike({target.url!r}), {second})
def test_second(): meet("second", "first")
""",
        "-n2",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    all_passed(run, 2)
    assert (target.count, target.most) == (2, 2 if at_once else 1)


@pytest.mark.parametrize(
    ("lock", "key", "kept_out"),
    [
        ("'shop'", "lock 'shop'", True),
        ("['till', 'shop']", "lock 'shop'", True),
        ("['till', 'shop']", "lock 'till'", True),
        ("'shop'", "lock 'till'", False),
        ("'shop'", "shop", False),
    ],
)
def test_a_lock_by_name(inner: InnerPytest, lock: str, key: str, kept_out: bool) -> None:
    with held(key):
        run = inner(
            f"""{HEAD}
@pytest.fixture
def chaos_variables():
    note("setup", "done")
    return {{"URL": "http://localhost:1/"}}

@pytest.mark.chaos(strike("{{{{URL}}}}"), lock={lock})
def test_it(): note("body", "done")
""",
            "--chaos-lock-timeout=0",
            conftest=CONFTEST,
        )
    assert run.words == {"test_it": "error" if kept_out else "passed"}
    assert len(notes(run)) == (0 if kept_out else 2)


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("lock=1", "lock must be a name, or a list of names, not 1"),
        ("lock=''", "lock must be a name, or a list of names, not ['']"),
        ("lock=['a', None]", "lock must be a name, or a list of names"),
        ("lock=None", "lock must be a name, or a list of names, not None"),
        ("shared=1", "shared must be True or False, not 1"),
        ("locks='a'", "unknown keyword 'locks'"),
    ],
)
def test_what_is_no_lock_is_a_collection_error(inner: InnerPytest, keyword: str, said: str) -> None:
    run = inner(
        f"{HEAD}@pytest.mark.chaos(strike(), {keyword})\ndef test_it(): raise SystemError\n",
        conftest=CONFTEST,
    )
    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert said in run.stdout


# ------------------------------------------------------------------ from when to when


PROBE = """
@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    note("before", is_free(KEY))
    yield
    note("after", is_free(KEY))

def pytest_sessionfinish(session): note("end", is_free(KEY))
"""
PROBED = """
@pytest.fixture
def around():
    note("setup", is_free(KEY))
    yield
    note("teardown", is_free(KEY))
"""


def test_it_is_held_from_before_setup_to_after_teardown(inner: InnerPytest, target: Target) -> None:
    run = inner(
        f"""{HEAD}{PROBED}
@pytest.mark.chaos(strike({target.url!r}))
def test_it(around): note("body", is_free(KEY))

def test_next(): note("next", is_free(KEY))
""",
        conftest=f"{CONFTEST}\nKEY = {target.key!r}\n{PROBED}{PROBE}",
    )
    all_passed(run, 2)
    assert notes(run) == [
        ("before", False),
        ("setup", False),
        ("body", False),
        ("teardown", False),
        ("after", False),
        ("before", True),
        ("next", True),
        ("after", True),
        ("end", True),
    ]


def test_of_what_only_a_fixture_knows_it_is_held_from_the_fixtures_on(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def chaos_variables(around): return {{"URL": "http://192.0.2.1/"}}

@pytest.mark.chaos(strike("{{{{URL}}}}x"), strike("http://192.0.2.1:81/"))
def test_it(): note("body", is_free(KEY) or is_free("192.0.2.1:81"))

def test_next(): pass
""",
        conftest=f"{CONFTEST}\nKEY = '192.0.2.1:80'\n{PROBED}{PROBE}",
        ini={"chaos_allowed_targets": "192.0.2.0/24"},
    )
    all_passed(run, 2)
    assert notes(run)[:5] == [
        ("before", True),
        ("setup", True),
        ("body", False),
        ("teardown", False),
        ("after", False),
    ]
    assert notes(run)[5:] == [("before", True), ("after", True), ("end", True)]


@pytest.mark.parametrize(
    ("options", "environment"), [(["--chaos-var=PORT={port}"], None), ([], "{port}"), (["--chaos-var=PORT=1"], "{port}")]
)  # fmt: skip
def test_what_the_command_line_and_the_environment_fill_is_known_before_setup(
    inner: InnerPytest,
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    environment: str | None,
) -> None:
    port = target.server_address[1]
    if environment is not None:
        monkeypatch.setenv("PORT", environment.format(port=port))
    with held(target.key):
        run = inner(
            f"{HEAD}@pytest.mark.chaos(strike('http://[::1]:{{{{PORT}}}}/'))\ndef test_it(): pass\n",
            *(option.format(port=port) for option in options),
            "--chaos-lock-timeout=0",
            conftest=CONFTEST,
            ini={"chaos_env": "PORT"},
        )
    outranked = options == ["--chaos-var=PORT=1"]
    assert run.words == {"test_it": "passed" if outranked else "error"}


def test_a_port_of_loopback_that_only_a_fixture_knows_needs_none(
    inner: InnerPytest, target: Target, runtime: Path
) -> None:
    with held(target.key):
        run = inner(
            f"""{HEAD}
@pytest.fixture
def chaos_variables(): return {{"URL": {target.url!r}}}

@pytest.mark.chaos(strike("{{{{URL}}}}"))
def test_it(): assert len(os.listdir({str(runtime)!r})) == 1
""",
            "--chaos-lock-timeout=0",
            conftest=CONFTEST,
        )
    all_passed(run, 1)


@pytest.mark.parametrize("options", [["-n0"], ["-n1"]])
def test_it_is_held_over_all_reruns(inner: InnerPytest, target: Target, options: list[str]) -> None:
    run = inner(
        f"""{HEAD}
TRIES = []

@pytest.mark.chaos(strike({target.url!r}))
def test_it():
    TRIES.append(1)
    assert len(TRIES) == 3
""",
        *options,
        "--reruns=3",
        conftest=f"""{CONFTEST}
class Probe:
    def pytest_runtest_logreport(self, report): note(report.when, is_free({target.key!r}))

def pytest_configure(config):
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        config.pluginmanager.register(Probe())
""",
        plugins=[*XDIST, "pytest_rerunfailures"],
    )
    assert run.words == {"test_it": "passed"}
    assert notes(run) == [(when, False) for _ in range(3) for when in ("setup", "call", "teardown")]
    assert target.count == 3


def test_a_rerun_of_a_test_whose_first_chaos_came_in_its_body(inner: InnerPytest, target: Target) -> None:
    run = inner(
        f"""{HEAD}
TRIES = []

def test_it(request):
    TRIES.append(1)
    with request.getfixturevalue("chaos_injector").inject(strike({target.url!r})):
        assert not is_free({target.key!r})
        assert len(TRIES) == 2

def test_after(): assert is_free({target.key!r})
""",
        "--reruns=1",
        conftest=CONFTEST,
        plugins=["pytest_rerunfailures"],
    )
    all_passed(run, 2)


def test_a_test_that_is_run_again_asks_again(inner: InnerPytest, target: Target) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(strike({target.url!r}))
def test_it(): note("body", True)
""",
        "--chaos-lock-timeout=0",
        conftest=f"""{CONFTEST}
from _pytest.runner import runtestprotocol

def pytest_runtestloop(session):
    (item,) = session.items
    (lock,) = Broker(timeout_s=0, tell=print).take([{target.key!r}], who="somebody else")
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    assert not os.path.exists("notes.jsonl")
    lock.release()
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return True
""",
    )
    assert notes(run) == [("body", True)], run.stdout


@pytest.mark.parametrize("first", ["", "@pytest.mark.chaos(strike())\ndef test_first(): pass\n"])
def test_a_mark_that_a_fixture_adds(inner: InnerPytest, target: Target, first: str) -> None:
    run = inner(
        f"""{HEAD}{first}
@pytest.fixture
def marked(request):
    request.applymarker(pytest.mark.chaos(strike({target.url!r}), lock="shop", shared=True))

def test_it(marked): assert not is_free("lock 'shop'")

def test_after(): assert is_free("lock 'shop'")
""",
        conftest=CONFTEST,
    )
    assert set(run.words.values()) == {"passed"}


@pytest.mark.parametrize(
    "options", [["--chaos-disable"], ["--chaos-dry-run"], ["--setup-only"], ["--setup-plan"], ["--collect-only"]]
)  # fmt: skip
def test_runs_in_peace_take_none(
    inner: InnerPytest, target: Target, runtime: Path, options: list[str]
) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(strike({target.url!r}), lock="shop")
def test_it(): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(strike({target.url!r})): pass
""",
        *options,
        conftest=CONFTEST,
    )
    assert run.exit_code == 0, run.stdout
    assert target.count == 0
    assert not runtime.exists()


def test_tests_without_chaos_take_none(inner: InnerPytest, target: Target, runtime: Path) -> None:
    run = inner(
        f"""{HEAD}
def test_it(): pass

@pytest.mark.chaos
def test_plain(): pass

def test_by_hand(chaos_injector): pass

@pytest.mark.chaos(strike())
def test_without_target(): pass

@pytest.mark.skip
@pytest.mark.chaos(strike({target.url!r}))
def test_skipped(): raise SystemError
""",
        conftest=CONFTEST,
    )
    assert list(run.words.values()) == ["passed"] * 4 + ["skipped"]
    assert not runtime.exists()


def test_a_skipped_test_waits_for_nothing(inner: InnerPytest, target: Target) -> None:
    with held(target.key):
        run = inner(
            f"""{HEAD}
@pytest.mark.skip(reason="not today")
@pytest.mark.chaos(strike({target.url!r}))
def test_it(): raise SystemError
""",
            "--chaos-lock-timeout=0",
            conftest=CONFTEST,
        )
    assert run.words == {"test_it": "skipped"}


# ------------------------------------------------------------------ by hand


def test_a_test_does_not_wait_for_itself(inner: InnerPytest, target: Target) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(strike({target.url!r}))
def test_marked(chaos_injector):
    with chaos_injector.inject(strike({target.url!r})):
        with chaos_injector.inject(strike({target.url!r}, {target.url!r})): pass
    assert not is_free({target.key!r})

def test_by_hand(chaos_injector):
    with chaos_injector.inject(strike({target.url!r})):
        assert not is_free({target.key!r})
    chaos_injector.start(strike({target.url!r}))
    assert not is_free({target.key!r})

def test_after(): assert is_free({target.key!r})
""",
        "--chaos-lock-timeout=0",
        conftest=CONFTEST,
    )
    all_passed(run, 3)


def test_blocks_of_several_threads_do_not_wait_for_each_other(inner: InnerPytest, target: Target) -> None:
    with held(target.key, for_s=0.3):
        run = inner(
            f"""{HEAD}
def test_it(chaos_injector):
    errors = []

    def work():
        try:
            with chaos_injector.inject(strike({target.url!r})): pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert errors == []
""",
            "--chaos-lock-timeout=3",
            conftest=CONFTEST,
        )
    all_passed(run, 1)
    assert target.count == 4


NESTED = """
@pytest.mark.parametrize("urls", [URLS, URLS[::-1]], ids=["up", "down"])
def test_it(chaos_injector, urls):
    first, second = (url.split(":")[2].strip("/") for url in urls)
    with chaos_injector.inject(strike(urls[0])):
        pathlib.Path(first).touch()
        wait_for(second)
        with chaos_injector.inject(strike(urls[1])):
            note("both", True)
"""


def test_blocks_in_opposite_orders_do_not_wait_for_each_other_for_long(
    inner: InnerPytest, targets: Callable[[int], list[Target]]
) -> None:
    urls = sorted(target.url for target in targets(2))
    run = inner(
        f"{HEAD}broker._OUT_OF_ORDER_S = 0.3\nURLS = {urls!r}\n{NESTED}",
        "-n2",
        "--chaos-lock-timeout=30",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    assert run.words == {"test_it[up]": "passed", "test_it[down]": "failed"}, run.stdout
    assert "two such tests could wait for each other: name all with lock=[...] on its mark" in run.stdout
    assert notes(run) == [("both", True)]


def test_blocks_of_a_mark_that_names_a_lock(
    inner: InnerPytest, targets: Callable[[int], list[Target]]
) -> None:
    pair = targets(2)
    urls = [target.url for target in pair]
    nested = NESTED.replace("wait_for(second)", "note(first, True)")
    run = inner(
        f"{HEAD}URLS = {urls!r}\n@pytest.mark.chaos(lock=['both']){nested}",
        "-n2",
        conftest=CONFTEST,
        plugins=XDIST,
    )
    all_passed(run, 2)
    assert [target.most for target in pair] == [1, 1]
    assert [name for name, _ in notes(run)].index("both") == 1, "the two did not run one after the other"


# ------------------------------------------------------------------ waiting


WAITS = {
    "mark": "@pytest.mark.chaos(strike(URL))\ndef test_it(): pass\n",
    "block": "def test_it(chaos_injector):\n    with chaos_injector.inject(strike(URL)): pass\n",
    "async block": "@pytest.mark.anyio\nasync def test_it(chaos_injector):\n"
    "    async with chaos_injector.inject(strike(URL)): pass\n",
}


@pytest.mark.parametrize(
    ("way", "options", "where"),
    [
        ("mark", [], "stdout"),
        ("mark", ["-s"], "stdout"),
        ("mark", ["-p", "no:terminal"], "stderr"),
        ("mark", ["-n1"], "stderr"),
        ("block", ["-n1", "--capture=sys"], "stderr"),
        ("async block", [], "stdout"),
    ],
)
def test_whoever_waits_for_long_says_for_whom(
    inner: InnerPytest, target: Target, way: str, options: list[str], where: str
) -> None:
    # A process of its own, which has a terminal and a standard error for itself. What it waits for, it holds itself,
    # until it has said so.
    run = inner(
        f"""{HEAD}
from pytest_chaos.plugin import runs

URL = {target.url!r}
HELD = Broker(timeout_s=0, tell=print).take([{target.key!r}], who="somebody else")

def telling(config, line, tell=runs.tell):
    tell(config, line)
    HELD[0].release()

broker._TELL_AFTER_S = 0.1
runs.tell = telling

@pytest.fixture
def anyio_backend(): return "asyncio"

{WAITS[way]}""",
        *options,
        conftest=CONFTEST,
        plugins=[*XDIST, "anyio.pytest_plugin"],
        subprocess=True,
    )
    assert run.exit_code == 0, run.stdout + run.stderr
    (line,) = re.findall(r"(?m)^chaos: .*$", getattr(run, where))
    assert re.fullmatch(
        rf"chaos: test_inner.py::\S+ waits for {target.key}: held by somebody else \(process \d+\) for \d+ s",
        line,
    )
    assert "waits for" not in getattr(run, "stderr" if where == "stdout" else "stdout")


@pytest.mark.parametrize("options", [[], ["-n2"]])
def test_what_is_not_free_in_time_is_an_error_in_setup(
    inner: InnerPytest, target: Target, options: list[str]
) -> None:
    with held(target.key):
        run = inner(
            f"""{HEAD}
@pytest.fixture
def fixture(): raise SystemError

@pytest.mark.xfail
@pytest.mark.chaos(strike({target.url!r}), strike(name="another"))
def test_it(fixture): raise SystemError

def test_next(): pass
""",
            "--chaos-lock-timeout=0.2",
            *options,
            conftest=CONFTEST,
            plugins=XDIST,
        )
    assert run.words == {"test_it": "error", "test_next": "passed"}
    end = run.test("test_it")
    assert end.verdicts == ["inconclusive"] * 2
    reason = (
        rf"{target.key} was not free within 0\.2 s \(chaos_lock_timeout\): held by somebody else "
        rf"\(process {os.getpid()}\) for \d+ s; if both may be disrupted at once, say shared=True on the mark"
    )
    assert all(re.fullmatch(reason, outcome["reason"]) for outcome in end.chaos)
    assert re.search(reason, end.longrepr)
    assert target.count == 0


def test_a_block_that_gets_no_lock_is_told_so(inner: InnerPytest, target: Target) -> None:
    with held(target.key):
        run = inner(
            f"""{HEAD}
@pytest.mark.parametrize("check", [True, False])
def test_it(chaos_injector, check):
    with pytest.raises(NotHeld, match="was not free within 0.1 s .*held by somebody else"):
        with chaos_injector.inject(strike({target.url!r}), check=check): raise SystemError

def test_untold(chaos_injector):
    with chaos_injector.inject(strike({target.url!r})): raise SystemError
""",
            "--chaos-lock-timeout=0.1",
            conftest=CONFTEST,
        )
    assert run.words == {"test_it[True]": "passed", "test_it[False]": "passed", "test_untold": "failed"}
    assert run.test("test_untold").verdicts == ["inconclusive"]
    assert target.count == 0


def test_waiting_is_no_time_of_the_test(inner: InnerPytest, target: Target) -> None:
    with held(target.key, for_s=0.8):
        run = inner(
            f"""{HEAD}
@pytest.mark.timeout(0.7)
@pytest.mark.chaos(strike({target.url!r}))
def test_it(): pass
""",
            conftest=CONFTEST,
            plugins=["pytest_timeout"],
        )
    all_passed(run, 1)
    (outcome,) = run.test().chaos
    assert outcome["timeline"]["body_started"] < 0.7


@contextmanager
def session(inner: InnerPytest, source: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a session in a process of its own, once the waiting of its test for a lock has been told."""
    inner.pytester.makeconftest(f"{CONFTEST}\nbroker._TELL_AFTER_S = 0.1\n")
    inner.pytester.makepyfile(test_inner=f"{HEAD}{source}")
    inner.pytester.makeini("[pytest]\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "pytest_chaos.plugin", "-p", "xdist.plugin", *options],
        cwd=inner.pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if "waits for" in line:
            break
    else:
        raise AssertionError("".join(told))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "xdist"])
def test_an_interrupt_ends_the_waiting(
    inner: InnerPytest, target: Target, runtime: Path, options: list[str]
) -> None:
    source = (
        f"@pytest.mark.chaos(strike('http://localhost:1/'), strike({target.url!r}))\ndef test_it(): pass\n"
    )
    with held(target.key), session(inner, source, *options) as process:
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=20)
        assert time.monotonic() - interrupted < 10
    assert process.returncode == pytest.ExitCode.INTERRUPTED, told
    assert "INTERNALERROR" not in told
    eventually(lambda: not list(runtime.glob("*")), "no lock is left", within_s=5)


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_an_async_block_that_is_cancelled_while_it_waits(
    inner: InnerPytest, target: Target, runtime: Path, kind: str
) -> None:
    with held(target.key):
        run = inner(
            f"""{HEAD}
import anyio

@pytest.fixture
def anyio_backend(): return {kind!r}

@pytest.mark.anyio
async def test_it(chaos_injector):
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        began = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            async with chaos_injector.inject(strike("http://localhost:1/"), strike({target.url!r}), check=False):
                raise SystemError
        assert scope.cancelled_caught
        assert time.monotonic() - began < 5
        assert len(ticks) > 5
        group.cancel_scope.cancel()
    assert is_free("localhost:1")
    assert not [one for one in threading.enumerate() if one.name.startswith("pytest-chaos")]
""",
            conftest=CONFTEST,
            plugins=["anyio.pytest_plugin"],
        )
        assert len(list(runtime.iterdir())) == 1
    all_passed(run, 1)
    assert run.test().verdicts == ["inconclusive"] * 2


# ------------------------------------------------------------------ what goes wrong


def test_a_killed_worker_delays_nobody(inner: InnerPytest, target: Target, runtime: Path) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.chaos(strike({target.url!r}))
def test_it(number):
    try:
        pathlib.Path("taken").touch(exist_ok=False)
    except FileExistsError:
        note("next", time.monotonic())
    else:
        wait_for("gw0")
        wait_for("gw1")
        time.sleep(0.2)  # not to wait for something: the other one has to try in vain
        note("killed", time.monotonic())
        os.kill(os.getpid(), signal.SIGKILL)
""",
        "-n2",
        conftest=f"""{CONFTEST}
@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    pathlib.Path(os.environ.get("PYTEST_XDIST_WORKER", "controller")).touch()
""",
        plugins=XDIST,
    )
    assert sorted(run.words.values()) == ["error", "passed"], run.stdout
    (name,) = [name for name, word in run.words.items() if word == "error"]
    assert re.search("worker 'gw[01]' crashed while running", run.test(name).longrepr)
    (_, killed), (_, after) = notes(run)
    assert isinstance(killed, float)
    assert isinstance(after, float)
    assert 0 < after - killed < 1
    assert (target.count, target.most) == (2, 1)
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("port", ["99999", "abc", "1]", "-1", " 80", "80\\n"])
def test_a_target_that_is_no_url_is_refused_in_words(inner: InnerPytest, port: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(strike("http://localhost:{{{{PORT}}}}/"))
def test_it(): raise SystemError

def test_next(): pass
""",
        f"--chaos-var=PORT={port}",
        conftest=CONFTEST,
    )
    assert run.words == {"test_it": "error", "test_next": "passed"}, run.stdout + run.stderr
    assert "no usable URL" in run.test("test_it").longrepr


def test_a_directory_that_is_not_ours_is_refused_in_words(
    inner: InnerPytest, target: Target, runtime: Path
) -> None:
    runtime.parent.mkdir(mode=0o755)
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(strike({target.url!r}))
def test_it(): raise SystemError

def test_next(): pass
""",
        conftest=CONFTEST,
    )
    assert run.words == {"test_it": "error", "test_next": "passed"}
    assert f"{runtime.parent} is not a directory of your own with mode 0700" in run.test("test_it").longrepr
    assert run.test("test_it").verdicts == ["inconclusive"]


def test_a_lock_that_is_no_file_is_refused_in_words(
    inner: InnerPytest, target: Target, runtime: Path
) -> None:
    with held(target.key):
        (file,) = runtime.iterdir()
    file.symlink_to(runtime / "elsewhere")
    run = inner(
        f"{HEAD}@pytest.mark.chaos(strike({target.url!r}))\ndef test_it(): raise SystemError\ndef test_next(): pass\n",
        conftest=CONFTEST,
    )
    assert run.words == {"test_it": "error", "test_next": "passed"}
    assert f"the locks in {runtime} cannot be used: " in run.test("test_it").longrepr
    assert not (runtime / "elsewhere").exists()


def test_an_inner_session_waits_for_the_outer_one_and_says_so(inner: InnerPytest, target: Target) -> None:
    inner.pytester.makeconftest("pytest_plugins = ['pytester']\n" + CONFTEST)
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.chaos(shared=True))])
@pytest.mark.chaos(strike({target.url!r}))
def test_outer(pytester, shared):
    pytester.makeconftest({CONFTEST!r})
    pytester.makepyfile(
        "from conftest import *\\n"
        "@pytest.mark.chaos(strike({target.url!r}), shared=%r)\\n"
        "def test_inner(): pass\\n" % shared
    )
    result = pytester.runpytest_subprocess("-p", "pytest_chaos.plugin", "--chaos-lock-timeout=0")
    if shared:
        result.assert_outcomes(passed=1)
    else:
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*held by test_inner.py::test_outer*"])
""",
        conftest="pytest_plugins = ['pytester']\n" + CONFTEST,
    )
    assert set(run.words.values()) == {"passed"}, run.stdout


def test_the_page_about_locks_runs_as_pasted(inner: InnerPytest) -> None:
    (source,) = files("one-at-a-time.md").values()
    examples = ROOT / "examples"
    shutil.copy(examples / "shop.py", inner.pytester.path)
    run = inner(source, conftest=(examples / "conftest.py").read_text(encoding="utf-8"), subprocess=True)
    all_passed(run, 3)
