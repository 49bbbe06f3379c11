"""The guard: what is inside, what is outside, and that a name cannot smuggle an address in."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.context import Address, RunContext
from pytest_chaos.engine.guard import Guard, Resolver
from pytest_chaos.engine.processes import Processes
from pytest_chaos.engine.run import NotStarted, Run, Wait
from pytest_chaos.engine.verdict import Body
from pytest_chaos.errors import TargetRefused
from pytest_chaos.faults.generate_load import GenerateLoadFault, LoadTarget
from pytest_chaos.milestones import Milestones
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.schema import validate_spec
from pytest_chaos.settings import Settings
from tests.support.specs import load_spec


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
        ("http://localhost.:81/", Address("localhost.", 81, "127.0.0.1")),
        ("http://xn--mnchen-3ya.localhost/", Address("xn--mnchen-3ya.localhost", 80, "::1")),
        ("http://[::FFFF:7f00:1]/", Address("::ffff:7f00:1", 80, "127.0.0.1")),
        ("http://127.0.0.1/@evil.example", Address("127.0.0.1", 80, "127.0.0.1")),
        ("http://127.0.0.1?@evil.example", Address("127.0.0.1", 80, "127.0.0.1")),
    ],
)
def test_loopback_is_inside(url: str, address: Address) -> None:
    guard = Guard(
        resolver=resolving(
            localhost=["::1", "127.0.0.1"], **{"shop.localhost": ["::1"], "xn--mnchen-3ya.localhost": ["::1"]}
        )
    )
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
        "http://127.0.0.1./",
        "http://017700000001/",
        "http://0x7F.1/",
        "http://0/",
        "http://10.1/",
        # Addresses that hold one of loopback, and are none:
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[::ffff:0:127.0.0.1]/",
        # Names that hold localhost, and are none:
        "http://localhost-evil.example/",
        "http://localhost.localdomain/",
        "http://localhosts/",
        "http://xn--ocalhost-3jb/",
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
        # Where parsers do not agree on the host:
        "http://evil.example\\.localhost/",
        "http://127.0.0.1\\@evil.example/",
        "http:\\\\127.0.0.1/",
        "http:/127.0.0.1/",
        "http:127.0.0.1/",
        "http:///127.0.0.1/",
        "http://evil.example[::1]/",
        "http://[::1].evil.example/",
        "http://[::1]evil.example/",
        "http://[127.0.0.1]/",
        "http://[v1.localhost]/",
        "http://[localhost]/",
        "http://::1/",
        "http://127.0.0.1:80:81/",
        "http://127.0.0.1:+80/",
        "http://127.0.0.1:-1/",
        "http://127.0.0.1:8_0/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:\u0668\u0660/",
        "http://127.0.0.1 .evil.example/",
        "http://evil.example%2F.localhost/",
        "http://evil.example%00.localhost/",
        "http://%6cocalhost/",
        "http://127%2e0.0.1/",
        # Zones:
        "http://[::1%lo]/",
        "http://[::1%25lo]/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.1%25lo]/",
        # Control characters, white space, fragments:
        "http://127.0.0.1/\r\nHost: evil.example",
        "http://127.0.0.1\r\n/",
        "http://127.0.0.1/\x00",
        "http://127.0.0.1/\x7f",
        "http://local\thost/",
        " http://127.0.0.1/",
        "\x00http://127.0.0.1/",
        "http://127.0.0.1/\n",
        "http://127.0.0.1/ a",
        "http://127.0.0.1/#fragment",
        "http://127.0.0.1#@evil.example/",
        # Letters, digits and dots that only look like it, and names that are not in ASCII:
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
        "http://\uff4cocalhost/",
        "http://localho\u017ft/",
        "http://\u212aelvin.localhost/",
        "http\u017f://127.0.0.1/",
        "http://loca\u00adlhost/",
        "http://evil.example\u3002localhost/",
        "http://m\u00fcnchen.localhost/",
        "http://127.0.0.1/\u00e4",
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    """Whatever is allowed, and whatever the name resolves to."""
    guard = Guard(("*", "0.0.0.0/0", "::/0"), resolver=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(TargetRefused):
        guard.allow(url)


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
        (["10.0.0.0/8"], "http://near.example/"),  # a name is loopback only if it is localhost
        (["shop.example"], "http://10.1.2.3/"),  # the name is allowed, not whatever it happens to resolve to
        (["0.0.0.0/0"], "http://0.0.0.0/"),
        (["*"], "http://0.0.0.0/"),
        (["0.0.0.0", "0.0.0.0/8"], "http://0.0.0.0/"),
        (["::/0"], "http://[::]/"),
        (["224.0.0.0/4"], "http://224.0.0.1/"),
    ],
)
def test_what_the_settings_do_not_name_stays_outside(allowed: list[str], url: str) -> None:
    resolver = resolving(far_example=["11.0.0.1"], example=["10.0.0.1"], near_example=["127.0.0.1"])
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


# ---------------------------------------------------------------------- the address that was checked is the one in use


class Listener(ThreadingHTTPServer):
    """A server on any address of loopback that counts connections, and notes the requests that it answers.

    Attributes:
        location: where its answers redirect to, if they do.
        hosts: what the requests said that they were for.
    """

    daemon_threads = True
    request_queue_size = 256
    location: str | None = None

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Answering)
        self.connections = 0
        self.hosts: list[str | None] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        self.send_response(302 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


@contextmanager
def listening(address: str = "127.0.0.1", port: int = 0) -> Iterator[Listener]:
    with Listener(address, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def target() -> Generator[Listener, None, None]:
    with listening() as server:
        yield server


@pytest.fixture
def other() -> Generator[Listener, None, None]:
    with listening() as server:
        yield server


def put_under_load(url: str, guard: Guard) -> ChaosResult:
    """Let a real fortio send a few requests."""
    processes = Processes()
    fault = GenerateLoadFault(target=LoadTarget(service_url=url, qps=50, duration="200ms", concurrency=2))
    try:
        return fault.inject(RunContext("a test", spawn=processes.spawn, allow=guard.allow))
    finally:
        processes.end_all()


def test_fortio_goes_to_the_address_that_was_checked_whatever_the_name_means_by_then(
    target: Listener,
) -> None:
    """The name is resolved once. fortio, which would ask the system, hears another answer than the guard."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    guard = Guard(resolver=lambda _host, _port: answers.pop(0))
    try:
        with listening("127.0.0.2", target.server_port) as checked:
            assert put_under_load(f"http://localhost:{target.server_port}/", guard).success
            assert len(checked.hosts) > 5
            assert set(checked.hosts) == {f"localhost:{target.server_port}"}
    except OSError:
        pytest.skip("127.0.0.2 is no address of this system")
    assert target.connections == 0
    assert answers == [["127.0.0.1"]]


