"""Run one fortio from spawn to its last byte: start marker, first answer, one SIGINT, and a typed end."""

from __future__ import annotations

import re
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from json import loads
from threading import Event, Thread
from typing import IO, Any, Final

from pytest_chaos import clocks
from pytest_chaos.context import Process, Span, Spawn
from pytest_chaos.errors import Cancelled, FaultFailed
from pytest_chaos.fortio.accesslog import AccessLog
from pytest_chaos.fortio.locate import ASK_DOCTOR
from pytest_chaos.scrub import clean

MARKER: Final = re.compile(rb"^Starting at (?:max|[-+.\deE]+) qps with (\d+) thread\(s\)")
_TRANSPORT_ERROR: Final = re.compile(rb'"level":"err".*?"err":("(?:[^"\\]|\\.)*")')
_POLL_S: Final = 0.002
_READ: Final = 64 * 1024
_MAX_REPORT: Final = 4 * 1024 * 1024


class _Stdout(Thread):
    """Feed log lines to the access log as they come; keep what follows them, the JSON."""

    def __init__(self, stream: IO[bytes], log: AccessLog) -> None:
        super().__init__(name="pytest-chaos-fortio-stdout", daemon=True)
        self._stream = stream
        self._log = log
        self.tail = b""
        self.logged = 0
        self.closed = Event()

    def run(self) -> None:
        rest = b""
        try:
            while chunk := self._stream.read1(_READ):  # type: ignore[attr-defined]  # a BufferedReader, which IO hides
                if self.tail:
                    self.tail = (self.tail + chunk)[:_MAX_REPORT]
                    continue
                *lines, rest = (rest + chunk).split(b"\n")
                taken = self._log.feed(lines)
                self.logged += taken
                if taken < len(lines) or len(rest) > _READ:
                    self.tail, rest = b"\n".join([*lines[taken:], rest]), b""
        except (OSError, ValueError):  # the pipe was closed under us after a kill
            pass
        finally:
            self.tail = self.tail or rest
            self.closed.set()
            self._stream.close()


