"""Live progress, as somebody sees it who looks at the terminal: there while something is under way, and gone afterwards."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_chaos.engine.broker import Broker
from tests.support.inner import InnerPytest
from tests.support.screen import Seen, look
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED
from tests.support.waiting import eventually

STATES: Final = ("waiting", "injecting", "active", "recovering")
ALL: Final = {"waiting", "active", "recover"}
SIZES: Final = [(110, 30), (40, 10), (20, 5)]
DRAWN: Final = b"\x1bD"
# A disruption that goes on to its next state when there is a file, which is made when that state was seen on the screen.
STAGES: Final = f"""{STAGED}
import time
from pathlib import Path

from pytest_chaos import TRIGGERS, Trigger

HERE = Path(__file__).parent


def seen(state):
    deadline = time.monotonic() + 60
    while not (HERE / state).exists():
        assert time.monotonic() < deadline, f"nobody has seen it {{state}}"
        time.sleep(0.01)


@TRIGGERS.register("seen")
class SeenTrigger(Trigger):
    type: Literal["seen"] = "seen"

    def wait(self, ctx):
        while not (HERE / "waiting").exists():
            ctx.sleep(0.01)


@pytest.fixture
def chaos_verifiers():
    return {{"recovered": lambda: (HERE / "recovering").exists()}}


def shown(name="lunch rush", **more):
    made = staged(name, verify="recovered", watch={{"recover_within": 60, "verify_every": 0.02}}, **more)
    return {{**made, "trigger": {{"type": "seen"}}}}
