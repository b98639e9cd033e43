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
        present = set()
        for descriptor in _open_descriptors():
            with _connection(descriptor) as connection, suppress(OSError):
                if connection is None or connection.getsockname()[1] != self._port:
                    continue
                client = _plain(connection.getpeername())  # the socket that listens has none
                present.add(client)
                if client in self._to_cut:
                    self._to_cut.remove(client)
                    connection.shutdown(socket.SHUT_RDWR)
                if client in self._last_request:
                    continue
                now = time.monotonic()
                if now - self._first_seen.setdefault(client, now) > SECONDS:
                    connection.shutdown(socket.SHUT_RDWR)
        return present


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
