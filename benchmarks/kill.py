"""Kill pytest at random moments of a disrupted test, and count what is left one second later: ``python -m benchmarks.kill``.

Every process of a run carries the run's own word in its environment or among its arguments; nothing else
is looked at, or killed in the end. With ``--without-reaper`` processes are started plainly, to show that
the count can be other than 0.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.sessions import ROOT, SUITES, arguments, environment
from benchmarks.targets import echo_server

SIGNALS: Final = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL}
HOW: Final = (*SIGNALS, "os._exit", "timeout", "worker crash")
WHAT: Final = ("load", "stubborn", "family")
WINDOW_S: Final = 0.9
"""From just before the first process is started to somewhat after the test's end, which has a body of 0.5 s."""
GONE_WITHIN_S: Final = 1.0
LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One run: how it died, what it ran, whether that had been started, what was left, and how long something was."""

    how: str
    what: str
    spawned: bool
    left: Sequence[str]
    gone_after_s: float


def die(scratch: Path, url: str, how: str, what: str, delay_s: float, *, plain: bool) -> Death:
    """Run a disrupted test, kill it after ``delay_s``, and look at what is left."""
    token = f"kill-{uuid.uuid4().hex}"
    folder = scratch / token
    folder.mkdir()
    variables = {
        "TOKEN": token,
        "WHAT": what,
        "URL": url,
        "FOLDER": str(folder),
        **({"PLAIN": "1"} if plain else {}),
    }
    options: list[str] = []
    if how in {"os._exit", "worker crash"}:
        variables["EXIT_S"] = str(delay_s)
    if how == "worker crash":
        options = ["-p", "xdist.plugin", "-n1", "--max-worker-restart=0"]
    if how == "timeout":
        options = ["-p", "pytest_timeout", f"--timeout={0.05 + delay_s}", "--timeout-method=thread"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments(SUITES), *options, str(SUITES / "kill.py")],
        cwd=ROOT,
        env={
            **environment(scratch, **{f"CHAOS_KILL_{name}": value for name, value in variables.items()}),
            "XDG_RUNTIME_DIR": str(folder),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if how in SIGNALS:
            deadline = time.monotonic() + LIMIT_S
            while not (folder / "begun").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(delay_s)
            process.send_signal(SIGNALS[how])
        process.wait(LIMIT_S)
        died = time.monotonic()
        while (left := carriers(token)) and time.monotonic() < died + GONE_WITHIN_S:
            time.sleep(0.02)
        return Death(
            how=how,
            what=what,
            spawned=(folder / "spawned").exists(),
            left=tuple(left.values()),
            gone_after_s=time.monotonic() - died,
        )
    finally:
        process.kill()
        process.wait()
        for pid in carriers(token):
            os.kill(pid, signal.SIGKILL)


def carriers(token: str) -> dict[int, str]:
    """Return the living processes that carry ``token``: their numbers, and what they run."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            if token.encode() in line + (folder / "environ").read_bytes():
                found[int(folder.name)] = b" ".join(line.replace(b"\0", b" ").split()).decode(
                    errors="replace"
                )[:100]
        except (
            OSError
        ):  # it has ended meanwhile; of one that only waits to be waited for, nothing can be read
            continue
    return found


def main() -> int:
    """Return 0 if nothing was left; without the reaper, if something was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="how many at once")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="repeats a run's moments")
    parser.add_argument("--without-reaper", action="store_true", help="start processes plainly")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    ways = list(product(HOW, WHAT))
    planned = [(*ways[n % len(ways)], chance.uniform(0, WINDOW_S)) for n in range(asked.runs)]
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background ignores it, and all it starts
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-kill-") as scratch,
        echo_server() as url,
        ThreadPoolExecutor(asked.jobs) as pool,
    ):
        deaths = list(
            pool.map(lambda way: die(Path(scratch), url, *way, plain=asked.without_reaper), planned)
        )
    for how in HOW:
        of_this = [death for death in deaths if death.how == how]
        print(f"{how:12}  {_line(of_this)}")
    print(f"{'all':12}  {_line(deaths)}; seed {asked.seed}, {time.monotonic() - began:.0f} s")
    left = [line for death in deaths for line in death.left]
    for line in left[:20]:
        print(f"left: {line}")
    if asked.without_reaper:
        return 0 if left else 1
    return 1 if left or not any(death.spawned for death in deaths) else 0


def _line(deaths: Sequence[Death]) -> str:
    spawned = [death for death in deaths if death.spawned]
    left = sum(len(death.left) for death in deaths)
    slowest = max((death.gone_after_s for death in spawned), default=0.0)
    return (
        f"{len(deaths):4} runs, {len(spawned):4} with fault processes; {left:4} processes left after "
        f"{GONE_WITHIN_S:g} s; the last one gone after {slowest:.2f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
