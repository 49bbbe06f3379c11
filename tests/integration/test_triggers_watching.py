"""``http`` and ``log`` in tests: what they are allowed to ask and to follow, what they leave behind, and how they fail."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.inner import InnerPytest
from tests.support.server import Shop
from tests.support.specs import load_spec
from tests.support.staged import STAGED

HEAD = """\
import logging
import os
import pathlib
import threading
import time
import pytest
from conftest import RUNNING, STARTED, staged


def spec(type, called="a rush", **more):
    return {**staged(called), "trigger": {"type": type, **more}}


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)

"""
AFTER = """
def test_after():
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("pytest-chaos")])
    loggers = [logging.getLogger(), logging.getLogger("shop")]
    assert not [h for one in loggers for h in one.handlers if type(h).__module__.startswith("pytest_chaos")]
    links = [fd.readlink() for fd in pathlib.Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert not [link for link in links if link.name == "shop.log"]
    assert RUNNING == []
"""


def test_a_load_begins_once_the_service_is_ready(inner: InnerPytest, shop: Shop) -> None:
    shop.status = 503

    def heal() -> None:
        shop.wait_for(5)
        shop.status = 200

    healer = threading.Thread(target=heal, daemon=True)
    healer.start()
    spec = load_spec(f"{shop.url}/load", qps=100, min_delivered=0.3)
    spec["trigger"] = {"type": "http", "url": f"{shop.url}/ready", "every": 0.02}
    run = inner(
        f"""
import time
import pytest

@pytest.mark.chaos({spec!r})
def test_it():
    time.sleep(1.5)
"""
    )
    healer.join(5)
    assert run.test().verdicts == ["held"], run.stdout
    paths = [hit.path for hit in shop.hits]
    first = paths.index("/load")
    assert first >= 6
    assert set(paths[:first]) == {"/ready"}
    assert set(paths[first:]) == {"/load"}


@pytest.mark.parametrize("options", [(), ("--chaos-dry-run",)], ids=str)
def test_what_the_guard_refuses_is_an_error_at_collection(
    inner: InnerPytest, options: tuple[str, ...]
) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(spec("http", url="http://shop.example/ready"))
def test_it(): raise SystemError
""",
        *options,
        conftest=STAGED,
    )
    assert run.words == {}
    assert (
        "'a rush': http://shop.example/ready: 'shop.example' is neither localhost nor allowed" in run.stdout
    )


