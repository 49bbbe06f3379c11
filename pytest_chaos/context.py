"""RunContext: what a running fault or trigger may use, and nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import IO, Any, Protocol

from pytest_chaos import clocks
from pytest_chaos.errors import Cancelled, ChaosError
from pytest_chaos.milestones import Milestones
from pytest_chaos.settings import Settings

Span = tuple[float, float]
"""A stretch of time: start and end on the clock of ``clocks.monotonic()``, in seconds."""


def intersect(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return the stretches that lie in both."""
    clipped = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return [span for span in clipped if span[0] < span[1]]


def total_seconds(spans: Sequence[Span]) -> float:
    """Return the summed length of spans that do not overlap each other."""
    return sum(end - start for start, end in spans)


class Process(Protocol):
    """A process that a fault started. Its parent may be another process, so this is not ``Popen``."""

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes]

    def interrupt(self) -> None:
        """Send one SIGINT to the process; do nothing if it is gone."""

    def kill(self) -> None:
        """Kill the process and everything in its session; do nothing if it is gone."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status (negative: ended by that signal). Raises ``TimeoutError``."""


class Spawn(Protocol):
    """Start a process in a session of its own, with a minimal environment plus ``env``."""

    def __call__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        """Return the running process. Raises ``OSError`` if it cannot be started."""


@dataclass(frozen=True, slots=True)
class Address:
    """A target that the guard has checked: its name, its port, and the one address that may be used for it."""

    host: str
    port: int
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a meter counted inside some spans: how much was due, and how much really came about."""

    seconds: float
    due: float
    requests: int
    delivered: int
    errors: int

    def is_short(self, min_delivered: float) -> bool:
        """Tell whether less than ``min_delivered`` (a share) of what was due was answered.

        At most two missing requests are forgiven, because they may be a matter of rounding; the last
        answer never is.
        """
        missing = math.floor(self.due) - self.delivered
        return self.delivered == 0 or (self.delivered < min_delivered * self.due and missing > 2)

    def in_words(self) -> str:
        """Return the figures as part of a sentence."""
        if not self.seconds:
            return "nothing was due"
        asked, got = self.due / self.seconds, self.delivered / self.seconds
        return f"asked {asked:.4g} requests a second, got {got:.4g} ({self.delivered} of {self.due:.0f} in {self.seconds:.3g} s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What a meter counted in one stretch of time.

    ``at`` is its start on the clock of ``clocks.monotonic()``; ``codes`` maps status to count, -1 stands for no
    response; latencies are seconds, None where nothing was sent.
    """

    at: float
    requests: int
    errors: int
    codes: Mapping[int, int]
    p50_s: float | None
    p99_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a meter has counted so far, cheap enough to be asked several times a second; rates are a second."""

    asked_qps: float
    delivered_qps: float
    requests: int
    errors: int


class Meter(Protocol):
    """A fault's live measurement, asked by the engine for the body's window."""

    @property
    def min_delivered(self) -> float:
        """The share of what was due (0 to 1) that counts as delivered."""

    @property
    def remedy(self) -> str:
        """What a person can change when less was delivered."""

    def measure(self, spans: Sequence[Span]) -> Measured:
        """Count what started inside ``spans``."""

    def live(self) -> Live:
        """Return the figures so far."""

    def slices(self, origin: float, width_s: float) -> Sequence[Slice]:
        """Return all that was measured, cut into stretches of ``width_s`` seconds that are counted from ``origin``."""


class ActiveEvent(Event):
    """An event that remembers when it was set: the spans in which the harm was under way.

    ``set`` opens a span, ``clear`` closes it; setting it twice is one span.
    """

    def __init__(self, clock: Callable[[], float] = clocks.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._spans: list[Span] = []
        self._since: float | None = None
        self._guard = Lock()

    def set(self) -> None:
        """Note the moment, then wake everybody who waits."""
        with self._guard:
            if self._since is None:
                self._since = self._clock()
        super().set()

    def clear(self) -> None:
        """Close the running span at this moment."""
        with self._guard:
            if self._since is not None:
                self._spans.append((self._since, self._clock()))
                self._since = None
        super().clear()

    def spans(self) -> list[Span]:
        """Return the spans so far; one that is still open ends now."""
        with self._guard:
            running = [] if self._since is None else [(self._since, self._clock())]
            return [*self._spans, *running]


def _no_spawn(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
    del env
    name = argv[0] if argv else "nothing"
    raise ChaosError(f"this context cannot start processes ({name}); run the spec in a test")


def _no_allow(url: str) -> Address:
    raise ChaosError(f"this context has no guard, so {url} is not allowed; run the spec in a test")


@dataclass(slots=True)
class RunContext:
    """Hand a fault or trigger its surroundings. ``RunContext("a-name")`` alone serves a unit test.

    Attributes:
        task_id: names the test (or whatever is being disrupted) in labels and logs.
        env: variables for processes that the fault starts.
        settings: the merged settings.
        stop: return soon once it is set.
        authored: the spec as it was written, placeholders unfilled.
        ordinal: the number of the disruption within its test, from 1.
        deadline: moment on the monotonic clock after which nothing new may begin, or None.
        spawn: start a process that is certain to be ended.
        allow: check a URL against the guard; returns the address to use, raises ``TargetRefused``.
        note: put a named moment on the timeline.
        meter: set by a fault that can be measured while it runs.
        milestones: what the test has reached so far.
        listening: set by a trigger that ``listens``, once nothing escapes it any more.
        seen: set by a trigger: what it has seen so far, for the message if it never fires.
    """

    task_id: str
    env: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    stop: Event = field(default_factory=Event)
    deadline: float | None = None
    authored: Mapping[str, Any] = field(default_factory=dict)
    ordinal: int = 1
    spawn: Spawn = _no_spawn
    allow: Callable[[str], Address] = _no_allow
    note: Callable[[str], None] = lambda _moment: None
    meter: Meter | None = None
    milestones: Milestones = field(default_factory=Milestones)
    listening: Event = field(default_factory=Event)
    seen: str = ""

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or raise ``Cancelled`` as soon as ``stop`` is set."""
        if self.stop.wait(max(0.0, seconds)):
            raise Cancelled("asked to stop while waiting")
