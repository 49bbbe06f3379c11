"""A small shop, the service under test of the examples. It starts in the test process, on a free loopback port."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Shop(ThreadingHTTPServer):
    """Serve ``/browse``, ``/checkout`` and ``/voucher``; count what was asked and what was sold."""

    # fortio opens all its connections at once; the default backlog of 5 would make them wait for seconds.
    request_queue_size = 256
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.orders = 0
        self.stock = 1_000_000
        self.lock = threading.Lock()
        self._second = 0
        self._vouchers = 0

    @property
    def url(self) -> str:
        """Where the shop answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def order(self) -> None:
        """Sell one piece."""
        with self.lock:
            self.orders += 1
            self.stock -= 1

    def may_use_voucher(self) -> bool:
        """Limit vouchers to 50 a second - for all customers together, which is the flaw the examples find."""
        with self.lock:
            if int(time.monotonic()) != self._second:
                self._second, self._vouchers = int(time.monotonic()), 0
            self._vouchers += 1
            return self._vouchers <= 50


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Shop

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        if self.path == "/checkout":
            self.server.order()
        allowed = self.path != "/voucher" or self.server.may_use_voucher()
        body = json.dumps({"path": self.path, "ok": allowed}).encode()
        self.send_response(200 if allowed else 429)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep quiet: what fortio measured stands in the report."""
