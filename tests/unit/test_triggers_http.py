"""The ``http`` trigger against servers of every kind: it never hangs, and never goes anywhere but where it may."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_chaos.context import Address, RunContext
from pytest_chaos.errors import Cancelled, FaultFailed, TargetRefused
from pytest_chaos.triggers.http_answer import HttpTrigger
from tests.support.server import Shop

Talk = Callable[[socket.socket, int], None]
"""What a server does with a connection; it is told how many there were before."""

SECRET = "sentinel-of-the-body"


class Server:
    """Take connections on loopback and treat each as ``talk`` says, in a thread of its own."""

    def __init__(self, talk: Talk, *, family: int = socket.AF_INET) -> None:
        self.asked: list[bytes] = []
        self.over = threading.Event()
        self._talk = talk
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/ready?now=1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(1_000_000):
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError):
            self.asked.append(connection.recv(65_536))
            self._talk(connection, number)

    def close(self) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def serve() -> Generator[Callable[..., Server], None, None]:
    """Return a factory of servers."""
    started: list[Server] = []

    def start(talk: Talk, **more: Any) -> Server:
        started.append(Server(talk, **more))
        return started[-1]

    yield start
    for server in started:
        server.close()


def says(text: str) -> Talk:
    return lambda connection, _: connection.sendall(text.encode())


def answer(status: int, body: str = "", head: str = "") -> str:
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body.encode())}\r\n{head}\r\n{body}"


def trigger(url: str, **more: Any) -> HttpTrigger:
    return HttpTrigger.model_validate({"url": url, "every": 0.01, **more})


def context(port: int = 0, host: str = "127.0.0.1", ip: str = "127.0.0.1") -> RunContext:
    """Return a context whose guard sends whoever asks to ``ip`` and ``port``, whatever the URL says."""
    return RunContext("a test", allow=lambda _url: Address(host, port, ip))


def watch(server: Server, ctx: RunContext, *, within_s: float, **more: Any) -> bool:
    return trigger(server.url, **more).watch(ctx, time.monotonic() + within_s)


def test_it_asks_until_the_answer_has_come(serve: Callable[..., Server]) -> None:
    server = serve(lambda connection, number: says(answer(503 if number < 3 else 200))(connection, number))
    ctx = context(server.port)
    assert watch(server, ctx, within_s=20)
    assert len(server.asked) == 4
    assert ctx.seen == "last answer: 503; tries: 3"
    head = server.asked[0].decode().split("\r\n")
    assert head[:2] == ["GET /ready?now=1 HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    assert "Connection: close" in head


def test_it_waits_between_two_tries(serve: Callable[..., Server]) -> None:
    server = serve(says(answer(503)))
    began = time.monotonic()
    assert not watch(server, context(server.port), within_s=0.5, every=0.2)
    assert 0.5 <= time.monotonic() - began < 5
    assert 1 <= len(server.asked) <= 3


@pytest.mark.parametrize(
    ("body", "pattern", "found"),
    [
        ("queue: full", "queue: (full|closed)", True),
        ("queue: empty", "queue: (full|closed)", False),
        ("über", "^ü", True),
        ("x" * 65_535 + "!", "!$", True),
        ("x" * 65_536 + "!", "!", False),
        ("", "^$", True),
        ("\udcff", "queue", False),
    ],
)
def test_the_body_has_to_match_as_well(
    serve: Callable[..., Server], body: str, pattern: str, found: bool
) -> None:
    raw = body.encode("utf-8", "surrogateescape")
    said = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
    server = serve(lambda connection, _: connection.sendall(said))
    ctx = context(server.port)
    assert watch(server, ctx, within_s=20 if found else 0.3, body=pattern) is found
    if not found:
        assert ctx.seen.startswith("last answer: 200, and its body does not match; tries: ")


@pytest.mark.parametrize(("wanted", "found"), [(200, False), (302, True)])
def test_a_redirect_is_an_answer_and_not_followed(
    serve: Callable[..., Server], shop: Shop, wanted: int, found: bool
) -> None:
    server = serve(says(answer(302, head=f"Location: {shop.url}/\r\n")))
    assert watch(server, context(server.port), within_s=20 if found else 0.3, status=wanted) is found
    assert shop.count == 0


def test_no_proxy_is_asked(serve: Callable[..., Server], shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, shop.url)
    server = serve(says(answer(200)))
    assert watch(server, context(server.port), within_s=20)
    assert shop.count == 0


def test_the_address_is_the_guards_and_the_host_is_the_urls(serve: Callable[..., Server]) -> None:
    server = serve(says(answer(200)))
    ctx = context(server.port, host="shop.example")
    assert trigger("http://Shop.Example:81").watch(ctx, time.monotonic() + 20)
    assert server.asked[0].startswith(b"GET / HTTP/1.1\r\nHost: Shop.Example:81\r\n")


def test_what_the_guard_refuses_is_not_asked() -> None:
    def refuse(url: str) -> Address:
        raise TargetRefused(f"not {url}")

    with pytest.raises(TargetRefused, match=r"not http://127\.0\.0\.1:9/"):
        trigger("http://127.0.0.1:9/").watch(RunContext("a", allow=refuse), time.monotonic() + 1)
    assert trigger("http://127.0.0.1:9/").targets() == ["http://127.0.0.1:9/"]


def test_over_ipv6(serve: Callable[..., Server]) -> None:
    try:
        server = serve(says(answer(200)), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no IPv6 here")
    ctx = context(server.port, ip="::1")
    assert trigger(f"http://[::1]:{server.port}/").watch(ctx, time.monotonic() + 20)
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.asked[0]


def test_a_server_that_comes_up_later() -> None:
    with socket.socket() as later:
        later.bind(("127.0.0.1", 0))
        port = later.getsockname()[1]
        ctx = context(port)

        def come_up() -> None:
            later.listen()
            connection, _ = later.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer(200).encode())

        timer = threading.Timer(0.2, come_up)
        timer.start()
        assert trigger(f"http://127.0.0.1:{port}/").watch(ctx, time.monotonic() + 20)
        assert ctx.seen.startswith("no answer: ConnectionRefusedError; tries: ")
        timer.join()


def hangs(connection: socket.socket, _: int) -> None:
    connection.recv(1)


def drips(text: str, *, forever: str = "") -> Talk:
    """Return who says ``text``, and then ``forever`` again and again, a byte at a time."""

    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(text.encode())
        while forever:
            for byte in forever.encode():
                connection.sendall(bytes([byte]))
                time.sleep(0.001)
        connection.recv(1)

    return talk


def floods(text: str, forever: str) -> Talk:
    """Return who says ``text``, and then ``forever`` without an end, as fast as can be."""

    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(text.encode())
        while True:
            connection.sendall(forever.encode() * 1000)

    return talk


STREAM = "HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD = {
    "nothing": hangs,
    "half a status line": drips("HTTP/1.1 20"),
    "dripping headers": drips("HTTP/1.1 200 OK\r\n", forever="x-a: b\r\n"),
    "a header without an end": drips("HTTP/1.1 200 OK\r\nx:", forever=SECRET),
    "go on": drips("", forever="HTTP/1.1 100 Continue\r\n\r\n"),
    "a flood of go on": floods("", "HTTP/1.1 100 Continue\r\n\r\n"),
    "a flood of headers": floods("HTTP/1.1 200 OK\r\n", "x-a: b\r\n"),
    "dripping body": drips(STREAM, forever=SECRET),
    "a flood of a body": floods(STREAM, SECRET),
    "dripping chunks": drips(CHUNKED, forever="1\r\nx\r\n"),
    "dripping size of a chunk": drips(CHUNKED, forever="0"),
    "a flood of chunks": floods(CHUNKED, "5\r\nabcde\r\n"),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_try_is_bounded_in_time(
    serve: Callable[..., Server], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_chaos.triggers.http_answer._TRY_S", 0.2)
    server = serve(BAD[kind])
    ctx, began = context(server.port), time.monotonic()
    assert not watch(server, ctx, within_s=0.5, body="never there")
    assert 0.5 <= time.monotonic() - began < 3
    assert len(server.asked) >= 2, "one try took all the time"
    assert ctx.seen.endswith(f"; tries: {len(server.asked)}") or ctx.seen.endswith(
        f"; tries: {len(server.asked) - 1}"
    )
    assert SECRET[:8] not in ctx.seen


@pytest.mark.parametrize("kind", BAD)
def test_a_stop_is_noticed_at_once(serve: Callable[..., Server], kind: str) -> None:
    server = serve(BAD[kind])
    ctx = context(server.port)
    stopped: list[float] = []

    def stop() -> None:
        stopped.append(time.monotonic())
        ctx.stop.set()

    timer = threading.Timer(0.3, stop)
    timer.start()
    with pytest.raises(Cancelled):
        watch(server, ctx, within_s=30, body="never there")
    assert time.monotonic() - stopped[0] < 0.5
    timer.join()


def test_a_stop_before_the_first_answer(serve: Callable[..., Server]) -> None:
    server = serve(hangs)
    ctx = context(server.port)
    timer = threading.Timer(0.1, ctx.stop.set)
    timer.start()
    with pytest.raises(Cancelled):
        watch(server, ctx, within_s=30)
    assert ctx.seen == "no answer yet"
    timer.join()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("", "RemoteDisconnected"),
        (f"{SECRET}\r\n\r\n", "BadStatusLine"),
        (f"HTTP/1.1 {SECRET}\r\n\r\n", "BadStatusLine"),
        (f"HTTP/1.1 200 OK\r\n{'x: y' * 20_000}\r\n\r\n", "LineTooLong"),
        ("HTTP/1.1 200 OK\r\n" + "x: y\r\n" * 101 + "\r\n", "HTTPException"),
        (f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n", "IncompleteRead"),
        (f"HTTP/7.1 200 {SECRET}\r\n\r\n", "UnknownProtocol"),
    ],
)
def test_what_is_no_answer_is_named_by_its_kind(serve: Callable[..., Server], said: str, error: str) -> None:
    server = serve(says(said))
    ctx = context(server.port)
    assert not watch(server, ctx, within_s=0.3, body="never there")
    assert ctx.seen.startswith(f"no answer: {error}; tries: ")


def test_a_body_that_never_ends_is_searched_as_far_as_it_has_come(serve: Callable[..., Server]) -> None:
    server = serve(drips(STREAM + "data: full\n\n", forever=":"))
    assert watch(server, context(server.port), within_s=20, body="full")


@pytest.mark.parametrize("length", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_the_body_is_not_waited_for_if_nobody_asks_for_it(serve: Callable[..., Server], length: str) -> None:
    server = serve(drips(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n"))
    began = time.monotonic()
    assert watch(server, context(server.port), within_s=20)
    assert time.monotonic() - began < 0.9


def test_a_try_that_had_to_end_with_the_time_says_nothing_of_the_server(serve: Callable[..., Server]) -> None:
    server = serve(
        lambda connection, number: (says(answer(503)) if number == 0 else hangs)(connection, number)
    )
    ctx, began = context(server.port), time.monotonic()
    assert not watch(server, ctx, within_s=0.4)
    assert time.monotonic() - began < 0.9
    assert ctx.seen == "last answer: 503; tries: 1"


@pytest.fixture
def full() -> Generator[int, None, None]:
    """Yield a port of loopback where nobody is let in: who connects neither succeeds nor fails."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_connection_that_does_not_come_about_is_given_up(full: int, stopped: bool) -> None:
    ctx, began = context(full), time.monotonic()
    timer = threading.Timer(0.2, ctx.stop.set if stopped else int)
    timer.start()
    asked = trigger(f"http://127.0.0.1:{full}/")
    if stopped:
        with pytest.raises(Cancelled):
            asked.watch(ctx, began + 20)
        assert time.monotonic() - began < 0.9
    else:
        assert not asked.watch(ctx, began + 1.2)
        assert time.monotonic() - began < 4
        assert ctx.seen == "no answer: TimeoutError; tries: 1"
    timer.join()


