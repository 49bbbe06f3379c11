"""Started as ``python -I -S .../reaper/__main__.py CONTROL LEDGER WATCHED...``, with the numbers of descriptors."""

import os
import sys

# Leave the parent at once: whoever waits for any child of pytest must never wait for this one.
if os.fork():
    os._exit(0)
sys.path.append(__file__.rsplit("/", 4)[0])

from pytest_chaos.engine.reaper.program import Program

Program(sys.argv[1], *map(int, sys.argv[2:])).run()
