"""Clients that send more than a message may have, which granian keeps until the message ends."""

from __future__ import annotations

import os
import time

import pytest
from websockets.exceptions import ConnectionClosed

from oms.testing.streams import WebSocketClient, web_socket

pytestmark = pytest.mark.django_db(transaction=True)

# More than a message may have, and far less than granian takes.
_TOO_MUCH = 200_000


def send_beginning(socket: WebSocketClient, *, size: int) -> None:
    """The beginning of a message of a megabyte, in one frame."""
    key = os.urandom(4)
    head = bytes([0x81, 0x80 | 127]) + (1 << 20).to_bytes(8) + key
    socket.connection.socket.sendall(head + bytes(size))


def test_the_beginning_of_a_large_message_ends_the_connection(url: str) -> None:
    with web_socket(url) as socket:
        send_beginning(socket, size=_TOO_MUCH)
        with pytest.raises(ConnectionClosed):
            socket.receive()


def test_what_a_message_may_have_is_waited_for(url: str) -> None:
    with web_socket(url) as socket:
        send_beginning(socket, size=4_000)
        assert socket.is_silent(seconds=3)


def test_many_messages_and_pings_are_no_large_one(url: str) -> None:
    """Together they have more bytes than one message may have."""
    with web_socket(url) as socket:
        for _ in range(30):
            assert socket.ask(type="subscribe", topics=["x" * 4_000])["type"] == "error"
            assert socket.connection.ping(bytes(125)).wait(timeout=10)
        time.sleep(3)
        assert socket.ask(type="subscribe", topics=["inventory"])["type"] == "subscribed"
