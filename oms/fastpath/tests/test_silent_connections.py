"""The watch of connections, on sockets of the test's own process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from oms.fastpath import silent_connections
from oms.fastpath.silent_connections import ConnectionWatch

_NUMBER = 6


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_web_sockets_are_looked_at_in_parts(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once in so many looks as there are parts, however many are idle."""
    read: list[int] = []

    def bytes_received(connection: socket.socket) -> int:
        read.append(connection.getpeername()[1])
        return 0

    monkeypatch.setattr(silent_connections, "_MOST_LOOKED_AT", 2)
    monkeypatch.setattr(silent_connections, "_bytes_received", bytes_received)
    port = listening.getsockname()[1]
    watch = ConnectionWatch(port=port)
    with ExitStack() as stack:
        ports = set()
        for _ in range(_NUMBER):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stack.enter_context(listening.accept()[0])
            watch.note_web_socket(client.getsockname())
            ports.add(client.getsockname()[1])
        watch.look()
        read.clear()
        for _ in range(_NUMBER // 2 + 1):
            assert watch.look() is not None

        assert sorted(read) == sorted(ports)


def test_clients_that_acknowledge_nothing_are_given_up_after_ten_seconds(
    listening: socket.socket,
) -> None:
    port = listening.getsockname()[1]
    watch = ConnectionWatch(port=port)

    def timeout(connection: socket.socket) -> int:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    with ExitStack() as stack:
        accepted = []
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            accepted.append(stack.enter_context(listening.accept()[0]))
            watch.look()

        assert [timeout(each) for each in accepted] == [10_000, 10_000]
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert timeout(stack.enter_context(listening.accept()[0])) == 10_000
