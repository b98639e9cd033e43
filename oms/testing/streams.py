"""Clients of streams for tests: of event streams, read by a thread, and of WebSockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
from websockets import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

_SECONDS = 20.0


class StreamRefused(Exception):
    """The server has not opened the stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.status: int = response.status_code
        self.code: str = response.json()["code"]
        self.headers = response.headers
        super().__init__(f"{self.status} {self.code}")


class StreamedEvent(NamedTuple):
    """One event of a stream, as a client sees it."""

    id: str
    event: str
    data: dict[str, Any]


class StreamClient:
    """What a stream has sent; made by `streamed`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.retries: list[int] = []
        self.comments = 0
        self.opened_at = ""
        self._events: Queue[StreamedEvent | None] = Queue()
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._parsed(self.response.iter_lines()):
                self._events.put(event)
        except (httpx.TransportError, httpx.StreamError):
            pass
        finally:
            self._events.put(None)

    def _parsed(self, lines: Iterator[str]) -> Iterator[StreamedEvent]:
        id, fields = "", dict[str, str]()
        for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if fields:
                    assert "data" in fields, "some clients take it for an event"
                    yield StreamedEvent(id, fields["event"], json.loads(fields["data"]))
                fields = {}
            elif name == "id":
                id = value
            elif name == "retry":
                self.retries.append(int(value))
            elif not name:
                self.comments += 1
            else:
                fields[name] = value

    def cut(self) -> None:
        """Close the connection; while a thread reads from it, `close` alone would not."""
        wire = self.response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def next(self, *, seconds: float = _SECONDS) -> StreamedEvent:
        """The next event. Raises AssertionError if none comes, or the stream has ended."""
        try:
            event = self._events.get(timeout=seconds)
        except Empty:
            raise AssertionError("No event came.") from None
        assert event is not None, "the stream has ended"
        return event

    def until(self, kind: str) -> list[StreamedEvent]:
        """The next events up to one of that kind."""
        found = [self.next()]
        while found[-1].event != kind:
            found.append(self.next())
        return found

    def rest(self, *, seconds: float = _SECONDS) -> list[StreamedEvent]:
        """The events up to the end, which must come."""
        found: list[StreamedEvent] = []
        while True:
            try:
                event = self._events.get(timeout=seconds)
            except Empty:
                raise AssertionError("The stream does not end.") from None
            if event is None:
                return found
            found.append(event)

    def is_silent(self, *, seconds: float = 1.0) -> bool:
        """Whether nothing comes for so long, though the stream is open."""
        try:
            self._events.get(timeout=seconds)
        except Empty:
            return True
        return False


@contextmanager
def streamed(
    url: str,
    topics: str,
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> Iterator[StreamClient]:
    """A stream of the server at `url`, after its first event. Raises StreamRefused."""
    sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    address = f"{url}/api/v1/stream?{urlencode({'topics': topics, **query})}"
    with (
        httpx.Client(timeout=httpx.Timeout(10, read=60)) as client,
        client.stream("GET", address, headers=sent) as response,
    ):
        if response.status_code != 200:
            response.read()
            raise StreamRefused(response)
        stream = StreamClient(response)
        opened = stream.next()
        assert (opened.event, opened.data) == ("stream.opened", {})
        stream.opened_at = opened.id
        try:
            yield stream
        finally:
            stream.cut()


class WebSocketClient:
    """An open WebSocket; made by `web_socket`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def receive(self, *, seconds: float = _SECONDS) -> dict[str, Any]:
        """The next message. Raises TimeoutError, and ConnectionClosed."""
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=seconds))
        return message

    def ask(self, **message: Any) -> dict[str, Any]:
        """The answer to a message, or whatever comes first."""
        with suppress(ConnectionClosed):  # what was received before can still be read
            self.connection.send(json.dumps(message))
        return self.receive()

    def close_code(self) -> int | None:
        """With which code the server closes it, after any messages."""
        try:
            while True:
                self.receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None

    def is_silent(self, *, seconds: float = 1.0) -> bool:
        """Whether nothing comes for so long, though it is open."""
        try:
            self.receive(seconds=seconds)
        except TimeoutError:
            return True
        return False


@contextmanager
def web_socket(
    url: str, *, token: str = "", query: str = "", headers: Mapping[str, str] | None = None
) -> Iterator[WebSocketClient]:
    """A WebSocket of the server at `url`."""
    sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    address = f"{url.replace('http', 'ws', 1)}/api/v1/ws{query}"
    with connect(address, additional_headers=sent, proxy=None) as connection:
        yield WebSocketClient(connection)
