"""Opening streams as browsers do, with a ticket, and WebSockets as programs do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from oms.streams.web_socket import PATH

_SECONDS = 20.0
SUBSCRIBE = {"type": "subscribe", "topics": ["orders"]}


@contextmanager
def web_socket(
    url: str, *, authorization: str | None = None, path: str = PATH
) -> Iterator[ClientConnection]:
    """The WebSocket of the server at `url`. InvalidStatus if the handshake is refused."""
    headers = None if authorization is None else {"Authorization": authorization}
    address = f"{url.replace('http', 'ws', 1)}{path}"
    with connect(address, additional_headers=headers, proxy=None) as socket:
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    """The next message of the WebSocket."""
    message: dict[str, Any] = json.loads(socket.recv(timeout=_SECONDS))
    return message


def ask(socket: ClientConnection, message: object) -> dict[str, Any]:
    """What the WebSocket answers to the message."""
    socket.send(json.dumps(message))
    return receive(socket)


def close_code(socket: ClientConnection) -> int | None:
    """With which code the server closes the WebSocket."""
    try:
        while True:
            socket.recv(timeout=_SECONDS)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def use_for_events(url: str, ticket: str) -> str:
    """What an event stream says first to who opens it with the ticket, with its headers."""
    address = f"{url}/api/v1/stream?topics=orders&ticket={ticket}"
    with httpx.stream("GET", address, timeout=_SECONDS, trust_env=False) as answer:
        assert answer.status_code == 200
        opened = next(line for line in answer.iter_lines() if line.startswith("event: "))
        assert opened == "event: stream.opened"
        return f"{answer.headers} {opened}"


def use_for_web_socket(url: str, ticket: str) -> str:
    """What the WebSocket answers to who opens it with the ticket and subscribes."""
    with web_socket(url, path=f"{PATH}?ticket={ticket}") as socket:
        answer = ask(socket, SUBSCRIBE)
        assert answer["type"] == "subscribed"
        return str(answer)


def refused_by_web_socket(url: str, ticket: str) -> str:
    """What the WebSocket says to who opens it with a ticket that is none any more."""
    with web_socket(url, path=f"{PATH}?ticket={ticket}") as socket:
        answer = receive(socket)
        assert answer["status"] == 401
        return str(answer)
