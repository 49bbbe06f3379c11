"""The guard: what is inside, what is outside, and that a name cannot smuggle an address in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.context import Address
from pytest_chaos.engine.guard import Guard, Resolver
from pytest_chaos.errors import TargetRefused


def resolving(**names: Sequence[str]) -> Resolver:
    """Return a resolver that knows ``names`` (``_`` stands for a dot) and nothing else."""
    known = {name.replace("_", "."): addresses for name, addresses in names.items()}

    def resolve(host: str, port: int) -> Sequence[str]:
        if host.rstrip(".") not in known:
            raise OSError("Name or service not known")
        return known[host.rstrip(".")]

    return resolve


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080/path", Address("127.0.0.1", 8080, "127.0.0.1")),
        ("http://127.0.0.1", Address("127.0.0.1", 80, "127.0.0.1")),
        ("https://127.0.0.1/?q", Address("127.0.0.1", 443, "127.0.0.1")),
        ("http://127.255.255.254:1/", Address("127.255.255.254", 1, "127.255.255.254")),
        ("http://[::1]:8080/", Address("::1", 8080, "::1")),
        ("http://[0:0:0:0:0:0:0:1]:80/", Address("0:0:0:0:0:0:0:1", 80, "::1")),
        ("http://[::ffff:127.0.0.1]:80/", Address("::ffff:127.0.0.1", 80, "127.0.0.1")),
        ("http://localhost:81/", Address("localhost", 81, "127.0.0.1")),
        ("http://LocalHost:81/", Address("localhost", 81, "127.0.0.1")),
        ("http://shop.localhost:81/", Address("shop.localhost", 81, "::1")),
    ],
)
def test_loopback_is_inside(url: str, address: Address) -> None:
    guard = Guard(resolver=resolving(localhost=["::1", "127.0.0.1"], shop_localhost=["::1"]))
    assert guard.allow(url) == address
    assert guard.check(url) == (address.host, address.port)


@pytest.mark.parametrize(
    "url",
    [
        "http://0.0.0.0:8080/",
        "http://[::]:8080/",
        "http://[::ffff:0.0.0.0]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "http://[fe80::1]/",
        "http://224.0.0.1/",
        "http://128.0.0.1/",
        "http://126.255.255.255/",
        "http://example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1.nip.io/",
        "http://notlocalhost/",
        # Spellings that a resolver would read as an address:
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://10.1/",
    ],
)
def test_everything_else_is_outside(url: str) -> None:
    guard = Guard(resolver=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(TargetRefused):
        guard.check(url)
    with pytest.raises(TargetRefused):
        guard.allow(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1:8080",
        "//127.0.0.1/",
        "http:///path",
        "http://user:secret@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:http/",
        "http://[::1/",
        "",
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        Guard(allowed=("*", "0.0.0.0/0", "::/0")).allow(url)


def test_the_refusal_names_the_setting_that_would_allow_it() -> None:
    with pytest.raises(TargetRefused, match=r"10\.0\.0\.1 is outside.*chaos_allowed_targets"):
        Guard().allow("http://10.0.0.1/")
    with pytest.raises(
        TargetRefused, match=r"'shop\.example' is neither localhost nor allowed.*chaos_allowed_targets"
    ):
        Guard().allow("http://shop.example/")


@pytest.mark.parametrize(
    ("allowed", "url", "ip"),
    [
        (["shop.example"], "http://shop.example/", "10.1.2.3"),
        (["SHOP.example."], "http://Shop.Example./", "10.1.2.3"),
        (["*.example"], "http://shop.example/", "10.1.2.3"),
        (["10.0.0.0/8"], "http://shop.example/", "10.1.2.3"),
        (["10.0.0.0/8"], "http://10.9.9.9/", "10.9.9.9"),
        (["10.1.2.3"], "http://10.1.2.3/", "10.1.2.3"),
        (["10.1.2.9/24"], "http://10.1.2.3/", "10.1.2.3"),
        (["fd00::/8"], "http://[fd00::5]/", "fd00::5"),
        (["10.0.0.0/8"], "http://[::ffff:10.1.1.1]/", "10.1.1.1"),
    ],
)
def test_what_the_settings_name_is_inside(allowed: list[str], url: str, ip: str) -> None:
    guard = Guard(allowed=tuple(allowed), resolver=resolving(shop_example=["10.1.2.3"]))
    assert guard.allow(url).ip == ip


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        (["*.example"], "http://example/"),
        (["*.example"], "http://shop.example.org/"),
        (["shop.example"], "http://myshop.example/"),
        (["10.0.0.0/8"], "http://11.0.0.1/"),
        (["10.0.0.0/8"], "http://far.example/"),
        (["shop.example"], "http://10.1.2.3/"),  # the name is allowed, not whatever it happens to resolve to
        (["0.0.0.0/0"], "http://0.0.0.0/"),
        (["*"], "http://0.0.0.0/"),
        (["0.0.0.0", "0.0.0.0/8"], "http://0.0.0.0/"),
        (["::/0"], "http://[::]/"),
        (["224.0.0.0/4"], "http://224.0.0.1/"),
    ],
)
def test_what_the_settings_do_not_name_stays_outside(allowed: list[str], url: str) -> None:
    resolver = resolving(far_example=["11.0.0.1"], example=["10.0.0.1"])
    with pytest.raises(TargetRefused):
        Guard(allowed=tuple(allowed), resolver=resolver).allow(url)


@pytest.mark.parametrize(
    ("allowed", "host", "addresses"),
    [
        ([], "localhost", ["127.0.0.1", "10.0.0.1"]),
        ([], "localhost", ["93.184.216.34"]),
        (["10.0.0.0/8"], "localhost", ["10.0.0.1"]),  # not what anybody means by it
        ([], "shop.localhost", ["10.0.0.1"]),
        (["10.0.0.0/8"], "shop.example", ["10.0.0.1", "93.184.216.34"]),
        (["shop.example"], "shop.example", ["0.0.0.0"]),
        (["shop.example"], "shop.example", ["224.0.0.1"]),
        (["shop.example"], "shop.example", ["::ffff:0.0.0.0"]),
        (["shop.example"], "shop.example", []),
        (["shop.example"], "shop.example", ["no address at all"]),
    ],
)
def test_a_name_is_judged_by_every_address_it_resolves_to(
    allowed: list[str], host: str, addresses: list[str]
) -> None:
    guard = Guard(allowed=tuple(allowed), resolver=lambda _host, _port: addresses)
    with pytest.raises(TargetRefused):
        guard.allow(f"http://{host}/")


def test_a_name_that_cannot_be_resolved_is_refused() -> None:
    guard = Guard(allowed=("*",), resolver=resolving())
    with pytest.raises(
        TargetRefused, match=r"'gone\.example' .* cannot be resolved: Name or service not known"
    ):
        guard.allow("http://gone.example/")


def test_a_name_that_no_resolver_can_take_is_refused() -> None:
    """The resolver is the real one: a label over 63 characters is no question that it would send."""
    with pytest.raises(TargetRefused, match="cannot be resolved"):
        Guard(allowed=("*",)).allow(f"http://{'a' * 70}.example/")


def test_checking_alone_resolves_nothing() -> None:
    def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"{host} was resolved")

    guard = Guard(allowed=("shop.example", "10.0.0.0/8"), resolver=never)
    assert guard.check("http://shop.example/") == ("shop.example", 80)
    assert guard.check("https://elsewhere.example:8443/") == (
        "elsewhere.example",
        8443,
    )  # a network might hold it
    assert guard.check("http://localhost/") == ("localhost", 80)


@given(st.ip_addresses())
def test_without_settings_exactly_loopback_is_inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    mapped = getattr(address, "ipv4_mapped", None) or address
    try:
        allowed = Guard().allow(f"http://{host}:8080/")
    except TargetRefused:
        assert not mapped.is_loopback
    else:
        assert ipaddress.ip_address(allowed.ip).is_loopback


@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=4))
def test_the_address_to_use_is_one_that_was_checked(addresses: list[str]) -> None:
    guard = Guard(allowed=("0.0.0.0/1", "::/1"), resolver=lambda _host, _port: addresses)
    try:
        chosen = ipaddress.ip_address(guard.allow("http://shop.example/").ip)
    except TargetRefused:
        return
    resolved = {getattr(one, "ipv4_mapped", None) or one for one in map(ipaddress.ip_address, addresses)}
    assert chosen in resolved
    inside = (ipaddress.ip_network("0.0.0.0/1"), ipaddress.ip_network("::/1"))
    assert all(one.is_loopback or any(one in network for network in inside) for one in resolved)
