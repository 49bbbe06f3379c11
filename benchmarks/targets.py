"""What is put under load: fortio's own echo server, and a server that notes when each request arrived."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.sessions import MeasuringFailed
from pytest_chaos.fortio.locate import locate

_LISTENS: Final = re.compile(r"http-echo server listening on tcp (127\.0\.0\.1:\d+)")
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def echo_server() -> Iterator[str]:
    """Run fortio's echo server on a free loopback port, everything else of it switched off; yield its URL."""
    disabled = [word for port in ("tcp", "udp", "grpc", "redirect") for word in (f"-{port}-port", "disabled")]
    server = subprocess.Popen(
        [
            *(str(locate().path), "server", "-http-port", "127.0.0.1:0", *disabled),
            *("-ui-path", "", "-echo-debug-path", ""),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    try:
        for line in server.stderr:
            if found := _LISTENS.search(line):
                break
        else:
            raise MeasuringFailed("fortio's echo server did not start")
        threading.Thread(target=server.stderr.read, daemon=True).start()
        yield f"http://{found[1]}/"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


class CountingServer(asyncio.Protocol):
    """Answer every request at once, and note when it arrived on the clock of ``time.monotonic()``."""

    def __init__(self, arrivals: list[float]) -> None:
        self._arrivals = arrivals
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        requests = data.count(b"\r\n\r\n")
        self._arrivals.extend([time.monotonic()] * requests)
        self._transport.write(_ANSWER * requests)


@contextmanager
def counting_server() -> Iterator[tuple[str, list[float]]]:
    """Run a server in a thread; yield its URL, and the list that it puts the moments of arrival in."""
    arrivals: list[float] = []
    loop = asyncio.new_event_loop()
    listening = loop.create_server(lambda: CountingServer(arrivals), "127.0.0.1", 0, backlog=1024)
    server = loop.run_until_complete(listening)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", arrivals
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        loop.close()
