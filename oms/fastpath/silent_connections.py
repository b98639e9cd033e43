"""Closes connections on which no request arrives.

Granian bounds the headers of a request by the time for which an idle connection is kept, which is
long for the sake of proxies, and does not bound a connection without a byte at all. Without this,
clients that only connect, or send a header byte by byte, would hold its connections.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SECONDS = 10
# Its address and port.
Client = tuple[str, int]


class ConnectionWatch:
    """Closes those of this process on which no request has arrived within ten seconds.

    `port` is the server's. What was asked once may stay idle. Does nothing on other systems than
    Linux.
    """

    def __init__(self, *, port: int) -> None:
        self._port = port
        self._first_seen: dict[Client, float] = {}
        self._last_request: dict[Client, float] = {}
        self._to_cut: set[Client] = set()
        # By the inode of the socket, which takes a microsecond to find, and the client ten.
        self._served: dict[tuple[int, int], Client] = {}

    def cut(self, client: Client) -> None:
        """Close the connection of `client` at the next look: the server would wait for it."""
        self._to_cut.add(_plain(client))

    def note_request(self, client: Client) -> None:
        """A request of `client` has arrived."""
        self._last_request[_plain(client)] = time.monotonic()

    def forget_ended(self, present: set[Client], *, before: float) -> None:
        """Forget the clients that `look` has not found, but for requests after that time."""
        # Their ports may soon be somebody else's.
        self._to_cut &= present
        for known in (self._first_seen, self._last_request):
            for client in [c for c, at in known.items() if c not in present and at < before]:
                del known[client]

    def look(self) -> set[Client]:
        """Close what is silent; the clients that are connected. Calls nothing of the event loop."""
        silent: set[Client] = set()
        served: dict[tuple[int, int], Client] = {}
        for descriptor in _open_descriptors():
            inode = _inode(descriptor)
            known = self._served.get(inode)
            if known is not None and known not in self._to_cut:
                served[inode] = known
                continue
            with _connection(descriptor) as connection, suppress(OSError):
                if connection is None or connection.getsockname()[1] != self._port:
                    continue
                client = _plain(connection.getpeername())  # the socket that listens has none
                if client in self._last_request:
                    served[inode] = client
                    is_to_cut = client in self._to_cut
                    self._to_cut.discard(client)
                else:
                    silent.add(client)
                    now = time.monotonic()
                    is_to_cut = now - self._first_seen.setdefault(client, now) > SECONDS
                if is_to_cut:
                    connection.shutdown(socket.SHUT_RDWR)
        self._served = served
        return silent.union(served.values())


def _plain(client: tuple[str, int | str] | tuple[str, int, int, int]) -> Client:
    """The client with an IPv4 address as such, whichever kind of socket it came through.

    Granian 2.8 gives the port of a request as text, against the ASGI specification.
    """
    return client[0].removeprefix("::ffff:"), int(client[1])


def _open_descriptors() -> list[int]:
    if sys.platform != "linux":
        return []
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # none is free for the folder itself
        return []


def _inode(descriptor: int) -> tuple[int, int]:
    """The device and the number of the open file."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed meanwhile
        return 0, 0
    return status.st_dev, status.st_ino


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
