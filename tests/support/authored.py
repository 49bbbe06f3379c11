"""Entries as people might write them: good ones, and ones that are broken in every way. Always the same for a seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
DURATIONS = ["30s", "1m30s", "500ms", "0.5s", "1h", "999h", "9999m", "99999.999s", "9999999ms"]
DURATIONS += ["{{LONG}}", "{{ LONG }}"]
URLS = [
    "http://127.0.0.1:8080/checkout",
    "https://shop.example",
    "HTTP://[::1]:65535/a?b=c&d=%20",
    "http://a?",
]
URLS += [
    "{{URL}}",
    "{{ URL }}/x",
    "http://{{DEPLOYMENT}}.{{NAMESPACE}}.svc.cluster.local",
    "http://localhost:{{PORT}}/",
]
TEXTS = [
    "lunch rush",
    "x",
    "{{NAME}}",
    "ü",
    "\U0001f600",
    "two\nlines",
    "a\ttab",
    "\u2028",
    "\x1b[31m",
    "\ufeff",
]

# Near misses of every notation, odd Unicode, and text that other formats take for something else.
ODD_TEXTS = ["", " ", "\n", "\0", "a\0b", "\ud800", "a\udfffb", "\ud83d\ude00", "\uffff", "\x7f"]
ODD_TEXTS += ["x" * 201, "ü" * 200, "\U0001f600" * 200, "x" * 2001, "x" * 65_536, "x" * 65_537]
ODD_TEXTS += [
    "5",
    "30s\n",
    " 30s",
    "-1s",
    "0s",
    "0.0s",
    "1.2345s",
    "1s1s",
    "1s1m",
    "1e1s",
    "30 s",
    "30S",
    "1000h",
]
ODD_TEXTS += [
    "\u0663s",
    "3s{{A}}",
    "{{A}}{{B}}",
    "{{}}",
    "{{1}}",
    "{{A",
    "{{ A\n}}",
    "{A}",
    "{{A.b-c_1}}",
    "{{ü}}",
]
ODD_TEXTS += ["http://a/" + "x" * 1991, "http://a/" + "x" * 1992, "{{A}}" + "x" * 1995, "{{A}}" + "x" * 1996]
ODD_TEXTS += [
    "ü{{A}}",
    "{{A}}\n",
    "http://me:pw@{{A}}/",
    "http://a/@{{A}}",
    "ftp://a/",
    "ftp://{{A}}/",
    "http:///",
]
ODD_TEXTS += [
    "http://a:0/",
    "http://a:65536/",
    "http://a:080/",
    "//a/",
    "http://a/#f",
    "http://a b/",
    "http://a/\n",
]
ODD_TEXTS += [
    "http://ü/",
    "http://a/ü",
    "http://[::1",
    "http://me@a/",
    "http://a\\b",
    "NaN",
    "12:30:00",
    "0o17",
    "yes",
]
ODD_TEXTS += [
    "null",
    "true",
    "300",
    "time",
    "generate_load",
    "GET",
    "get",
    "GET ",
    "Infinity",
    "a: b",
    "- a",
    "[",
    "{",
]
ODD_TEXTS += ["'", '"', "#", "&a", "*a", "!t", "%", "@", "`", "|", ">"]
NUMBERS = [
    0,
    1,
    2,
    -1,
    10,
    11,
    100,
    300.0,
    1.5,
    0.9,
    1.0,
    1.0000001,
    -0.0,
    1e-300,
    1e300,
    -5e-324,
    3600,
    3600.5,
]
NUMBERS += [
    3601,
    4096,
    4097,
    50_000,
    50_000.0,
    50_001,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    -(10**30),
    10**400,
]
OTHERS: list[Any] = [None, True, False, [], {}, [1], ["time"], [{}], {"type": "time"}, {"a": None}, {"": ""}]
PHASES = ["before", "during", "after"]
OTHERS += [
    PHASES,
    ["before"],
    ["during"],
    ["after", "after"],
    ["after", None],
    ["before", "during", "after", "x"],
]

# A JSON Schema cannot tell whether a pattern is one; these are.
PATTERNS = ["paid", r"order \d+", "^x$", "({{NAME}}", "ü+", "(?i)a|b", "x" * 1000]
ON_TIMEOUT = ["fail", "skip", "fire"]

HEADER_NAMES = ["Accept", "x", "X-Api-Key", "te2", "!#$%&'*+-.^_`|~", "x" * 100]
ODD_HEADER_NAMES = [
    "",
    " ",
    "a b",
    "a:",
    "ü",
    "x" * 101,
    "Accept\n",
    "{{A}}",
    "\ud800",
    "TE",
    "te",
    "Content-Length",
]
ODD_HEADER_NAMES += ["connectioN", "transfer-encoding", "Upgrade", "trailer", "upgrade-insecure-requests"]
HEADER_VALUES = ["", "text/html", "a\tb", "{{TOKEN}}", "~" * 4096]
ODD_HEADER_VALUES: list[Any] = [
    "ü",
    "a\nb",
    "a\r",
    "\0",
    "~" * 4097,
    "a\n",
    "\x7f",
    3,
    None,
    True,
    ["a"],
    {},
    1.5,
]
KEYS = [
    "name",
    "trigger",
    "action",
    "verify",
    "verification",
    "verify_phases",
    "recover_within",
    "verify_every",
    "type",
    "target",
    "qps",
    "headers",
    "delay_seconds",
    "timeout",
    "on_timeout",
    "disruption",
    "status",
    "body",
    "logger",
    "file",
]
ODD_KEYS = [
    "Name",
    "",
    "qsp",
    "extra",
    "ü",
    "\ud800",
    "a.b",
    "$ref",
    "default",
    "x" * 300,
    "chaos",
    "chaos_spec",
]


def good_entry(random: Random) -> dict[str, Any]:
    """Return an entry with any choice of keys, each with a value that is allowed."""
    target: dict[str, Any] = {"service_url": random.choice(URLS)}
    optional: dict[str, Any] = {
        "qps": random.choice([1, 300, 300.0, 50_000, random.randint(1, 50_000)]),
        "duration": random.choice([*DURATIONS, None]),
        "concurrency": random.choice([1, 4096, 16.0, None]),
        "timeout": random.choice(DURATIONS),
        "method": random.choice(METHODS),
        "headers": {
            random.choice(HEADER_NAMES): random.choice(HEADER_VALUES) for _ in range(random.randint(0, 3))
        },
        "body": random.choice([*TEXTS, "", "x" * 65_536, None]),
        "min_delivered": random.choice([0, 1, 0.0, 1.0, random.random()]),
    }
    target |= _some(random, optional)
    action = {"type": "generate_load", "target": target}
    action |= _some(random, {"goal": random.choice([*TEXTS, None]), "bursts": random.choice([1, 10, 3.0])})
    entry: dict[str, Any] = {"trigger": _trigger(random), "action": action}
    entry |= _some(random, {"name": random.choice(TEXTS)})
    entry |= _check(random)
    items = [*entry.items()]
    random.shuffle(items)
    return dict(items)


def mutated(random: Random, entry: Any) -> Any:
    """Return ``entry`` with one to three changes, each of which may or may not break it."""
    entry = copy.deepcopy(entry)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        entry = _mutated_once(random, entry)
    return entry


def anything(random: Random) -> Any:
    """Return some value."""
    pools: list[list[Any]] = [ODD_TEXTS, NUMBERS, OTHERS, TEXTS, DURATIONS, URLS]
    return copy.deepcopy(random.choice(random.choice(pools)))


def everything_everywhere() -> Iterator[Any]:
    """Yield an entry for each value of ours at each place of one that has every key."""
    target: dict[str, Any] = {
        "service_url": URLS[0],
        "qps": 3,
        "duration": "3s",
        "concurrency": 3,
        "timeout": "3s",
    }
    target |= {"method": "GET", "headers": {"Accept": "a"}, "body": "a", "min_delivered": 0.5}
    action = {"type": "generate_load", "target": target, "goal": "a", "bursts": 1}
    full: dict[str, Any] = {"name": "a", "trigger": {"type": "time", "delay_seconds": 1}, "action": action}
    full |= {"verify_phases": ["before", "after"], "recover_within": 1, "verify_every": 1}
    for entry in ({**full, "verify": "a"}, {**full, "verification": "a"}):
        for number in range(len([*_places(entry)])):
            for value in [*ODD_TEXTS, *NUMBERS, *OTHERS, *TEXTS, *DURATIONS, *URLS, *ODD_HEADER_VALUES]:
                changed = copy.deepcopy(entry)
                holder, key = [*_places(changed)][number]
                holder[key] = copy.deepcopy(value)
                yield changed
    triggers: list[dict[str, Any]] = [
        {"type": "checkpoint", "name": "a", "timeout": 1, "on_timeout": "skip"},
        {"type": "after", "disruption": "a", "state": "active"},
        {"type": "http", "url": URLS[0], "status": 200, "body": "a", "every": 1},
        {"type": "log", "pattern": "a", "logger": "a"},
        {"type": "log", "pattern": "a", "file": "a"},
    ]
    for trigger in triggers:
        for _, key in [*_places(trigger)]:
            for value in [*ODD_TEXTS, *NUMBERS, *OTHERS, *TEXTS, *DURATIONS, *URLS, *PATTERNS]:
                yield {"trigger": {**trigger, key: copy.deepcopy(value)}, "action": action}


def authored(seed: int, count: int) -> Iterator[Any]:
    """Yield ``count`` entries, one of five as good as ``good_entry`` makes them."""
    random = Random(seed)
    for _ in range(count):
        entry = good_entry(random)
        yield entry if random.random() < 0.2 else mutated(random, entry)


def _trigger(random: Random) -> dict[str, Any]:
    kind = random.choice(["time", "time", "checkpoint", "after", "http", "log"])
    if kind == "time":
        return {"type": kind, **_some(random, {"delay_seconds": random.choice([0, 3600, 0.5, 3600.0, 1e-9])})}
    timed = {"timeout": random.choice([5, 0.5, 3600, *DURATIONS]), "on_timeout": random.choice(ON_TIMEOUT)}
    trigger = {"type": kind, **_some(random, timed)}
    match kind:
        case "checkpoint":
            return trigger | {"name": random.choice(TEXTS)}
        case "after":
            state = {"state": random.choice(["active", "finished"])}
            return trigger | {"disruption": random.choice(TEXTS)} | _some(random, state)
        case "http":
            answer: dict[str, Any] = {"status": random.choice([100, 599, 200.0])}
            answer |= {"every": random.choice([0.01, 1, 60]), "body": random.choice([*PATTERNS, None])}
            return trigger | {"url": random.choice(URLS)} | _some(random, answer)
    place: dict[str, Any] = {random.choice(["logger", "file"]): random.choice([*TEXTS, None])}
    return trigger | {"pattern": random.choice(PATTERNS)} | _some(random, place)


def _check(random: Random) -> dict[str, Any]:
    check = _some(random, {random.choice(["verify", "verification"]): random.choice([*TEXTS, "", None])})
    if set(check.values()) <= {None}:
        return check  # what belongs to a check needs one
    phases = random.sample(PHASES, random.randint(1, 3))
    within = random.choice([0, 0.0, 5, 3600.0]) if "after" in phases else 0
    every = random.choice([0.01, 1, 60])
    return check | _some(random, {"verify_phases": phases, "recover_within": within, "verify_every": every})


def _some(random: Random, optional: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in optional.items() if random.random() < 0.5}


def _mutated_once(random: Random, entry: Any) -> Any:
    places = [*_places(entry)]
    if not places or random.random() < 0.01:
        return anything(random)
    holder, key = random.choice(places)
    match random.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice([*KEYS, *ODD_KEYS])] = anything(random)
        case 2 if isinstance(holder, dict):
            holder[random.choice([*KEYS, *ODD_KEYS])] = holder.pop(key)
        case 3 if isinstance(holder[key], dict):
            names = [*HEADER_NAMES, *ODD_HEADER_NAMES]
            values = [*HEADER_VALUES, *ODD_HEADER_VALUES]
            holder[key] = {random.choice(names): random.choice(values) for _ in range(random.randint(1, 3))}
        case 4 if isinstance(holder[key], str):
            holder[key] = _edited(random, holder[key])
        case 5 if key == "headers":
            holder[key] = {f"x{number}": "a" for number in range(random.choice([50, 51]))}
        case _:
            holder[key] = anything(random)
    return entry


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in [*pairs]:
        yield node, key
        yield from _places(value)


def _edited(random: Random, text: str) -> str:
    at = random.randint(0, len(text))
    piece = random.choice(
        [*"0159.-hms:/@#{} \n\0ü[]", "\ud800", "{{A}}", "\U0001f600", "//", "ms", "http://"]
    )
    changes: list[str] = [text[:at] + piece + text[at:], text[:at] + text[at + 1 :], text[:at], text.upper()]
    return random.choice(changes)
