"""Messages between pytest and its reaper: a length, then marshalled values; descriptors travel beside them.

``marshal`` is at hand in every interpreter without an import, takes bytes as they are, and both ends run
the same interpreter.
"""

from __future__ import annotations

import marshal
import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any

_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def send(to: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send plain values, and copies of ``descriptors``."""
    payload = marshal.dumps(message)
    frame = len(payload).to_bytes(4, "little") + payload
    sent = socket.send_fds(to, [frame], descriptors) if descriptors else 0
    to.sendall(frame[sent:])


def receive(source: socket.socket, descriptors: int = 0) -> tuple[Any, list[int]]:
    """Return the next message, and the descriptors that came with it, at most so many.

    Raises:
        EOFError: the other end is gone.
    """
    received = array("i")
    # Not socket.recv_fds, which drops the flag.
    head, beside, _, _ = source.recvmsg(4, socket.CMSG_SPACE(descriptors * received.itemsize), _CLOSE_ON_EXEC)
    for _, _, packed in beside:
        received.frombytes(packed[: len(packed) - len(packed) % received.itemsize])
    for descriptor in received:  # where the flag is unknown, as on macOS
        os.set_inheritable(descriptor, False)
    if not head:
        raise EOFError
    head += _exactly(source, 4 - len(head))
    payload = _exactly(source, int.from_bytes(head, "little"))
    return marshal.loads(payload), list(received)  # noqa: S302 - from our own other end, over a private pair of sockets


def _exactly(source: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = source.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
