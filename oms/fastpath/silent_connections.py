"""Closes connections on which nothing has ever arrived.

Granian begins to count time with the first byte. Without this, clients that only connect would hold
its connections for as long as they like.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SECONDS = 10
# In Linux's struct tcp_info: milliseconds since data arrived, or since the connection was made; and
# all bytes that have arrived.
_LAST_DATA = struct.Struct("@52xI")
_BYTES_RECEIVED = struct.Struct("@128xQ")


def close_silent_connections(*, port: int) -> int:
    """Close those of this process; `port` is the server's. Returns how many there were.

    Does nothing on other systems than Linux.
    """
    closed = 0
    for descriptor in _open_descriptors():
        with _connection(descriptor) as connection, suppress(OSError):
            if connection is not None and _is_silent(connection, port=port):
                connection.shutdown(socket.SHUT_RDWR)
                closed += 1
    return closed


def _open_descriptors() -> list[int]:
    if sys.platform != "linux":
        return []
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # none is free for the folder itself
        return []


@contextmanager
def _connection(descriptor: int) -> Iterator[socket.socket | None]:
    """A second reference to the TCP connection of a descriptor, if it is one and still open."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:  # closed meanwhile
        yield None
        return
    try:
        found = socket.socket(fileno=duplicate)
    except OSError:  # a file
        os.close(duplicate)
        yield None
        return
    with found:
        is_tcp = found.family in {socket.AF_INET, socket.AF_INET6}
        yield found if is_tcp and found.type == socket.SOCK_STREAM else None


def _is_silent(connection: socket.socket, *, port: int) -> bool:
    """Raises OSError for the socket that listens, and for a connection that has ended."""
    connection.getpeername()
    if connection.getsockname()[1] != port:
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _BYTES_RECEIVED.size:  # Linux before 4.1
        return False
    [received], [milliseconds] = _BYTES_RECEIVED.unpack_from(info), _LAST_DATA.unpack_from(info)
    return bool(received == 0 and milliseconds > SECONDS * 1_000)
