"""Ten thousand generated URLs: whatever the guard lets through is inside, says a parser of somebody else.

The oracle reads a URL with ``pydantic_core.Url``, which is the ``url`` crate of Rust: the WHATWG standard, written by
other people in another language, and here anyway. It asks the same resolver, and does its own arithmetic.
"""

# ruff: noqa: SIM905 - a hundred hosts are easier to read as text than as a list of quoted words

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest
from pydantic import ValidationError
from pydantic_core import Url

from pytest_chaos.context import Address
from pytest_chaos.engine.guard import Guard
from pytest_chaos.errors import TargetRefused
from pytest_chaos.faults.generate_load import LoadTarget

COUNT: Final = 10_000
ALLOWED_NAMES: Final = ("shop.example", "*.inside.example")
ALLOWED_NETWORKS: Final = ("10.0.0.0/8", "fd00::/8")

# ---------------------------------------------------------------------- what URLs are made of

PLAIN: Final = (
    "127.0.0.1 localhost [::1] 10.0.0.1 [fd00::1] shop.example a.inside.example in10.example".split()
)
LITERALS: Final = r"""
127.0.0.1 127.255.255.254 127.1 127.0.1 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.0.0.01 127.0.0.1.
127.0.0.0x1 0x7F.1 127.0.0.256 127..0.1 0x 1 0.0.0.0 0 10.0.0.1 10.1 012.0.0.1 167772161 11.0.0.1 192.168.0.1
169.254.169.254 3232235521 0xc0a80001 224.0.0.1 255.255.255.255 128.0.0.1 126.255.255.255 93.184.216.34
[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1]
[::FFFF:10.0.0.1] [::ffff:11.0.0.1] [::ffff:0:127.0.0.1] [::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::] [fd00::1]
[FD12::1] [fe80::1] [2001:db8::1] [ff02::1] [::1%lo] [::1%25lo] [fe80::1%25eth0] [fd00::1%1] [::ffff:127.0.0.1%25lo]
[::1%] [::1%25] [127.0.0.1] [localhost] [v1.localhost] [v1.::1] [::1 ::1] ::1 [] [[::1]] [::1]]
""".split()
NAMES: Final = r"""
localhost LocalHost localhost. localhost.. .localhost shop.localhost shop.localhost. localhost.evil.example
localhost-evil.example notlocalhost localhost.localdomain evil.example evil.example. 127.0.0.1.evil.example shop.example
SHOP.Example. myshop.example a.inside.example inside.example a.inside.example.evil.example in10.example out11.example
mixed.example rebound.example nobody.example mapped.example any.example shop.example.localhost _dmarc.localhost
~.localhost -.localhost localhost%2e %6cocalhost 127%2e0.0.1
%31%32%37.0.0.1 localhost%00 localhost% %5b::1%5d
""".split()
# Wide digits, ideographic full stops, circled and wide letters, a long s, hyphens and spaces that nobody sees.
LOOK_ALIKES: Final = """
\uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021 \u2460\u2461\u2466.0.0.1 \uff4cocalhost localho\u017ft loca\u00adlhost
localhost\u3002 \u24dbocalhost evil.example\u3002localhost evil.example\uff0elocalhost \u200blocalhost
evil.example\u2024localhost \u2100.localhost m\u00fcnchen.example
""".split()
GLUE: Final = (
    *r"\ @ # ? / : ; , & = | ^ ` ' < > { } [ ] % * . // \\ :80@ :80\@ \@".split(),
    *"%00 %09 %0d%0a %20 %23 %2f %3a %3f %40 %5c %25 %2523".split(),
    *("\t", "\n", "\r", "\r\n", " ", "\x00", "\x0b", "\x7f", "\x85", "\u2028", "\ufeff", '"'),
)
SCHEMES: Final = (
    *"http https HTTP hTTps ftp ws file javascript httpx".split(),
    *("", " http", "ht\ttp", "http "),
)
SLASHES: Final = (*r":// :/// :/ : :\\ :/\ // :////".split(), ":// ", ":\t//", "")
USERS: Final = r"@ me@ me:pw@ :@ 127.0.0.1@ localhost:80@ evil.example@ me%40@ me\@ a@b@ %00@".split()
PORTS: Final = (
    *": :80 :8080 :443 :080 :00000000080 :0 :1 :65535 :65536 :99999999999 :-1 :+80 :8_0 :0x50 :http :80:81".split(),
    *r":80%00 :80\ :80; :8%30".split(),
    *(":80 ", ": 80", ":80\t", ":\u0663", ":\uff18\uff10"),
)
TAILS: Final = (
    *r"/path /p?q=1 ?q /a/../b /%00 //evil.example/ /@evil.example ?@evil.example \evil.example # #frag /#@evil.example".split(),
    *("/\r\nHost: evil.example", "/ HTTP/1.1\r\n", "/\n", "\x00", "/a b", "/\u00e4", "/\\..\\x"),
)


