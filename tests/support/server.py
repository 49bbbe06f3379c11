"""Shop: a real HTTP server on loopback that counts its requests and can be made to misbehave while it runs."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Hit:
    """One request: when it arrived on the clock of ``time.monotonic()``, and its request line."""

    at: float
    method: str
    path: str


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024  # warm-up opens all connections at once
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    shop: Shop

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about connections that break: breaking them is what these tests do."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        shop = self.server.shop
        with shop.holding(self.connection):
            while shop.serve_one(self.rfile, self.connection):
                pass


class Shop:
    """Answer every request with ``status``, after ``delay_s``; each knob may be turned while requests flow.

    Attributes:
        delay_s: seconds that each answer takes.
        status: the status of each answer.
        hang: hold requests without ever answering.
        hangs_after: hold every request after this many.
        dies_after: become ``dead`` while it serves this request, counted from the first.
        hits: every request, in the order of arrival.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.status = 200
        self.hang = False
        self.dies_after: int | None = None
        self.hangs_after: int | None = None
        self.hits: list[Hit] = []
        self.dead = threading.Event()
        self._arrived = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.shop = self
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="shop", daemon=True
        )
        self._accepting = False
        self.accept()

    @property
    def count(self) -> int:
        """How many requests have arrived."""
        return len(self.hits)

    def wait_for(self, count: int, *, within_s: float = 10.0) -> None:
        """Return once ``count`` requests have arrived."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.hits) >= count, within_s):
                raise AssertionError(
                    f"only {len(self.hits)} of {count} requests arrived within {within_s:g} s"
                )

    def wait_quiet(self, for_s: float = 0.3, *, within_s: float = 10.0) -> None:
        """Return once no request has arrived for ``for_s`` seconds."""
        eventually(
            lambda: not self.hits or time.monotonic() - self.hits[-1].at > for_s,
            "no more requests",
            within_s=within_s,
        )

    def accept(self) -> None:
        """Start to take connections (it does so from the beginning)."""
        if not self._accepting:
            self._accepting = True
            self._thread.start()

    def die(self) -> None:
        """Close the port and break every connection, as a killed process would. It cannot be revived."""
        if self.dead.is_set():
            return
        self.dead.set()
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, for good."""
        self.die()
        self._thread.join(5)

    @contextlib.contextmanager
    def holding(self, connection: socket.socket) -> Any:
        """Keep ``connection`` among those that ``die`` breaks."""
        self._connections.add(connection)
        try:
            yield
        except OSError:
            pass
        finally:
            self._connections.discard(connection)

    def serve_one(self, stream: BufferedIOBase, connection: socket.socket) -> bool:
        """Read one request and answer it; tell whether another may follow."""
        line = stream.readline(65_537)
        words = line.split()
        if len(words) < 2 or self.dead.is_set():
            return False
        length = 0
        while (header := stream.readline(65_537)) not in {b"\r\n", b"\n", b""}:
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)
        with self._arrived:
            self.hits.append(Hit(time.monotonic(), words[0].decode("latin-1"), words[1].decode("latin-1")))
            arrived = len(self.hits)
            self._arrived.notify_all()
        if self.dies_after is not None and arrived >= self.dies_after:
            self.die()
            return False
        if self.hang or (self.hangs_after is not None and arrived > self.hangs_after):
            self.dead.wait()
            return False
        if self.delay_s:
            self.dead.wait(self.delay_s)
        connection.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\n\r\nok" % self.status)
        return not self.dead.is_set()


def unused_port() -> int:
    """Return a port of loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
