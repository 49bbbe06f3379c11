"""Executables that stand where fortio should, and behave in ways that the real one cannot be made to.

A script is Python. It finds these names: ``say(text)`` and ``err(text)`` (one line to stdout or stderr,
flushed), ``marker(threads=1)`` (the line with which fortio begins its measured phase), ``log(count=1,
code=200)`` (that many lines of the access log), ``report(count)`` (fortio's JSON), ``logged()``,
``until_sigint()``, and the modules ``os``, ``signal``, ``sys``, ``time``, ``json``. SIGINT is handled by
setting a flag, so that a script which ignores it goes on.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

_PRELUDE = """\
#!{python} -IS
import json, os, signal, sys, time

if sys.argv[1:2] == ["version"]:
    print("1.68.2")
    sys.exit(0)

interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(time.monotonic()))
_logged = [0]

def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()

def err(text):
    sys.stderr.write(text + "\\n")
    sys.stderr.flush()

def marker(threads=1):
    err("Fortio 1.68.2 running at 10 queries per second, 2->2 procs, for 10m0s: http://x/")
    err(f"Starting at 10 qps with {{threads}} thread(s) [gomax 2] for 10m0s : 6000 calls each (total 6000)")

def log(count=1, code=200, latency=0.001):
    for n in range(count):
        ok = "true" if 200 <= code < 300 else "false"
        say(f'{{{{"latency":{{latency}},"timestamp":{{time.time_ns()}},"thread":0,"iter":{{n}},"ok":{{ok}},"details":"{{code}}"}}}}')
        _logged[0] += 1

def logged():
    return _logged[0]

def report(count=None, **more):
    count = _logged[0] if count is None else count
    return json.dumps({{"RunType": "HTTP", "Version": "1.68.2", "DurationHistogram": {{"Count": count}}, **more}}, indent=2)

def until_sigint(every=None):
    while not interrupted:
        if every:
            every()
        time.sleep(0.01)

"""


def write_fake_fortio(path: Path, script: str) -> Path:
    """Write ``script`` with the names above as an executable at ``path``; return the path."""
    path.write_text(_PRELUDE.format(python=sys.executable) + textwrap.dedent(script), encoding="utf-8")
    path.chmod(0o755)
    return path


def write_raw_executable(path: Path, text: str) -> Path:
    """Write ``text`` as it is as an executable at ``path``; return the path."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


HONEST = """
marker(threads=2)
until_sigint(log)
say(report())
"""
"""Behaves like fortio against a healthy target, at about 100 requests a second."""
