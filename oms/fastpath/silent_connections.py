"""Closes connections on which no request arrives or no answer is read, and endless messages.

Granian bounds the headers of a request by the time for which an idle connection is kept, which is
long for the sake of proxies, and does not bound a connection without a byte at all. Without this,
clients that only connect, or send a header byte by byte, would hold its connections. So would those
that ask and never read, and those that have vanished with an open stream: the kernel closes both
(TCP_USER_TIMEOUT in tcp(7)), the latter after a quarter of an hour by itself. Of a WebSocket
granian keeps up to 64 MiB in memory until a message ends.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

SECONDS = 10
# So many WebSockets are looked at each time, the others in the next looks: one takes 20 µs.
_MOST_LOOKED_AT = 500
# More than the longest message has that is accepted, of 4,096 characters of up to four bytes, with
# the headers of the handshake.
_MOST_UNREAD = 65_536
# The largest header of a frame, and the largest ping (RFC 6455, 5.2 and 5.5).
_FRAME_BYTES, _PING_BYTES = 14, 131
# Of Linux's tcp_info: u64 tcpi_bytes_received at byte 128.
_TCP_INFO_SIZE, _BYTES_RECEIVED = 136, 128
# Its address and port.
Client = tuple[str, int]


@dataclass(slots=True)
class _WebSocket:
    """A WebSocket since `opened`, and how many bytes the shop has `read` of it.

    None for a connection that had requests before, until it is looked at.
    """

    opened: float
    read: int | None

    def has_unread(self, received: int) -> bool:
        """Whether more than one message may have is waiting for its end, of `received` bytes."""
        if self.read is None:
            self.read = received
        pings = _PING_BYTES * (time.monotonic() - self.opened)  # one a second
        return received > self.read + pings + _MOST_UNREAD


class ConnectionWatch:
    """Closes those of this process on which no request arrives, or no answer is taken, for 10 s.

    `port` is the server's. What was asked once may stay idle. Does nothing on other systems than
    Linux.
    """

    def __init__(self, *, port: int) -> None:
        self._port = port
        self._first_seen: dict[Client, float] = {}
        self._last_request: dict[Client, float] = {}
        self._to_cut: set[Client] = set()
        self._web_sockets: dict[Client, _WebSocket] = {}
        # By the inode of the socket, which takes a microsecond to find, and the client ten.
        self._served: dict[int, Client] = {}
        self._looks = 0

    def cut(self, client: Client) -> None:
        """Close the connection of `client` at the next look: the server would wait for it."""
        self._to_cut.add(_plain(client))

    def note_request(self, client: Client) -> None:
        """A request of `client` has arrived."""
        self._last_request[_plain(client)] = time.monotonic()

    def note_web_socket(self, client: Client) -> None:
        """The handshake of a WebSocket has arrived."""
        plain = _plain(client)
        is_first = plain not in self._last_request
        self.note_request(client)
        self._web_sockets[plain] = _WebSocket(time.monotonic(), 0 if is_first else None)

    def counts(self, client: Client) -> bool:
        """Whether the bytes of the client's WebSocket are counted, which may take a look."""
        web_socket = self._web_sockets.get(_plain(client))
        return web_socket is None or web_socket.read is not None

    def note_message(self, client: Client, *, size: int) -> None:
        """A message of `size` bytes was received from the client's WebSocket."""
        web_socket = self._web_sockets.get(_plain(client))
        if web_socket is not None and web_socket.read is not None:
            web_socket.read += size + _FRAME_BYTES

    def forget_ended(self, present: set[Client], *, before: float) -> None:
        """Forget the clients that `look` has not found, but for requests after that time."""
        # Their ports may soon be somebody else's.
        self._to_cut &= present
        for known in (self._first_seen, self._last_request):
            ended = [c for c, at in known.items() if c not in present and at < before]
            for client in ended:
                del known[client]
                self._web_sockets.pop(client, None)

    def look(self) -> set[Client] | None:
        """Close what is silent; the clients that are connected, None if that can't be seen now.

        Calls nothing of the event loop. One look at a time.
        """
        silent: set[Client] = set()
        served: dict[int, Client] = {}
        descriptors = _open_descriptors()
        if descriptors is None:
            return None
        self._looks += 1
        parts = len(self._web_sockets) // _MOST_LOOKED_AT + 1
        for descriptor in descriptors:
            inode = _inode_of_socket(descriptor)
            if inode is None:
                continue
            known = self._served.get(inode)
            is_due = (inode + self._looks) % parts == 0
            if known is not None and not self._is_to_be_looked_at(known, is_due=is_due):
                served[inode] = known
                continue
            with _connection(descriptor) as connection, suppress(OSError):
                if connection is None or connection.getsockname()[1] != self._port:
                    continue
                # Also of the socket that listens, from which new connections have it (tcp(7)).
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SECONDS * 1_000)
                client = _plain(connection.getpeername())  # the socket that listens has none
                if client in self._last_request:
                    served[inode] = client
                    web_socket = self._web_sockets.get(client)
                    is_to_cut = client in self._to_cut or (
                        web_socket is not None
                        and web_socket.has_unread(_bytes_received(connection))
                    )
                    self._to_cut.discard(client)
                else:
                    silent.add(client)
                    now = time.monotonic()
                    is_to_cut = now - self._first_seen.setdefault(client, now) > SECONDS
                if is_to_cut:
                    connection.shutdown(socket.SHUT_RDWR)
        self._served = served
        return silent.union(served.values())

    def _is_to_be_looked_at(self, client: Client, *, is_due: bool) -> bool:
        web_socket = self._web_sockets.get(client)
        return client in self._to_cut or (
            web_socket is not None and (is_due or web_socket.read is None)
        )


def _plain(client: tuple[str, int | str] | tuple[str, int, int, int]) -> Client:
    """The client with an IPv4 address as such, whichever kind of socket it came through.

    Granian 2.8 gives the port of a request as text, against the ASGI specification.
    """
    return client[0].removeprefix("::ffff:"), int(client[1])


def _bytes_received(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    received: int = struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]
    return received


def _open_descriptors() -> list[int] | None:
    if sys.platform != "linux":
        return None
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # none is free for the folder itself
        return None


def _inode_of_socket(descriptor: int) -> int | None:
    """The number of the open socket; None for anything else."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed meanwhile
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


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
