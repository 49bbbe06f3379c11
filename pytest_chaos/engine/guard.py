"""The guard: which addresses may be disrupted at all. Loopback, unless the settings say more."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_chaos.context import Address
from pytest_chaos.errors import TargetRefused
from pytest_chaos.scrub import shown
from pytest_chaos.secrecy import bare

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?][!\"$-\[\]-~]*)?",
    re.IGNORECASE | re.ASCII,
)
LOOPBACK: Final = "loopback, allowed"
_FIX: Final = (
    "name it in ini chaos_allowed_targets (hosts, globs or networks, one a line) if it may be disrupted"
)


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of ``host`` as the system resolver gives them. Raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Guard:
    """Decide about targets. ``allowed`` holds host names, globs and networks besides loopback."""

    allowed: tuple[str, ...] = ()
    resolver: Resolver = resolve
    _names: tuple[str, ...] = field(init=False)
    _networks: tuple[Network, ...] = field(init=False)

    def __post_init__(self) -> None:
        names, networks = [], []
        for entry in self.allowed:
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                names.append(entry.lower().rstrip("."))
        object.__setattr__(self, "_names", tuple(names))
        object.__setattr__(self, "_networks", tuple(networks))

    def allow(self, url: str) -> Address:
        """Return the one address that may be used for ``url``; the connection must be pinned to it.

        Raises:
            TargetRefused: it is outside, or its name cannot be resolved.
        """
        host, port = self.check(url)
        if (literal := _literal(host)) is not None:
            return Address(host, port, str(_unmapped(literal)))
        try:
            addresses = [ipaddress.ip_address(ip.partition("%")[0]) for ip in self.resolver(host, port)]
        except (OSError, ValueError, UnicodeError) as error:
            raise TargetRefused(
                f"the host {host!r} of {url} cannot be resolved: {error}; check its spelling"
            ) from None
        if not addresses:
            raise TargetRefused(f"the host {host!r} of {url} has no address")
        for address in addresses:
            if not self._inside_by_name(host, address):
                raise TargetRefused(f"{url}: {host} resolves to {address}, which is outside; {_FIX}")
        # fortio prefers IPv4, and so do most test servers that listen on "localhost".
        first = min(addresses, key=lambda address: _unmapped(address).version)
        return Address(host, port, str(_unmapped(first)))

    def check(self, url: str) -> tuple[str, int]:
        """Return host and port of ``url`` if it may be allowed, as far as that is known without resolving.

        Raises:
            TargetRefused: it is certainly outside.
        """
        host, port = _parsed(url)
        literal = _literal(host)
        if literal is not None:
            if not self._inside(literal):
                raise TargetRefused(f"{url}: {literal} is outside (only loopback is inside); {_FIX}")
        elif _looks_numeric(host):
            raise TargetRefused(
                f"{url}: {host!r} is an unusual spelling of an address; write it as plain IPv4 or IPv6"
            )
        elif not (_is_localhost(host) or self._named(host) or self._networks):
            raise TargetRefused(f"{url}: {host!r} is neither localhost nor allowed; {_FIX}")
        return host, port

    def forecast(self, url: str) -> str:
        """Return in words what ``allow`` will say of ``url``, as far as that is known without resolving.

        Raises:
            TargetRefused: it is certainly outside.
        """
        host, _ = self.check(url)
        literal = _literal(host)
        if _is_localhost(host) or (literal is not None and _unmapped(literal).is_loopback):
            return LOOPBACK
        if literal is not None or self._named(host):
            return "allowed by chaos_allowed_targets"
        return f"depends on what {host} resolves to"

    def _named(self, host: str) -> bool:
        return any(fnmatch.fnmatchcase(host.rstrip("."), name) for name in self._names)

    def _inside(self, address: IP) -> bool:
        return _unmapped(address).is_loopback or self._in_networks(address)

    def _inside_by_name(self, host: str, address: IP) -> bool:
        """A name other than localhost that happens to resolve to loopback is somebody else's to change."""
        if _is_localhost(host):
            return _unmapped(address).is_loopback
        return self._in_networks(address) or (self._named(host) and not _never(address))

    def _in_networks(self, address: IP) -> bool:
        plain = _unmapped(address)
        return not _never(plain) and any(plain in network for network in self._networks)


def one_name(url: str) -> str:
    """Return ``host:port`` of a target in the one spelling that all of its spellings share.

    Raises:
        TargetRefused: it is no usable URL.
    """
    host, port = _parsed(url)
    literal = _literal(host)
    if literal is not None:
        plain = _unmapped(literal)
        host = "localhost" if plain.is_loopback else str(plain)
    elif _is_localhost(host):
        host = "localhost"
    return f"{host.rstrip('.')}:{port}"


def _parsed(url: str) -> tuple[str, int]:
    """Return host and port of a URL that everybody reads alike.

    What is left out of the pattern is what parsers are known to disagree about: white space, control characters and
    backslashes, anything but ASCII, zones, escapes in the host, user information, and fragments, which are never sent.

    Raises:
        TargetRefused: it is none.
    """
    found = _PLAIN_URL.fullmatch(url)
    port = int(found["port"]) if found and found["port"] else None
    bracketed = found is not None and found["host"].startswith("[")
    if (
        found is None
        or (port is not None and not 0 < port < 65_536)
        or (bracketed and not isinstance(_literal(found["host"].strip("[]")), ipaddress.IPv6Address))
    ):
        raise TargetRefused(
            f"{shown(bare(url), 200)} is no usable URL: plain http or https, ASCII only "
            "(a name in another script as punycode), without user information, zone or fragment"
        )
    return found["host"].strip("[]").lower(), port or _PORTS[found["scheme"].lower()]


def _literal(host: str) -> IP | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unmapped(address: IP) -> IP:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _never(address: IP) -> bool:
    """Tell whether no entry can allow it: "any address" reaches services on every interface; multicast is no server."""
    plain = _unmapped(address)
    return plain.is_unspecified or plain.is_multicast


def _is_localhost(host: str) -> bool:
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _looks_numeric(host: str) -> bool:
    """Tell whether a resolver may read ``host`` as an address although it is not written like one (127.1, 0x7f.1)."""
    last = host.rstrip(".").rpartition(".")[2]
    return re.fullmatch(r"\d+|0x[0-9a-f]*", last) is not None
