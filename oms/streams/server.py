"""Serves the streams of one web process."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from oms.api.handlers import ApiAnswer
from oms.fastpath.middleware import is_accepted
from oms.fastpath.requests import FastPathRequest, Receive, Send
from oms.fastpath.silent_connections import Client
from oms.streams import event_stream, web_socket
from oms.streams.connection import Streams


class StreamServer:
    """Event streams and WebSockets; to be made on the event loop of the process."""

    def __init__(self, *, cut: Callable[[Client], None]) -> None:
        self._streams = Streams(cut=cut)

    def takes_events(self, request: FastPathRequest) -> bool:
        """Whether the request is for an event stream, and one that Django would let through."""
        path = event_stream.PATH
        return request.path == path and request.method == "GET" and is_accepted(request, path=path)

    def takes_web_socket(self, request: FastPathRequest) -> bool:
        """Whether the handshake is for this WebSocket, and one that Django would let through."""
        path = web_socket.PATH
        return request.path == path and is_accepted(request, path=path)

    def serve_events(
        self, request: FastPathRequest, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, ApiAnswer | None]:
        """Answer with a stream until it ends; or return the refusal."""
        return event_stream.serve_events(request, receive, send, streams=self._streams)

    def serve_web_socket(
        self, request: FastPathRequest, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        """Serve the connection until it ends."""
        return web_socket.serve_web_socket(request, receive, send, streams=self._streams)

    def stop(self) -> None:
        """Let all of them end, and open no more."""
        self._streams.stop()

    async def close(self) -> None:
        """End all of them, and their threads."""
        await self._streams.close()
