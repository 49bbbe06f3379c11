"""Programs that are hard to end, as scripts for ``python -c``, and a look at what is left of them."""

from __future__ import annotations

import shutil
import subprocess
import sys

_PS = shutil.which("ps") or "ps"


def running_with(word: str) -> list[str]:
    """Return the command lines of all processes that run with ``word`` among their arguments."""
    told = subprocess.run(
        [_PS, "-A", "-ww", "-o", "stat=,pid=,args="],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    return [line for line in told.stdout.splitlines() if word in line and not line.startswith("Z")]


def python(script: str) -> list[str]:
    """Return the command line that runs ``script`` in an interpreter that starts fast."""
    return [sys.executable, "-IS", "-c", script]


SLEEP = "import time; time.sleep(60)"
DEAF = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
"""
STUBBORN = f"{DEAF}print('up', flush=True)\ntime.sleep(60)"
AWAY = f"""
import os, sys, time

def away(cleared):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            argv = [sys.executable, "-IS", "-c", {DEAF + "time.sleep(60)"!r}, *sys.argv[1:]]
            os.execve(argv[0], argv, {{}} if cleared else os.environ)
        os._exit(0)
    os.wait()
    return int(os.read(reading, 20))

"""
"""Defines ``away``: it starts an orphan with a session of its own, at will without our variables, and returns its number."""

RUNNER = """
import os, time
end = time.monotonic() + 20
if os.fork():
    os._exit(0)
os.setsid()
print("running", flush=True)
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
"""
"""Is never twice the same process: each one forks and leaves."""