def test_a_name_that_is_rebound_to_the_outside_is_not_touched(target: Listener) -> None:
    """It was inside when everything was prepared, and is no longer when the load begins."""
    answers = [["127.0.0.1"], ["127.0.0.1", "93.184.216.34"]]
    spec = validate_spec(load_spec(f"http://localhost:{target.server_port}/"))
    run = Run(
        [spec],
        authored=[spec],
        wait=Wait.active,
        task_id="a test",
        settings=Settings(),
        guard=Guard(resolver=lambda _host, _port: answers.pop(0)),
        checks={},
        milestones=Milestones(),
        origin=time.monotonic(),
    )
    run.prepare()
    with pytest.raises(NotStarted):
        run.begin()
    (outcome,) = run.end(Body.not_run)
    assert "resolves to 93.184.216.34, which is outside" in outcome.reason
    assert target.connections == 0


def test_fortio_goes_to_an_address_of_ipv6(target: Listener) -> None:
    """Which it would not choose by itself."""
    try:
        with listening("::1", target.server_port) as checked:
            guard = Guard(resolver=lambda _host, _port: ["::1"])
            assert put_under_load(f"http://localhost:{target.server_port}/", guard).success
            assert len(checked.hosts) > 5
    except OSError:
        pytest.skip("this system has no IPv6")
    assert target.connections == 0


def test_redirects_are_answers_and_not_followed(target: Listener, other: Listener) -> None:
    target.location = f"http://127.0.0.1:{other.server_port}/"
    result = put_under_load(f"http://127.0.0.1:{target.server_port}/", Guard())
    assert result.success
    assert result.details["responses"] == {"302": result.details["requests"]}
    assert other.connections == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
def test_no_proxy_is_used(
    target: Listener, other: Listener, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The host is none of loopback's names: for these Go uses no proxy anyway."""
    for unwanted in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(unwanted, raising=False)
    monkeypatch.setenv(name, f"http://127.0.0.1:{other.server_port}")
    guard = Guard(("shop.example",), resolver=resolving(shop_example=["127.0.0.1"]))
    assert put_under_load(f"http://shop.example:{target.server_port}/", guard).success
    assert other.connections == 0
    assert len(target.hosts) > 5