def url(dice: random.Random) -> str:
    """Return a URL, or something that wants to be one; every second one is odd in one place at most."""
    likely = dice.random() < 0.5
    odd = dice.randrange(8) if likely else -1

    def part(number: int, usual: Sequence[str], unusual: Sequence[str]) -> str:
        wild = number == odd or (not likely and dice.random() < 0.3)
        return dice.choice(unusual if wild else usual)

    host = dice.choice(dice.choice((PLAIN, PLAIN, LITERALS, NAMES, LOOK_ALIKES)))
    if part(0, ("",), ("glued",)):
        host += dice.choice(GLUE) + dice.choice((*LITERALS, *NAMES))
    made = (
        part(1, ("http", "https"), SCHEMES)
        + part(2, ("://",), SLASHES)
        + part(3, ("",), USERS)
        + host
        + part(4, ("", ":80", ":8080"), PORTS)
        + part(5, ("/",), TAILS)
    )
    if part(6, ("",), ("noise",)):
        at = dice.randrange(len(made) + 1)
        made = made[:at] + dice.choice(GLUE) + made[at:]
    return made


# ---------------------------------------------------------------------- who resolves names


@dataclass
class Resolver:
    """Resolve names as a system does that is out to please; note each answer, since the next one may differ.

    Every name below ``localhost`` is loopback, whatever characters it has, and spellings of addresses are addresses.
    """

    answers: dict[str, list[str]] = field(default_factory=dict)
    asked: int = 0

    def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        found = self.answers[canonical(host)] = self._look_up(canonical(host))
        return found

    def again(self, host: str) -> Sequence[str]:
        """Return what was said before; only a name that nobody asked for is looked up now."""
        name = canonical(host)
        return self.answers[name] if name in self.answers else self._look_up(name)

    def _look_up(self, name: str) -> list[str]:
        known = {
            "shop.example": ["93.184.216.34"],
            "a.inside.example": ["93.184.216.34", "2001:db8::5"],
            "in10.example": ["10.1.2.3"],
            "out11.example": ["11.0.0.1"],
            "mixed.example": ["10.0.0.1", "11.0.0.1"],
            "rebound.example": ["10.0.0.1"] if self.asked % 2 else ["11.0.0.1"],
            "mapped.example": ["::ffff:10.0.0.1"],
            "any.example": ["0.0.0.0"],
            "localhost.localdomain": ["127.0.0.1"],
        }
        if name in known:
            return known[name]
        if name == "localhost" or name.endswith(".localhost"):
            return ["127.0.0.1", "::1"]
        try:
            return [socket.inet_ntoa(socket.inet_aton(name))]
        except (OSError, UnicodeError, ValueError):
            pass
        if name == "nobody.example":
            raise OSError("Name or service not known")
        return ["93.184.216.34"]


def canonical(host: str) -> str:
    """Return a host as a resolver understands it."""
    return host.lower().rstrip(".")


# ---------------------------------------------------------------------- the oracle


def inside(text: str, resolver: Resolver, allowed: Sequence[str]) -> tuple[set[str], int] | None:
    """Return the addresses behind a URL and its port if it is inside; None if it is not, or no plain URL at all."""
    if not text.isprintable() or not text.isascii() or "#" in text:
        return None
    try:
        found = Url(text)
    except ValidationError:
        return None
    host, port = found.host, found.port
    if found.scheme not in {"http", "https"} or found.username or found.password or not host or not port:
        return None
    literal = host.startswith("[") or host.replace(".", "").isdigit()
    try:
        numbers = [number(one) for one in ([host.strip("[]")] if literal else resolver.again(host))]
    except OSError:
        return None
    name = canonical(host)
    if not literal and any(fits(name, one) for one in allowed):
        ok = all(value != 0 for _, value in numbers)
    elif not literal and (name == "localhost" or name.endswith(".localhost")):
        ok = all(map(loopback, numbers))
    else:
        ok = all(in_network(one, allowed) or (literal and loopback(one)) for one in numbers)
    return ({plain(one) for one in numbers}, port) if ok else None