def test_a_pattern_that_takes_too_long_is_no_hang(serve: Callable[..., Server]) -> None:
    server = serve(says(answer(200, "a" * 60_000 + "b")))
    with pytest.raises(FaultFailed, match="took longer than"):
        watch(server, context(server.port), within_s=20, body="(?:a|aa)+$")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key and a certificate for shop.example."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=shop.example"
    command += f" -addext subjectAltName=DNS:shop.example -keyout {path} -out {path.with_name('cert.pem')}"
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("cert.pem").read_bytes())
    return path


class Secured:
    """A server of HTTPS that keeps the names it was asked for, and sets ``enough`` when it is asked again."""

    def __init__(self, certificate: Path, said: str, enough: threading.Event) -> None:
        self.names: list[str | None] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._tls.sni_callback = self._greeted
        self._enough = enough
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _greeted(self, _socket: object, name: str | None, _context: object) -> None:
        if self.names:
            self._enough.set()
        self.names.append(name)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with (
                    contextlib.suppress(OSError),
                    self._tls.wrap_socket(connection, server_side=True) as secured,
                ):
                    secured.recv(65_536)
                    secured.sendall(self._said.encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize(
    ("host", "trusted"), [("shop.example", True), ("shop.example", False), ("other.example", True)]
)
def test_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool) -> None:
    """What the system trusts is trusted, and whoever answers at the address must prove to be the host of the URL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate if trusted else "/dev/null"))
    ctx = context(host=host)
    server = Secured(certificate, answer(200, "x" * 50_000 + "full"), ctx.stop)
    ctx.allow = lambda _url: Address(host, server.port, "127.0.0.1")
    asked = trigger(f"https://{host}/", body="full")
    try:
        if trusted and host == "shop.example":
            assert asked.watch(ctx, time.monotonic() + 20)
        else:
            with pytest.raises(Cancelled):
                asked.watch(ctx, time.monotonic() + 20)
            assert ctx.seen.startswith("no answer: SSLCertVerificationError; tries: ")
    finally:
        server.close()
    assert set(server.names) == {host}


def test_a_handshake_without_an_end_is_given_up(serve: Callable[..., Server]) -> None:
    server = serve(hangs)
    ctx, began = context(server.port, host="shop.example"), time.monotonic()
    assert not trigger("https://shop.example/").watch(ctx, time.monotonic() + 1.2)
    assert time.monotonic() - began < 4
    assert ctx.seen == "no answer: TimeoutError; tries: 1"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "when http://127.0.0.1:9/ answers 200"),
        (
            {"status": 503, "body": "full"},
            "when http://127.0.0.1:9/ answers 503 with a body that matches 'full'",
        ),
    ],
)
def test_in_words(more: dict[str, Any], words: str) -> None:
    assert trigger("http://127.0.0.1:9/", **more).in_words() == words
