"""Ask a URL at one address: bounded in time and size, and given up at once when nobody wants to know any longer."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
from collections.abc import Callable
from functools import cached_property, partial
from threading import Event
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import urlsplit

from pytest_chaos import clocks
from pytest_chaos.context import Address
from pytest_chaos.errors import Cancelled

if TYPE_CHECKING:
    from http.client import HTTPResponse

T = TypeVar("T")

_SLICE_MS: Final = 20


class NoAnswer(Exception):
    """There was no answer of HTTP. The message is the name of what went wrong, nothing that the other side said."""


class Asker:
    """Send the same GET again and again: always to ``address``, past all proxies, following no redirect."""

    def __init__(self, url: str, address: Address, *, stop: Event) -> None:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: pytest-chaos\r\nAccept: */*\r\n"
            "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
        ).encode()
        self._secure = parts.scheme == "https"
        self._address = address
        self._stop = stop

    def ask(self, until: float, *, max_bytes: int) -> tuple[int, bytes]:
        """Return the status and the first bytes of the body: at most ``max_bytes``, and what has come by ``until``.

        Raises:
            NoAnswer: none came, or none by the moment ``until`` of ``clocks.monotonic()``.
            Cancelled: ``stop`` was set first.
        """
        from http.client import HTTPException, HTTPResponse  # noqa: PLC0415 - only who asks has to pay for it

        name = self._address.host if self._secure else None
        try:
            with _Connection(self._address, until=until, stop=self._stop) as connection:
                if name is not None:
                    connection.secure(self._tls, name)
                connection.send(self._request)
                response = HTTPResponse(connection, method="GET")  # type: ignore[arg-type]  # of a socket it wants makefile() only
                response.begin()
                return response.status, _beginning(response, max_bytes)
        except (OSError, HTTPException, ValueError) as error:
            raise NoAnswer(type(error).__name__) from None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _beginning(response: HTTPResponse, max_bytes: int) -> bytes:
    body = bytearray()
    with contextlib.suppress(TimeoutError):
        while len(body) < max_bytes and (more := response.read1(max_bytes - len(body))):
            body += more
    return bytes(body)


class _Connection:
    """A connection of which every single step ends at ``until``, or raises ``Cancelled`` soon after ``stop`` is set."""

    def __init__(self, address: Address, *, until: float, stop: Event) -> None:
        self._until = until
        self._stop = stop
        family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._peer = (address.ip, address.port)

    def __enter__(self) -> Self:
        try:
            with contextlib.suppress(BlockingIOError):
                self._socket.connect(self._peer)
            self._ready(select.POLLOUT)  # had it failed by then, the first step after this one says so
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Speak TLS from here on with what must prove to be ``name``."""
        secured = context.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
        self._socket = secured
        self._do(secured.do_handshake, select.POLLIN)

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        left = memoryview(data)
        while left:
            left = left[self._do(partial(self._socket.send, left), select.POLLOUT) :]

    def receive_into(self, buffer: memoryview) -> int:
        """Receive what is there, at least one byte; 0 at the end."""
        return self._do(partial(self._socket.recv_into, buffer), select.POLLIN)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what is received, as a file."""
        del mode
        return io.BufferedReader(_Received(self))

    def _do(self, step: Callable[[], T], event: int) -> T:
        while True:
            self._check()
            try:
                return step()
            except (BlockingIOError, ssl.SSLWantReadError):
                self._ready(event)
            except ssl.SSLWantWriteError:
                self._ready(select.POLLOUT)

    def _ready(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        while not poll.poll(_SLICE_MS):
            self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("asked to stop while waiting")
        if clocks.monotonic() >= self._until:
            raise TimeoutError


class _Received(io.RawIOBase):
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader hands over nothing else
        return self._connection.receive_into(buffer)
