"""A secret in each place where one may stand, runs that fail in every way and show all they have: it is nowhere in it."""

from __future__ import annotations

import os
import re
import socketserver
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.support.fake_fortio import write_fake_fortio
from tests.support.gemini_server import MODEL, Gemini, asks, says
from tests.support.inner import ROOT
from tests.support.secret_places import (
    BAD,
    CORE,
    FAKE,
    FILES,
    FORTIOS,
    GOOD_FILE,
    IMPORTS,
    MODEL_RUN,
    SUITE,
    secret,
)
from tests.support.server import Shop, unused_port

# What is left of it where a text was cut; whoever finds less than this has found nothing.
HIT: Final = re.compile(rb"s3nt1[\w.%+-]*")

# Only with the extra that it needs.
REPORT: Final = ("--chaos-report=report.html",) if find_spec("plotly") and find_spec("jinja2") else ()
ALL: Final = (
    *("-l", "-vv", "--showlocals", "--tb=long", "--full-trace", "-rA", "--color=no", "-W", "error"),
    *(
        "--log-level=DEBUG",
        "--log-file=log.txt",
        "--junitxml=junit.xml",
        "-o",
        "junit_logging=all",
        "--durations=3",
    ),
    *(
        "--chaos-plan=plan.json",
        "--chaos-summary=summary.md",
        *REPORT,
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
    ),
)

# ---------------------------------------------------------------------- how it is run


class Echo(socketserver.ThreadingTCPServer):
    """Answer each request with its secret header, which is no answer of HTTP."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = b"nothing"
            while line.strip() and not line.startswith(b"Authorization"):
                line = self.rfile.readline(65_537)
            self.wfile.write(line + b"\r\n\r\n")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Bench:
    """Run modules in a directory, with everything that pytest can write; find what came of it."""

    def __init__(self, path: Path, target: str, garbage: str) -> None:
        self.path = path
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "GOOGLE"))
            },
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "CORE": CORE,
            "TARGET": target,
            "GARBAGE": garbage,
            "DEAD": f"http://127.0.0.1:{unused_port()}/",
            "APP_TOKEN": secret("env-var"),
            "GEMINI_API_KEY": secret("api-key"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": "step.md",
            "XDG_RUNTIME_DIR": str(path),
            "TMPDIR": str(path),
        }
        self.given: dict[Path, bytes] = {}

    def write(self, **modules: str) -> None:
        (self.path / "pytest.ini").write_text(
            "[pytest]\nchaos_allow_visible_headers = true\nchaos_secrets = X-Mine\nchaos_env =\n    APP_TOKEN\n"
        )
        for name, text in modules.items():
            (self.path / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        for name, text in FILES.items():
            filled = re.sub(r"\{(file-[a-z0-9]+)\}", lambda found: secret(found[1]), textwrap.dedent(text))
            path = self.path / name
            path.write_text(filled.replace("{DEAD}", self.environment["DEAD"]).lstrip("\n"), encoding="utf-8")
            self.given[path] = path.read_bytes()

    def run(self, *options: str, plugins: tuple[str, ...] = (), more: tuple[str, ...] = ALL) -> str:
        """Return what was printed; what else came of it stands in files."""
        loaded = ("pytest_chaos.plugin", *plugins)
        run = subprocess.run(
            [
                *(sys.executable, "-X", "dev", "-m", "pytest"),
                *(word for name in loaded for word in ("-p", name)),
                *(*more, f"--chaos-var=OPTION={secret('option')}", *options),
            ],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        (self.path / "stdout").write_text(run.stdout, encoding="utf-8")
        (self.path / "stderr").write_text(run.stderr, encoding="utf-8")
        return run.stdout + run.stderr

    def written(self) -> Mapping[str, bytes]:
        """Return all files that were not there before."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file() and path not in self.given
        }

    def hits(self) -> dict[str, list[str]]:
        """Return what was found of secrets, and in which files."""
        found: dict[str, list[str]] = {}
        for name, content in self.written().items():
            for hit in set(HIT.findall(content)):
                found.setdefault(hit.decode(), []).append(name)
        return found