def number(address: str) -> tuple[int, int]:
    """Return the version of an address and its number; one that is mapped into IPv6 is IPv4."""
    if ":" not in address:
        return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, address))
    value = int.from_bytes(socket.inet_pton(socket.AF_INET6, address))
    return (4, value & 0xFFFF_FFFF) if value >> 32 == 0xFFFF else (6, value)


def plain(address: tuple[int, int]) -> str:
    """Return an address as text, in its one plain form."""
    version, value = address
    if version == 4:
        return socket.inet_ntop(socket.AF_INET, value.to_bytes(4))
    return socket.inet_ntop(socket.AF_INET6, value.to_bytes(16))


def loopback(address: tuple[int, int]) -> bool:
    version, value = address
    return value >> 24 == 127 if version == 4 else value == 1


def in_network(address: tuple[int, int], allowed: Sequence[str]) -> bool:
    version, value = address
    return (version == 4 and value >> 24 == 10 and "10.0.0.0/8" in allowed) or (
        version == 6 and value >> 120 == 0xFD and "fd00::/8" in allowed
    )


def fits(name: str, entry: str) -> bool:
    return name.endswith(entry[1:]) if entry.startswith("*") else name == entry


# ---------------------------------------------------------------------- the tests


def through_guard(text: str, guard: Guard) -> Address:
    """Go the way of a fault that somebody else has written."""
    return guard.allow(text)


def through_spec(text: str, guard: Guard) -> Address:
    """Go the way of a load."""
    return guard.allow(LoadTarget(service_url=text).service_url)


@pytest.mark.parametrize("door", [through_guard, through_spec])
@pytest.mark.parametrize(
    "allowed",
    [(), ALLOWED_NAMES, ALLOWED_NETWORKS, (*ALLOWED_NAMES, *ALLOWED_NETWORKS)],
    ids=["nothing", "names", "networks", "both"],
)
def test_nothing_is_let_through_wrongly(
    door: Callable[[str, Guard], Address], allowed: tuple[str, ...]
) -> None:
    dice = random.Random(f"{door.__name__} {allowed}")
    wrong: list[tuple[str, Address]] = []
    counts: Counter[str] = Counter()
    for _ in range(COUNT):
        text, resolver = url(dice), Resolver()
        try:
            address = door(text, Guard(allowed, resolver=resolver))
        except (TargetRefused, ValidationError):
            counts["refused"] += 1
            continue
        counts["let through"] += 1
        assert resolver.asked <= 1, f"{text!r} was resolved twice"
        right = inside(text, resolver, allowed)
        if right is None or address.ip not in right[0] or address.port != right[1]:
            wrong.append((text, address))
    assert wrong == []
    # It is a guard and no wall, and has had enough to do.
    assert min(counts["let through"], counts["refused"]) > COUNT / 25, counts


@pytest.mark.parametrize(
    ("text", "allowed", "right"),
    [
        ("http://127.0.0.1:81/", (), ({"127.0.0.1"}, 81)),
        ("http://0x7f.1/", (), ({"127.0.0.1"}, 80)),
        ("https://[::ffff:127.0.0.1]/", (), ({"127.0.0.1"}, 443)),
        ("http://LOCALHOST./", (), ({"127.0.0.1", "::1"}, 80)),
        ("http://evil.example\\.localhost/", (), None),
        ("http://me@127.0.0.1/", (), None),
        ("http://127.0.0.1/#", (), None),
        ("http://10.0.0.1/", (), None),
        ("http://10.0.0.1/", ALLOWED_NETWORKS, ({"10.0.0.1"}, 80)),
        ("http://in10.example/", ALLOWED_NETWORKS, ({"10.1.2.3"}, 80)),
        ("http://mixed.example/", ALLOWED_NETWORKS, None),
        ("http://shop.example/", ALLOWED_NAMES, ({"93.184.216.34"}, 80)),
        ("http://inside.example/", ALLOWED_NAMES, None),
        ("http://any.example/", ("any.example",), None),
        ("http://127.0.0.1:0/", (), None),
        ("http://0.0.0.0/", ALLOWED_NETWORKS, None),
    ],
)
def test_the_oracle_knows_its_trade(
    text: str, allowed: tuple[str, ...], right: tuple[set[str], int] | None
) -> None:
    assert inside(text, Resolver(), allowed) == right
