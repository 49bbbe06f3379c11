"""The key is in no output, whatever fails and however much pytest shows; and who asks no model pays for none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gemini_server import (
    KEY,
    MODEL,
    Answer,
    Gemini,
    answer,
    asks,
    call,
    fails,
    raw,
    redirects,
    says,
)
from tests.support.inner import ROOT

Start = Callable[..., Gemini]

FAILING = {
    "refused": fails(401, "UNAUTHENTICATED", f"the key {KEY} is no good"),
    "quota": fails(429, "RESOURCE_EXHAUSTED", f"slow down, {KEY}"),
    "broken": fails(503, "UNAVAILABLE", f"try {KEY} later"),
    "html": raw("<html>no</html>"),
    "types": asks([1]),
    "empty": raw("null"),
    "warned": says("Fine.", finish="FROM_THE_FUTURE"),
    "redirected": redirects("http://127.0.0.1:1/"),
    "dropped": Answer(drop=True),
    "hanging": Answer(hang=True),
    "dripping": Answer(body=b" " * 100_000, drip_s=0.05),
    "not to be repeated": answer(call({"qps": 1}, tool=KEY)),
}

INNER = """
    import json
    import os
    import sys

    import pytest

    import pytest_chaos.agent.gemini as module
    from pytest_chaos.agent.loop import run_tool_loop
    from tests.support.noted import Noted

    URLS = json.loads(os.environ["URLS"])

    def begin():
        return module.GeminiClient(model=os.environ["MODEL"], timeout_s=1.0)

    @pytest.fixture(autouse=True)
    def surroundings(monkeypatch, request):
        monkeypatch.setattr(module, "_RETRY", {"attempts": 2, "initial_delay": 0.0, "max_delay": 0.0, "jitter": 0.0})
        if "url" in request.fixturenames:
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", request.getfixturevalue("url"))

    @pytest.mark.parametrize("url", URLS.values(), ids=list(URLS))
    def test_loop(url):
        shown = "control" + " of showlocals"
        run_tool_loop(begin(), "Break it.", [Noted().tool()], "Be careful.")

    @pytest.mark.parametrize("url", URLS.values(), ids=list(URLS))
    def test_inside_of_another_error(url):
        try:
            raise KeyError("another")
        except KeyError:
            conversation = begin().start("Be careful.", [Noted().tool()])
            try:
                calls = conversation.send("Break it.", lambda: False).calls
                conversation.send([module.ToolResult(one, {}) for one in calls], lambda: False)
            finally:
                conversation.close()

    @pytest.mark.parametrize("value", ["{}\\n{}", "\\u00e9{}{}"])
    def test_begin_with_a_bad_key(monkeypatch, value):
        monkeypatch.setenv("GEMINI_API_KEY", value.format(os.environ["GEMINI_API_KEY"], "x"))
        begin().start("Be careful.", [])

    def test_begin_without_certificates(monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        begin().start("Be careful.", [])

    @pytest.mark.parametrize("missing", [None])
    def test_begin_without_the_extra(monkeypatch, missing):
        monkeypatch.setitem(sys.modules, "google.genai", missing)
        begin().start("Be careful.", [])
"""


def test_pytest_shows_all_it_has_and_the_key_is_not_there(
    gemini: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {name: gemini(turn).url for name, turn in FAILING.items()}
    (tmp_path / "test_inner.py").write_text(textwrap.dedent(INNER), encoding="utf-8")
    monkeypatch.setenv("URLS", json.dumps(urls))
    monkeypatch.setenv("MODEL", MODEL)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    more = ["-vv", "-l", "--showlocals", "--tb=long", "--full-trace", "-rA", "--color=no", "-W", "error"]
    logs = ["--log-level=DEBUG", "--log-file=log.txt", "--junitxml=junit.xml", "-o", "junit_logging=all"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "pytest_chaos.plugin",
            *more,
            *logs,
            f"--rootdir={tmp_path}",
            "test_inner.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"{2 * len(FAILING) + 4} failed" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("pytest_chaos.errors.ModelError: gemini: ") >= 2 * len(FAILING) + 4
    assert "shown      = 'control of showlocals'" in run.stdout
    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"junit.xml", "log.txt"} <= written.keys()
    assert b"generateContent" in written["log.txt"]
    for name, text in {**written, "stdout": run.stdout.encode(), "stderr": run.stderr.encode()}.items():
        assert KEY.encode() not in text, f"the key is in {name}"


def test_a_client_that_asks_nothing_yet_has_imported_nothing() -> None:
    script = """
        import sys
        import pytest_chaos.plugin.lifecycle
        import pytest_chaos.faults.generate_load
        from pytest_chaos.agent.gemini import GeminiClient
        GeminiClient(model="any")
        print([name for name in sys.modules if name.startswith(("google", "httpx"))])
    """
    environment = {**os.environ, "GEMINI_API_KEY": KEY}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