@pytest.fixture
def bench(tmp_path: Path, shop: Shop) -> Generator[Bench, None, None]:
    with Echo() as echo:
        thread = threading.Thread(target=echo.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Bench(tmp_path, f"{shop.url}/", echo.url)
        echo.shutdown()
        thread.join(5)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_failing_tests(bench: Bench, workers: tuple[str, ...]) -> None:
    bench.write(test_suite=SUITE, test_good=GOOD_FILE)
    out = bench.run(*workers, plugins=("xdist.plugin",) if workers else ())
    assert bench.hits() == {}, out
    assert re.search(r"3\d failed, \d+ errors", out), out
    assert re.search(r"control += 'control of showlocals'", out), "locals were not shown"
    assert "PytestUnraisable" not in out
    written = bench.written()
    assert {"junit.xml", "log.txt", "plan.json", "summary.md", "step.md", "stdout"} <= written.keys()
    assert ("report.html" in written) == bool(REPORT)
    assert b"INFO     pytest_chaos" in written["log.txt"] or workers, "the log of workers is their own"
    if sys.platform.startswith("linux"):
        environments = [content for name, content in written.items() if name.startswith("environ-")]
        assert len(environments) >= 2
        assert any(b"PATH=" in one for one in environments)
    kept = " ".join(name for name in written if name.startswith("kept-"))
    assert "ledgers" in kept
    assert "locks" in kept


def test_marks_and_files_that_are_wrong(bench: Bench) -> None:
    bench.write(test_bad=BAD)
    out = bench.run()
    assert bench.hits() == {}, out
    assert f"{BAD.count('    param(')} errors" in out, out


def test_a_spec_that_cannot_be_made(bench: Bench) -> None:
    """Without ``--full-trace``, since with it pytest shows the arguments of the call, in pydantic's own frame."""
    bench.write(test_imports=IMPORTS)
    out = bench.run(more=tuple(option for option in ALL if option != "--full-trace"))
    assert bench.hits() == {}, out
    assert "a header value is one line of plain ASCII text" in out


def test_files_that_are_validated(bench: Bench) -> None:
    bench.write()
    run = subprocess.run(
        [sys.executable, "-m", "pytest_chaos", "validate", *FILES],
        cwd=bench.path,
        env=bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == ""
    assert HIT.findall(run.stdout.encode()) == []


def test_dry_run(bench: Bench) -> None:
    bench.write(test_suite=SUITE, test_good=GOOD_FILE)
    out = bench.run("--chaos-dry-run")
    assert bench.hits() == {}, out
    assert "chaos dry run" in out
    assert b"Authorization:***" in bench.written()["plan.json"]


def test_a_run_in_peace(bench: Bench) -> None:
    bench.write(test_suite=SUITE, test_good=GOOD_FILE)
    out = bench.run("--chaos-disable")
    assert bench.hits() == {}, out
    assert "chaos is disabled" in out


@pytest.mark.parametrize("fake", FORTIOS)
def test_a_fortio_that_says_too_much(bench: Bench, fake: str) -> None:
    bench.write(test_fake=FAKE)
    path = write_fake_fortio(bench.path / "fake", FORTIOS[fake])
    out = bench.run(f"--chaos-fortio={path}")
    assert bench.hits() == {}, out
    assert "2 failed" in out or "1 failed, 1 error" in out, out


def test_a_recorded_plan(bench: Bench, gemini: Callable[..., Gemini]) -> None:
    pytest.importorskip("google.genai")
    server = gemini(
        asks({"qps": 40, "duration_s": 0.3}), says(secret("api-key")), key=secret("api-key"), model=MODEL
    )
    bench.write(test_model=MODEL_RUN)
    bench.environment |= {"GOOGLE_GEMINI_BASE_URL": server.url, "NO_PROXY": "127.0.0.1"}
    out = bench.run("--chaos-agent=record", "--chaos-plan-dir=plans", f"--chaos-model={MODEL}")
    assert bench.hits() == {}, out
    assert server.requests
    assert server.refused == []
    assert any(name.startswith("plans") for name in bench.written())
    assert CORE not in str([request.body for request in server.requests])


@pytest.mark.parametrize(
    "value",
    {
        "another": "oops",
        "no name": secret("unnamed"),
        "no such name": f"NO NAME={secret('misnamed')}",
        "user": f"ME=http://me:{secret('user')}@127.0.0.1/",
        "not plain": f"FIXTURE={secret('not-plain')}\n",
    }.items(),
    ids=lambda pair: pair[0],
)
def test_options_that_do_not_fit(bench: Bench, value: tuple[str, str]) -> None:
    bench.write(test_suite=SUITE)
    out = bench.run(f"--chaos-var={value[1]}", "-k", "test_user_that_is_filled_in or test_filled")
    assert bench.hits() == {}, out
    assert "INTERNALERROR" not in out
