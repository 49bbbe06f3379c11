"""Programs that are hard to end, as scripts for ``python -c``."""

from __future__ import annotations

import sys


def python(script: str) -> list[str]:
    """Return the command line that runs ``script`` in an interpreter that starts fast."""
    return [sys.executable, "-IS", "-c", script]


SLEEP = "import time; time.sleep(60)"
STUBBORN = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
AWAY = f"""
import os, sys, time

def away(cleared):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            os.execve(sys.executable, [sys.executable, "-IS", "-c", {STUBBORN!r}], {{}} if cleared else os.environ)
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