class _Stderr(Thread):
    """Drain standard error (a full pipe would block fortio for good); find the marker, keep the last lines."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="pytest-chaos-fortio-stderr", daemon=True)
        self._stream = stream
        self._last: deque[bytes] = deque(maxlen=40)
        self.begun = Event()
        self.threads = 0
        self.started = 0.0
        self.failures_before_start = 0
        self.transport_error = ""
        self.closed = Event()

    def run(self) -> None:
        try:
            for line in iter(lambda: self._stream.readline(_READ), b""):
                if found := _TRANSPORT_ERROR.search(line):
                    self.transport_error = _unquoted(found[1])
                    self.failures_before_start += not self.begun.is_set()
                elif not self.begun.is_set() and (marker := MARKER.match(line)):
                    self.started = clocks.monotonic()
                    self.threads = int(marker[1])
                    self.begun.set()
                self._last.append(line)
        except (OSError, ValueError):
            pass
        finally:
            self.closed.set()
            self._stream.close()

    def words(self) -> str:
        """Return the last lines that say something, for a message."""
        text = b"".join(self._last).decode(errors="replace")
        told = [line for line in text.splitlines() if "Log level is now" not in line]
        return clean(" | ".join(told[-4:]), 600) or "nothing on standard error"


class FortioRun:
    """One fortio process. Call ``run``; afterwards the process is gone, whatever happened."""

    def __init__(self, argv: Sequence[str], *, qps: int, spawn: Spawn, log: AccessLog) -> None:
        self._spawned = clocks.monotonic()
        try:
            self._process: Process = spawn(argv)
        except OSError as error:
            raise FaultFailed(
                "not_started", f"{argv[0]} could not be started: {error}. {ASK_DOCTOR}"
            ) from None
        self._log = log
        self._qps = qps
        self._stopped: float | None = None
        self._answered_before = log.answered
        self._since = len(log)
        self._out = _Stdout(self._process.stdout, log)
        self._err = _Stderr(self._process.stderr)
        self._out.start()
        self._err.start()

    def run(
        self,
        *,
        stop: Event,
        seconds: float | None,
        limit_s: float,
        start_within_s: float,
        grace_s: float,
        active: Event,
    ) -> Mapping[str, Any]:
        """Wait for the measured phase, let it last, end it with exactly one SIGINT, and read the report.

        It lasts ``seconds``, or until ``stop`` if that is None, and never longer than ``limit_s``.
        ``active`` is set once the measured phase has begun and the target has answered, and cleared just
        before the SIGINT.

        Raises:
            FaultFailed: with a kind for each way to fail; requests that were measured stay in the log.
            Cancelled: ``stop`` came before the measured phase.
        """
        try:
            self._await_marker(stop, clocks.monotonic() + start_within_s)
            self._await_answer(stop)
            if self._answers:
                active.set()
            self._last_until(stop, self._err.started + min(limit_s, limit_s if seconds is None else seconds))
            self._stopped = clocks.monotonic()
            active.clear()
            return self._end(grace_s)
        finally:
            self._stopped = self._stopped or clocks.monotonic()
            active.clear()
            self._process.kill()
            self._process.wait(5)
            for thread in (
                self._out,
                self._err,
            ):  # each closes its pipe, unless a stray grandchild holds the other end
                thread.join(2)

    @property
    def span(self) -> Span | None:
        """The measured phase so far, from the start marker to the SIGINT; None before it began.

        The first request may be on its way before we have read the marker; then the phase began with it. What
        the log says to be older than the process is a matter of a clock that was stepped.
        """
        if not self._err.begun.is_set():
            return None
        first = self._log.earliest(self._since)
        began = self._err.started if first is None else min(max(first, self._spawned), self._err.started)
        return began, self._stopped or clocks.monotonic()

    @property
    def threads(self) -> int:
        """How many connections fortio says it uses, each of which sent one warm-up request."""
        return self._err.threads

    @property
    def logged(self) -> int:
        """How many requests of this run the access log holds."""
        return self._out.logged

    @property
    def _answers(self) -> int:
        return self._log.answered - self._answered_before

    def _await_marker(self, stop: Event, deadline: float) -> None:
        while not self._err.begun.is_set():
            if self._err.closed.is_set() or self._out.closed.is_set():
                self._err.closed.wait(2)
                if not self._err.begun.is_set():
                    raise self._early_exit()
            if stop.wait(_POLL_S):
                unanswered = self._unanswered() if self._err.failures_before_start else ""
                raise Cancelled("asked to stop before fortio's measured phase began" + unanswered)
            if clocks.monotonic() > deadline:
                raise FaultFailed(
                    "never_started",
                    f"fortio did not begin its measured phase in time{self._unanswered()}; "
                    f"it said: {self._err.words()}. {ASK_DOCTOR}",
                )

    def _await_answer(self, stop: Event) -> None:
        """Wait for the first answer; give up on a target that answered no warm-up and nothing for a second since."""
        threads = max(1, self._err.threads)
        dead = self._err.failures_before_start >= threads
        while not self._answers and not stop.is_set() and not self._out.closed.is_set():
            quiet = clocks.monotonic() - self._err.started
            if dead and quiet > 1 and self._out.logged >= min(threads, max(1, int(self._qps * quiet / 2))):
                raise FaultFailed("no_response", f"the target answered no request at all{self._unanswered()}")
            stop.wait(_POLL_S)

    def _last_until(self, stop: Event, end: float) -> None:
        while (left := end - clocks.monotonic()) > 0 and not stop.wait(min(left, 0.05)):
            if self._out.closed.is_set():
                raise FaultFailed(
                    "died",
                    f"fortio ended while it was needed ({self._status()}): {self._err.words()}. Was it killed from outside, "
                    f"or short of memory? {ASK_DOCTOR}",
                )

    def _end(self, grace_s: float) -> Mapping[str, Any]:
        self._process.interrupt()
        if not self._out.closed.wait(grace_s):
            raise FaultFailed(
                "ignored_interrupt",
                f"fortio was still running {grace_s:g} s after its SIGINT and was killed; "
                "requests that hang longer than that need a smaller `timeout`, or a larger chaos_stop_timeout",
            )
        try:
            status = self._process.wait(max(1.0, grace_s))
        except TimeoutError:
            raise FaultFailed(
                "ignored_interrupt", f"fortio closed its output but did not end; it was killed. {ASK_DOCTOR}"
            ) from None
        if status != 0:
            raise FaultFailed(
                "exit",
                f"fortio ended with {_words(status)} instead of a report: {self._err.words()}. {ASK_DOCTOR}",
            )
        return read_report(self._out.tail)

    def _early_exit(self) -> FaultFailed:
        return FaultFailed(
            "exit_before_start",
            f"fortio ended before it had sent a measured request ({self._status()}): {self._err.words()}. {ASK_DOCTOR}",
        )

    def _status(self) -> str:
        try:
            return _words(self._process.wait(2))
        except TimeoutError:
            return "it closed its output, but is still running"

    def _unanswered(self) -> str:
        why = f" ({self._err.transport_error})" if self._err.transport_error else ""
        return (
            f"; no warm-up request was answered{why}. Is the service up, and at this address? A server that lives in "
            'the test\'s own event loop cannot answer during setup: use wait="none"'
            if self._err.failures_before_start or not self._err.begun.is_set()
            else why
        )


def read_report(raw: bytes) -> Mapping[str, Any]:
    """Return fortio's JSON report.

    Raises:
        FaultFailed: there is none (``no_json``), it is cut off (``truncated_json``), is no JSON
            (``bad_json``), comes from another tool (``foreign_json``), or tells of an abort (``aborted``).
    """
    text = raw.decode(errors="replace").strip()
    if not text:
        raise FaultFailed("no_json", f"fortio ended without its JSON report. {ASK_DOCTOR}")
    try:
        report: dict[str, Any] = loads(text)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        cut = text.startswith("{") and (at >= len(text) or "Unterminated string" in str(error))
        kind, what = ("truncated_json", "is cut off") if cut else ("bad_json", "cannot be read")
        raise FaultFailed(
            kind, f"fortio's JSON report {what}: {clean(str(error), 200)}. {ASK_DOCTOR}"
        ) from None
    histogram = report.get("DurationHistogram") if isinstance(report, dict) else None
    if (
        not isinstance(histogram, dict)
        or not isinstance(histogram.get("Count"), int)
        or "RunType" not in report
    ):
        raise FaultFailed(
            "foreign_json", f"what was printed is JSON, but no report of fortio's. {ASK_DOCTOR}"
        )
    if report.get("error"):
        raise FaultFailed("aborted", f"fortio gave up: {clean(str(report.get('message')), 200)}")
    return report


def _unquoted(literal: bytes) -> str:
    try:
        return clean(str(loads(literal)), 200)
    except ValueError:
        return clean(literal.decode(errors="replace"), 200)


def _words(code: int) -> str:
    if code < 0:
        names = {member.value: member.name for member in signal.Signals}
        return f"killed by {names.get(-code, f'signal {-code}')}"
    return f"exit status {code}"
