"""The one fortio command line that this project ever runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_chaos.secrecy import MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load in numbers: requests a second, connections, limits. Everything here was checked before."""

    url: str
    qps: int
    concurrency: int
    timeout_s: float
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    label: str = "pytest-chaos"


def load_argv(load: Load, *, binary: str, ip: str | None, run_limit_s: float) -> list[str]:
    """Build the command line.

    Durations are whole milliseconds, because Go rejects exponents. ``-t`` is only a bound for an
    orphan: fortio paces wrongly with a short one, so a load is ended by a SIGINT. The access log goes
    to standard output, before the final JSON: one stream, in order, that survives a killed fortio.
    ``ip`` pins the address that was checked. The URL stands last, behind ``--``.
    """
    argv = [
        *(binary, "load", "-json", "-", "-access-log-file", "/dev/stdout", "-access-log-format", "json"),
        *("-loglevel", "warning", "-logger-json=true", "-logger-no-color", "-log-errors=false"),
        *("-qps", str(load.qps), "-c", str(load.concurrency), "-t", _milliseconds(run_limit_s)),
        *("-timeout", _milliseconds(load.timeout_s), "-p", "50,75,90,95,99,99.9", "-r", "0.0001"),
        *("-nocatchup", "-uniform", "-stdclient", "-allow-initial-errors"),
        *("-labels", re.sub(r"[^\w.:/\[\]-]+", "_", load.label)[:80] or "pytest-chaos"),
    ]
    if ip is not None:
        argv += ["-resolve", f"[{ip}]" if ":" in ip else ip]
    if load.method != "GET" or load.body is not None:
        argv += ["-X", load.method]
    for name, value in load.headers:
        argv += ["-H", f"{name}:{value}"]
    if load.body is not None:
        argv += ["-payload", load.body]
    return [*argv, "--", load.url]


def masked(argv: Sequence[str]) -> tuple[str, ...]:
    """Return ``argv`` as it may be shown: the values of all headers are masked."""
    shown: list[str] = []
    words = iter(argv)
    for word in words:
        shown.append(word)
        if word == "-payload":  # a body may look like anything, also like an option
            shown.append(next(words, ""))
        elif word == "-H":
            shown.append(f"{next(words, '').partition(':')[0]}:{MASK}")
    return tuple(shown)


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