@pytest.mark.parametrize("where", ["mark", "block"])
@pytest.mark.parametrize(
    ("trigger", "value", "error"),
    [
        (
            "spec('http', url='http://{{VALUE}}/')",
            "192.0.2.1",
            "192.0.2.1 is outside (only loopback is inside)",
        ),
        ("spec('http', url='{{VALUE}}')", "ftp://127.0.0.1", "only http:// and https:// URLs"),
        ("spec('log', pattern='paid {{VALUE}}')", "(", "not a regular expression: missing ) at position 6"),
        ("spec('http', url='http://127.0.0.1:9/', body='{{VALUE}}')", "[", "unterminated character set"),
        ("spec('checkpoint', name='{{VALUE}}')", "", "at least 1 character"),
        ("spec('checkpoint', name='a', timeout='{{VALUE}}')", "soon", "not a duration"),
    ],
)
def test_what_is_filled_in_is_looked_at_as_well(
    inner: InnerPytest, where: str, trigger: str, value: str, error: str
) -> None:
    """Nothing is asked, and the body does not run; a placeholder alone is no error at collection."""
    marked = f"@pytest.mark.chaos({trigger})\ndef test_it(): RAN.append(1)"
    block = f"def test_it(chaos_injector):\n    with chaos_injector.inject({trigger}): RAN.append(1)"
    run = inner(
        f"""{HEAD}
RAN = []

@pytest.fixture
def chaos_variables(): return {{"VALUE": {value!r}}}

{marked if where == "mark" else block}

def test_ran(): assert not RAN
{AFTER}""",
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("error" if where == "mark" else "failed", ["inconclusive"])
    assert error in " ".join(end.longrepr.split())
    assert (run.words["test_ran"], run.words["test_after"]) == ("passed", "passed")


@pytest.mark.parametrize(
    ("trigger", "error"),
    [
        (
            "spec('log', pattern='paid (')",
            "trigger.pattern: not a regular expression: missing ) at position 6",
        ),
        ("spec('http', url='http://127.0.0.1:9/', body='[a')", "trigger.body: not a regular expression"),
        (
            "spec('log', pattern='a', logger='a', file='b')",
            "trigger.logger: records of a logger, or lines of a `file`",
        ),
        ("spec('log')", "trigger.pattern: field required"),
        ("spec('log', patern='a', pattern='a')", "trigger.patern: unknown key; allowed: "),
        (
            "spec('logs', pattern='a')",
            "unknown trigger type 'logs'; registered: after, checkpoint, http, log, time; did you mean 'log'?",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--chaos-disable",)], ids=str)
def test_a_bad_one_is_an_error_at_collection(
    inner: InnerPytest, trigger: str, error: str, options: tuple[str, ...]
) -> None:
    run = inner(
        f"{HEAD}\n@pytest.mark.chaos({trigger})\ndef test_it(): raise SystemError\n",
        *options,
        conftest=STAGED,
    )
    assert run.words == {}
    assert run.exit_code != 0
    assert error in " ".join(run.stdout.split())


def test_a_server_that_hangs_holds_up_nothing(inner: InnerPytest, shop: Shop) -> None:
    shop.hang = True
    began = time.monotonic()
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(spec("http", url="{shop.url}/ready"))
def test_it(): time.sleep(0.3)
{AFTER}""",
        conftest=STAGED,
    )
    assert time.monotonic() - began < 5
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"])
    assert "(no answer yet)" in end.longrepr
    assert run.words["test_after"] == "passed"


SLOW = "(?:a|aa)+$"


@pytest.mark.parametrize(
    ("trigger", "body"),
    [
        (f"spec('log', pattern='{SLOW}')", "logging.getLogger('shop').warning('a' * 60_000 + 'b')"),
        (
            f"spec('log', pattern='{SLOW}', file='shop.log')",
            "pathlib.Path('shop.log').write_text('a' * 60_000 + 'b\\n')",
        ),
    ],
    ids=["record", "line"],
)
@pytest.mark.parametrize("on_timeout", ["fail", "skip", "fire"])
def test_a_pattern_that_takes_too_long_proves_nothing(
    inner: InnerPytest, trigger: str, body: str, on_timeout: str
) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos({trigger[:-1]}, on_timeout={on_timeout!r}))
def test_it():
    {body}
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("pytest-chaos")])
    assert not STARTED
{AFTER}""",
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"])
    assert f"the pattern {SLOW!r} took longer than 0.5 s" in " ".join(end.longrepr.split())
    assert run.words["test_after"] == "passed"


def test_what_is_no_file_is_named(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
os.mkfifo("shop.log")

@pytest.mark.chaos(spec("log", pattern="paid", file="shop.log"))
def test_it(): time.sleep(0.1)
{AFTER}""",
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert (end.word, end.verdicts) == ("failed", ["inconclusive"])
    assert f"{run.path / 'shop.log'} is no regular file" in end.longrepr


@pytest.mark.parametrize("how", ["a fixture", "the body"])
def test_a_file_is_looked_for_where_pytest_was_started(inner: InnerPytest, how: str) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

HERE = pathlib.Path.cwd()

@pytest.mark.chaos(spec("log", pattern="paid", file="logs/shop.log"))
def test_it(tmp_path, monkeypatch{", elsewhere" if how == "a fixture" else ""}):
    monkeypatch.chdir(tmp_path)
    (HERE / "logs").mkdir()
    (HERE / "logs" / "shop.log").write_text("paid\\n")
    until(lambda: RUNNING)
{AFTER}""",
        conftest=STAGED,
    )
    assert run.test("test_it").verdicts == ["held"], run.stdout


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=str)
@pytest.mark.parametrize("file", [None, "shop.log"])
def test_what_was_written_in_one_test_is_nothing_to_the_next(
    inner: InnerPytest, options: tuple[str, ...], file: str | None
) -> None:
    """Each test hears its own first line, and only that."""
    run = inner(
        f"""{HEAD}
FILE = {file!r} and pathlib.Path({file!r} + os.environ.get("PYTEST_XDIST_WORKER", "")).absolute()

def say(text):
    if FILE:
        with FILE.open("a") as file: file.write(text + "\\n")
    else:
        logging.getLogger("shop").warning(text)

def hears(pattern, **more):
    return pytest.mark.chaos(spec("log", pattern=pattern, **({{"file": str(FILE)}} if FILE else {{}}), **more))

@pytest.mark.parametrize("number", [pytest.param(n, marks=hears(f"^order {{n}} paid$")) for n in range(20)])
def test_each(number):
    say(f"order {{number}} paid")
    until(lambda: RUNNING)

@hears("^order .* paid$")
def test_none(): time.sleep(0.1)
{AFTER}""",
        *options,
        conftest=STAGED,
        plugins=["xdist.plugin"],
    )
    assert run.words.pop("test_none") == "failed"
    ends = [run.test(f"[{number}]") for number in range(20)]
    assert [(end.word, end.verdicts) for end in ends] == [("passed", ["held"])] * 20, run.stdout
    assert run.test("test_none").verdicts == ["inconclusive"]
    assert "that were looked at: 0" in run.test("test_none").longrepr
    assert run.words["test_after"] == "passed"


def test_a_level_that_hides_the_record_is_left_alone_and_seen(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(spec("log", pattern="paid", logger="shop"))
def test_it():
    logging.getLogger("shop").setLevel("ERROR")
    logging.getLogger("shop").warning("paid")
    time.sleep(0.1)
    logging.getLogger("shop").setLevel("NOTSET")
{AFTER}""",
        conftest=STAGED,
    )
    end = run.test("test_it")
    assert end.verdicts == ["inconclusive"]
    assert "(records of the logger 'shop' that were looked at: 0)" in " ".join(end.longrepr.split())


def test_a_block_hears_its_first_line(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.parametrize("number", range(20))
def test_it(chaos_injector, number):
    with chaos_injector.inject(spec("log", pattern="paid")) as block:
        logging.getLogger("shop").warning("paid")
        assert block.active.wait(10)
    with chaos_injector.inject(spec("log", pattern="paid", file="shop.log")) as block:
        with open("shop.log", "a") as file: file.write("paid\\n")
        assert block.active.wait(10)
{AFTER}""",
        conftest=STAGED,
    )
    assert set(run.words.values()) == {"passed"}, run.stdout
    assert run.test("[19]").verdicts == ["held", "held"]


def test_a_server_in_the_loop_of_the_body_can_be_asked(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
import asyncio
import socket

PORT = socket.create_server(("127.0.0.1", 0))

@pytest.fixture
def chaos_variables():
    return {{"PORT": PORT.getsockname()[1]}}

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    await writer.drain()
    writer.close()

@pytest.mark.asyncio
@pytest.mark.chaos(spec("http", url="http://localhost:{{{{PORT}}}}/", body="^ok$"))
async def test_it(chaos_injector):
    async with await asyncio.start_server(answer, sock=PORT):
        while not RUNNING: await asyncio.sleep(0.001)
{AFTER}""",
        conftest=STAGED,
        plugins=["pytest_asyncio.plugin"],
        ini={"asyncio_default_fixture_loop_scope": "function"},
    )
    assert run.test("test_it").verdicts == ["held"], run.stdout


@pytest.mark.parametrize(
    ("trigger", "brought"),
    [
        ("staged()", []),
        ("spec('checkpoint', name='here')", []),
        ("spec('http', url='http://127.0.0.1:9/')", ["http.client"]),
        ("spec('log', pattern='paid')", ["regex"]),
    ],
)
def test_only_who_needs_it_pays_for_it(inner: InnerPytest, trigger: str, brought: list[str]) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos({trigger})
def test_it(chaos_injector):
    chaos_injector.checkpoint("here")
    time.sleep(0.2)
""",
        conftest=STAGED
        + """
import sys

def pytest_unconfigure(config):
    open("brought.txt", "w").write(" ".join(name for name in ("http.client", "regex") if name in sys.modules))
""",
        subprocess=True,
    )
    assert (run.path / "brought.txt").read_text(encoding="utf-8").split() == brought


def test_ctrl_c_leaves_nothing_behind(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.mark.chaos(spec("log", pattern="paid"), spec("log", "b", pattern="paid", file="shop.log"))
def test_it():
    raise KeyboardInterrupt
""",
        conftest=STAGED
        + """
import logging
import threading

def pytest_unconfigure(config):
    left = [h for h in logging.getLogger().handlers if type(h).__module__.startswith("pytest_chaos")]
    threads = [t.name for t in threading.enumerate() if t.name.startswith("pytest-chaos")]
    open("left.txt", "w").write(repr(left + threads))
""",
    )
    assert (run.path / "left.txt").read_text(encoding="utf-8") == "[]"
    assert "not_judged" in run.stdout