"""
HEAD: Final = "import os, sys, time, pytest\nfrom conftest import HERE, seen, shown, staged\n"
ONE: Final = f"{HEAD}\n@pytest.mark.chaos(shown())\ndef test_it(): seen('active')\n"


class Screens:
    """Run pytest with our plugin in terminals, each time in a fresh process, and tell the tests there what is to be seen.

    Attributes:
        path: where the test module is.
        conftest: the text of its conftest.
        unseen: states that the tests are told were seen although they may never be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.conftest = STAGES
        self.unseen: Sequence[str] = ()

    def command(self, source: str, *arguments: str) -> list[str]:
        """Write the files and return the command line."""
        (self.path / "conftest.py").write_text(self.conftest, encoding="utf-8")
        (self.path / "test_inner.py").write_text(source, encoding="utf-8")
        (self.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for state in STATES:
            (self.path / state).unlink(missing_ok=True)
        for state in self.unseen:
            (self.path / state).touch()
        loaded = ("-p", "no:cacheprovider", "-p", "pytest_chaos.plugin", "-W", "error")
        return [sys.executable, "-m", "pytest", *loaded, *arguments]

    def notice(self, frame: Sequence[str]) -> None:
        """Tell the tests what is to be seen; where the terminal is narrow, words may be cut."""
        for state in STATES:
            for row in frame:
                if f": {state[:7]}" in row:
                    (self.path / state).touch()
                    (self.path / f"{state} {row[0]}").touch()

    def __call__(
        self,
        source: str,
        *arguments: str,
        size: tuple[int, int] = SIZES[0],
        term: str = "xterm",
        react: Callable[[Any, list[str]], None] = lambda _child, _frame: None,
    ) -> Seen:
        """Return what was to be seen of a run of ``source``."""

        def reacting(child: Any, frame: list[str]) -> None:
            self.notice(frame)
            react(child, frame)

        return look(
            self.command(source, *arguments),
            cwd=self.path,
            environment={**os.environ, "TERM": term},
            columns=size[0],
            rows=size[1],
            react=reacting,
        )

    def without(self, source: str, *arguments: str, **more: Any) -> Seen:
        """Return what was to be seen without progress."""
        unseen, self.unseen = self.unseen, STATES
        try:
            seen = self(source, *arguments, "--chaos-progress", "off", **more)
        finally:
            self.unseen = unseen
        assert DRAWN not in seen.written
        return seen


@pytest.fixture
def screens(inner: InnerPytest, tmp_path: Path) -> Screens:
    """Return what runs pytest in terminals, with the environment of inner runs."""
    return Screens(tmp_path)


def states(seen: Seen, name: str = ".") -> set[str]:
    """Return the states in which something was seen whose name matches ``name``."""
    found = (re.search(rf"{name}: (waiting|injecting|active|recover)", row) for row in seen.rows(": "))
    return {match[1] for match in found if match}


def untimed(rows: Sequence[str]) -> str:
    """Return the text on a screen without what differs from run to run."""
    return re.sub(r"=+", "=", re.sub(r"\d+(\.\d+)? ?s\b", "", "\n".join(rows)))


def assert_same_end(one: Seen, other: Seen) -> None:
    assert untimed(one.end) == untimed(other.end)
    assert one.status == other.status


@pytest.mark.parametrize(
    ("option", "size"),
    [
        *((option, SIZES[0]) for option in ("-v", "-q", "-qq", "--no-header")),
        *((option, size) for option in ("--verbosity=0", "-v") for size in SIZES[1:]),
    ],
    ids=str,
)
def test_it_is_there_and_then_gone(screens: Screens, option: str, size: tuple[int, int]) -> None:
    seen = screens(ONE, option, size=size)
    assert states(seen, "lunch rush" if size[0] > 20 else "lunch?..") == ALL
    assert_same_end(seen, screens.without(ONE, option, size=size))


def test_figures_of_a_load(screens: Screens, shop: Shop) -> None:
    shop.status = 503
    source = f"""{HEAD}
@pytest.mark.chaos({load_spec(shop.url, qps=100)})
def test_it():
    time.sleep(0.3)
    seen("active")
"""
    (*_, row) = screens(source).rows("load: active")
    found = re.fullmatch(r"load: active \d+ s, (\d+) requests, (\d+) / 100 qps, 100\.0% errors", row)
    assert found, row
    assert int(found[1]) >= 10
    assert 50 < int(found[2]) < 150


def test_several_at_once_share_the_row(screens: Screens) -> None:
    source = f"{HEAD}\n@pytest.mark.chaos(shown('one'), shown('two'))\ndef test_it(): seen('active')\n"
    seen = screens(source)
    assert "one: active 0 s  |  two: active 0 s" in seen.rows("active")
    assert_same_end(seen, screens.without(source))


def test_blocks_inside_a_body_are_shown_too(screens: Screens) -> None:
    source = f"""{HEAD}
def test_it(request, capfd):  # the machinery is loaded while output is captured
    injector = request.getfixturevalue("chaos_injector")
    with injector.inject(shown()):
        seen("active")
    assert capfd.readouterr() == ("", "")
"""
    seen = screens(source)
    assert states(seen, "lunch rush") == ALL
    assert seen.status == 0
    assert_same_end(seen, screens.without(source))


@pytest.mark.parametrize("options", [(), ("-v",), ("-p", "xdist.plugin", "-n1")], ids=str)
def test_who_holds_a_lock_is_shown_from_the_start(
    screens: Screens, shop: Shop, monkeypatch: pytest.MonkeyPatch, options: Sequence[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(screens.path))
    screens.conftest = f"{STAGES}\nfrom pytest_chaos.engine import broker\nbroker._TELL_AFTER_S = 0.5\n"
    key = f"localhost:{shop.port}"
    words = rf"waits for {key}: held by somebody else \(process {os.getpid()}\) for"
    held = Broker(timeout_s=0, tell=print).take([key], who="somebody\x1b[2J else")

    shown: set[str] = set()

    def react(_child: Any, frame: list[str]) -> None:
        shown.update(row for row in frame if re.fullmatch(rf"(gw0 )?{words} \d+ s", row))
        if held and len(shown) > 2:
            held.pop().release()

    source = f"{HEAD}\n@pytest.mark.chaos({load_spec(shop.url)})\ndef test_it(): seen('active')\n"
    seen = screens(source, *options, react=react)
    assert not held
    assert states(seen, "load") >= {"active"}
    # What is printed for good after a while is not printed by workers: that would go right through the row.
    told = [row for row in seen.end if "waits for" in row]
    assert len(told) == (0 if "-n1" in options else 1), told
    assert all(re.match(r"chaos: test_inner\.py::test_it waits for", row) for row in told)


# ---------------------------------------------------------------------- what tests print


@pytest.mark.parametrize(("fixture", "capture"), [("capsys", "sys"), ("capsys", "fd"), ("capfd", "fd")])
def test_captured_output_holds_nothing_of_it(screens: Screens, fixture: str, capture: str) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it({fixture}):
    print("out")
    print("err", file=sys.stderr)
    seen("active")
    assert {fixture}.readouterr() == ("out\\n", "err\\n")

@pytest.mark.chaos(shown())
def test_fails():
    print("in the report")
    assert not "this fails"
"""
    arguments = (f"--capture={capture}", "--show-capture=stdout")
    seen = screens(source, *arguments)
    assert states(seen, "lunch rush") == ALL
    assert "1 failed, 1 passed" in seen.end[-1]
    assert_same_end(seen, screens.without(source, *arguments))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_past_the_capture_stays_whole(screens: Screens, size: tuple[int, int]) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it(capsys):
    seen("active")
    for line in range(5):
        time.sleep(0.25)  # so that the row comes back in between
        with capsys.disabled():
            print("line", line)
"""
    seen = screens(source, "--log-cli-level=INFO", size=size)
    assert {f"line {line}" for line in range(5)} <= set(seen.end)
    assert states(seen) == ALL
    assert_same_end(seen, screens.without(source, "--log-cli-level=INFO", size=size))


def test_open_output_is_left_alone_unless_asked_for(screens: Screens) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it():
    print("begin", end="")
    seen("active")
    for line in range(3):
        time.sleep(0.25)
        print("line", line)
"""
    asked = screens(source, "-s", "--chaos-progress", "on")
    assert states(asked) == ALL
    screens.unseen = STATES
    for capture in ("no", "tee-sys"):
        assert DRAWN not in screens(source, f"--capture={capture}").written
    assert_same_end(asked, screens.without(source, "-s"))


def test_it_keeps_away_from_a_debugger(screens: Screens) -> None:
    typed: list[str] = []

    def react(child: Any, frame: list[str]) -> None:
        if frame[-1] == "(Pdb)" and not typed:
            typed.append("where")
            child.sendline("import time; time.sleep(1)")
        elif frame[-1] == "(Pdb)" and len(typed) == 1 and any("sleep(1)" in row for row in frame[:-1]):
            typed.append("continue")
            child.sendline("continue")

    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it():
    breakpoint()
    seen("active")
"""
    seen = screens(source, react=react)
    assert typed == ["where", "continue"]
    assert states(seen) == ALL
    stopped = [frame for frame in seen.frames if "(Pdb)" in frame[-1]]
    assert len(stopped) > 2
    asking = seen.frames[seen.frames.index(stopped[0]) : seen.frames.index(stopped[-1]) + 1]
    assert not any("lunch rush:" in row for frame in asking for row in frame)
    assert seen.status == 0


def test_a_process_that_is_forked_while_the_row_is_drawn_may_print(screens: Screens) -> None:
    source = f"""{HEAD}
import threading

@pytest.mark.chaos(shown())
def test_it(request):
    seen("active")
    lock = request.config.pluginmanager.get_plugin("chaos-progress")._sink._lock
    held, enough = threading.Event(), threading.Event()

    def draw():
        with lock:
            held.set()
            enough.wait()

    thread = threading.Thread(target=draw)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        print("from the child", flush=True)
        os._exit(0)
    deadline = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG)[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
    enough.set()
    thread.join()
    assert ended
"""
    # From 3.12 on Python warns of forks where there are threads.
    seen = screens(source, "-s", "--chaos-progress", "on", "-W", "ignore::DeprecationWarning")
    assert seen.status == 0
    assert any("from the child" in row for row in seen.end)


def test_a_meter_that_fails_leaves_the_rest(screens: Screens) -> None:
    screens.conftest = STAGES.replace(
        "        chaos_active_event.set()\n",
        "        ctx.meter = object()\n        chaos_active_event.set()\n",
    )
    seen = screens(ONE, "--tb=no")
    assert "lunch rush: active 0 s" in seen.rows("lunch rush: active")


@pytest.mark.parametrize(
    ("mode", "options"), [("auto", ["-v"]), ("on", ["-v"]), ("on", ["-q", "-n2"])], ids=str
)
def test_a_pipe_gets_what_it_gets_without_progress(
    screens: Screens, mode: str, options: Sequence[str]
) -> None:
    screens.unseen = STATES
    printed = []
    for progress in (mode, "off"):
        command = screens.command(ONE, *options, "-p", "xdist.plugin", "--chaos-progress", progress)
        done = subprocess.run(
            command, cwd=screens.path, env={**os.environ, "TERM": "xterm"}, capture_output=True, check=True
        )
        printed.append((re.sub(rb"\d+\.\d\ds", b"", done.stdout), done.stderr))
    assert printed[0] == printed[1]


@pytest.mark.parametrize("capture", ["-s", "--capture=fd"])
def test_sessions_inside_a_test_show_nothing(screens: Screens, capture: str) -> None:
    source = f"""{HEAD}
NESTED = '''
import time, pytest
from conftest import staged

@pytest.mark.chaos(staged("nested"))
def test_nested(): time.sleep(0.6)
'''

@pytest.mark.chaos(shown("outer"))
def test_it(pytester):
    pytester.makeconftest((HERE / "conftest.py").read_text())
    pytester.makepyfile(test_nested=NESTED)
    seen("active")
    arguments = ("-p", "pytest_chaos.plugin", "-p", "no:cacheprovider", "-W", "ignore", "--chaos-progress=on")
    result = pytester.runpytest_inprocess(*arguments)
    result.assert_outcomes(passed=1)
    assert "\\x1b" not in result.stdout.str()
"""
    # Registering the same types twice is what a nested session does, and what a conftest is not made for.
    screens.conftest = screens.conftest.replace(
        '@TRIGGERS.register("seen")',
        '@(lambda cls: cls if "seen" in TRIGGERS.keys() else TRIGGERS.register("seen")(cls))',
    )
    seen = screens(source, "-p", "pytester", capture, "--chaos-progress=on")
    assert seen.status == 0, seen.end
    assert states(seen, "outer") == ALL
    assert states(seen, "nested") == set()


# ---------------------------------------------------------------------- terminals


def test_no_colour_is_used(screens: Screens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    seen = screens(ONE)
    assert states(seen) == ALL
    assert not re.search(rb"\x1b\[[\d;]*m", seen.written)


@pytest.mark.parametrize("option", ["-v", "-q"])
def test_a_dumb_terminal_is_left_alone_unless_asked_for(screens: Screens, option: str) -> None:
    asked = screens(ONE, option, "--color=no", "--chaos-progress", "on", term="dumb")
    assert states(asked) == ALL
    assert b"\x1b" not in asked.written
    without = screens.without(ONE, option, "--color=no", term="dumb")
    assert_same_end(asked, without)
    screens.unseen = STATES
    for term in ("dumb", ""):
        written = screens(ONE, option, "--color=no", term=term).written
        assert untimed([written.decode()]) == untimed([without.written.decode()])


def test_names_of_tests_that_end_at_the_edge_stay_whole(screens: Screens) -> None:
    tests = (
        f"@pytest.mark.chaos(shown())\ndef test_{'x' * length}(): time.sleep(0.5)\n"
        for length in (1, 18, 19, 20)
    )
    source = HEAD + "".join(tests)
    screens.unseen = STATES
    seen = screens(source, "-v", size=(20, 5))
    assert "active" in states(seen)
    assert_same_end(seen, screens.without(source, "-v", size=(20, 5)))


def test_hostile_names_stay_in_their_row(screens: Screens) -> None:
    names = {
        "A\x1b[2J\x1b[31mred\x07\x9b5A": "Ared",
        "B\nrows\r\n\ttabs": "B rows tabs",
        f"C{'漢字のとても長い名前' * 9}": r"C漢字\S*\.\.",
        f"D{'👩‍👩‍👧‍👦🏳️‍🌈❤️' * 9}": r"D👩👩\S*\.\.",
        f"E{'שלום عربى' * 9}": r"Eשלום.*\.\.",  # noqa: RUF001 - it is Hebrew
        "F\u202eright to left\u2066": "Fright to left",
        "G{0} %s \ufffe": r"G\{0\} %s",
    }
    tests = (
        f"@pytest.mark.chaos(shown({name!r}))\ndef test_{name[0]}(): seen('active {name[0]}')\n"
        for name in names
    )
    source = HEAD + "\n".join(tests)
    screens.unseen = ["waiting", "recovering"]
    seen = screens(source, "--no-summary", size=SIZES[1])
    assert seen.status == 0
    for shown in names.values():
        assert any(re.fullmatch(f"{shown}: active 0 s", row) for row in seen.rows("active")), shown
    for frame in seen.frames:
        if any(": active" in row for row in frame):
            assert frame[-2].startswith("test_inner.py"), frame
    screens.unseen = [*STATES, *(f"active {name[0]}" for name in names)]
    assert_same_end(seen, screens(source, "--no-summary", "--chaos-progress", "off", size=SIZES[1]))


def test_it_is_updated_at_most_five_times_a_second(screens: Screens) -> None:
    source = f"{HEAD}\n@pytest.mark.chaos(shown())\ndef test_it():\n    seen('active')\n    time.sleep(2)\n"
    seen = screens(source)
    drawn = [at for at, piece in seen.pieces for _ in range(piece.count(DRAWN))]
    assert 5 <= len(drawn) <= 5 * (drawn[-1] - drawn[0]) + 1


# ---------------------------------------------------------------------- xdist


@pytest.mark.parametrize("option", ["-v", "-q"])
def test_a_controller_shows_what_each_worker_disrupts(screens: Screens, option: str) -> None:
    def react(_child: Any, frame: list[str]) -> None:
        if any(
            re.fullmatch(r"gw0 (one|two): active \d s  \|  gw1 (one|two): active \d s", row) for row in frame
        ):
            (screens.path / "both").touch()

    source = f"""{HEAD}
@pytest.mark.chaos(shown("one"))
def test_one(): seen("both")

@pytest.mark.chaos(shown("two"))
def test_two(): seen("both")
"""
    screens.unseen = ["waiting", "recovering"]
    seen = screens(source, "-p", "xdist.plugin", "-n2", option, react=react)
    assert seen.status == 0
    assert not [row for row in seen.end if ": active" in row]


def test_a_worker_that_crashes_takes_its_part_along(screens: Screens) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it():
    seen("active")
    os._exit(3)

def test_other(): pass
"""
    arguments = ("-p", "xdist.plugin", "-n1", "--no-summary")
    seen = screens(source, *arguments)
    assert states(seen, "gw0 lunch rush") >= {"waiting", "active"}
    # A row may be under way at this very moment; the next worker takes longer than that to come up.
    assert seen.written.partition(b"node down")[2].count(DRAWN) <= 1
    assert_same_end(seen, screens.without(source, *arguments))


def test_a_controller_without_chaos_loads_no_machinery(screens: Screens) -> None:
    screens.conftest = """
import sys
from pathlib import Path

def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        Path(__file__).with_name("loaded").write_text(repr({"pydantic", "pytest_chaos.plugin.progress"} & set(sys.modules)))
"""
    screens("def test_it(): pass", "-p", "xdist.plugin", "-n1")
    assert (screens.path / "loaded").read_text() == "{'pytest_chaos.plugin.progress'}"


# ---------------------------------------------------------------------- ends of all kinds


def test_it_is_gone_however_a_test_ends(screens: Screens) -> None:
    source = f"""{HEAD}
@pytest.mark.xfail
@pytest.mark.chaos(shown())
def test_expected(): seen("active"); assert False

@pytest.mark.chaos(shown())
def test_skipped(): pytest.skip("no")

@pytest.mark.chaos(shown(play="raises"))
def test_in_setup(): pass

@pytest.mark.chaos(shown())
def test_fails(): assert False

def test_never_reached(): pass
"""
    arguments = ("-v", "--maxfail=2", "--tb=no")
    seen = screens(source, *arguments)
    assert states(seen) == ALL
    assert "stopping after 2 failures" in "\n".join(seen.end)
    assert_same_end(seen, screens.without(source, *arguments))


@pytest.mark.parametrize("state", ["waiting", "active", "recovering"])
def test_an_interrupt_leaves_nothing(screens: Screens, state: str) -> None:
    interrupted: list[Sequence[str]] = []

    def interrupt(child: Any, frame: list[str]) -> None:
        if not interrupted and any(f": {state}" in row for row in frame):
            interrupted.append(frame)
            child.sendintr()

    screens.conftest = STAGES.replace(f'"{state}")', '"never")')  # it stays in that state
    seen = screens(ONE.replace(state, "never"), react=interrupt)
    assert seen.status == pytest.ExitCode.INTERRUPTED
    assert [row for row in seen.end if row.startswith("test_inner.py")] == ["test_inner.py ^C"]
    assert not [row for row in seen.end if f": {state}" in row]


def test_a_terminal_that_closes_ends_no_test(screens: Screens) -> None:
    source = f"""{HEAD}
@pytest.mark.chaos(shown())
def test_it():
    seen("active")
    (HERE / "still running").touch()
    time.sleep(0.6)
    (HERE / "went on").touch()
"""
    screens.unseen = STATES
    command = screens.command(source)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        cwd=screens.path,
        env={**os.environ, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        written = b""
        while DRAWN not in written:
            assert select.select([ours], [], [], 60)[0], written
            written += os.read(ours, 65_536)
        os.close(ours)
        eventually((screens.path / "went on").exists, "the body goes on", within_s=60)
        child.wait(60)


TIDY: Final = """
import os, sys, threading

def pytest_unconfigure(config):
    links = []
    for one in os.listdir("/dev/fd"):
        try:
            links.append(os.readlink(f"/dev/fd/{one}"))
        except OSError:
            pass  # the one that listed them
    threads = [one.name for one in threading.enumerate() if "chaos" in one.name]
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    (HERE / f"left-{worker}").write_text(repr((sum("pts" in one for one in links), threads, type(sys.stdout.write).__name__)))
"""


@pytest.mark.parametrize("options", [(), ("-p", "xdist.plugin", "-n2")], ids=str)
def test_nothing_is_left_after_a_session(screens: Screens, options: Sequence[str]) -> None:
    def left() -> dict[str, tuple[int, list[str], str]]:
        return {path.name: eval(path.read_text()) for path in screens.path.glob("left-*")}

    screens.conftest = STAGES + TIDY
    screens.without(ONE, *options)
    expected = left()
    assert states(screens(ONE, *options)) == ALL
    assert left() == expected
    assert [found[1:] for found in expected.values()] == [([], "builtin_function_or_method")] * (
        3 if options else 1
    )
