"""Clients that send more than a message may have, which granian keeps until the message ends."""

from __future__ import annotations

import json
import os
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

pytestmark = pytest.mark.django_db(transaction=True)

# More than a message may have, and far less than granian takes.
_TOO_MUCH = 200_000


def opened(url: str) -> ClientConnection:
    return connect(f"{url.replace('http', 'ws', 1)}/api/v1/ws", proxy=None)


def send_beginning(socket: ClientConnection, *, size: int) -> None:
    """The beginning of a message of a megabyte, in one frame."""
    key = os.urandom(4)
    head = bytes([0x81, 0x80 | 127]) + (1 << 20).to_bytes(8) + key
    socket.socket.sendall(head + bytes(size))


def test_the_beginning_of_a_large_message_ends_the_connection(url: str) -> None:
    with opened(url) as socket:
        send_beginning(socket, size=_TOO_MUCH)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_what_a_message_may_have_is_waited_for(url: str) -> None:
    with opened(url) as socket:
        send_beginning(socket, size=4_000)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=3)


def test_many_messages_and_pings_are_no_large_one(url: str) -> None:
    """Together they have more bytes than one message may have."""
    with opened(url) as socket:
        for _ in range(30):
            socket.send(json.dumps({"type": "subscribe", "topics": ["x" * 4_000]}))
            assert json.loads(socket.recv(timeout=10))["type"] == "error"
            assert socket.ping(bytes(125)).wait(timeout=10)
        time.sleep(3)
        socket.send(json.dumps({"type": "subscribe", "topics": ["inventory"]}))
        assert json.loads(socket.recv(timeout=10))["type"] == "subscribed"
