"""Requests as the server hands them over, and their bodies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.conf import settings

from oms.http.bodies import announced_fault

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


_NO_HEADERS: Mapping[str, str] = {}


class ClientGone(Exception):
    """The client has closed the connection before the end of its request."""


@dataclass(kw_only=True, slots=True)
class FastPathRequest:
    """A request; the names of `headers` are lower case, and `body` is set once it was read.

    `client` are its address and port; `arrived` is on the clock of time.monotonic.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    scheme: str
    client: tuple[str, int]
    arrived: float
    body: bytes = b""

    def forget(self) -> None:
        """Let go of all but the client: an answer may take days."""
        self.headers, self.query, self.body = _NO_HEADERS, b"", b""

    @property
    def remote_address(self) -> str:
        """The address of the other end of the connection."""
        return self.client[0]


def request_of(scope: Scope) -> FastPathRequest:
    """The request of an ASGI scope, which arrives now."""
    return FastPathRequest(
        method=scope.get("method", "GET"),  # a WebSocket has none
        path=scope["path"],
        query=scope["query_string"],
        headers=_headers_of(scope["headers"]),
        scheme=scope["scheme"].replace("ws", "http"),  # a WebSocket begins with a request
        client=scope.get("client") or ("", 0),
        arrived=time.monotonic(),
    )


def _headers_of(given: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
    if len(headers) < len(given):
        # As one list, in their order (RFC 9110, 5.3), so that of two tokens none counts.
        lists: dict[str, list[str]] = {}
        for name, value in given:
            lists.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        headers = {name: ",".join(values) for name, values in lists.items()}
    return headers


async def receive_body(request: FastPathRequest, receive: Receive) -> bytes:
    """The body, read here so that no thread waits for its sender.

    Empty for one that is going to be refused by what its headers say. Raises TimeoutError if it has
    not come within settings.REQUEST_BODY_TIMEOUT, and ClientGone.
    """
    announced = request.headers.get("content-length", "")
    is_chunked = "transfer-encoding" in request.headers
    if not announced or announced_fault(request.path, length=announced, is_chunked=is_chunked):
        return b""
    parts, missing = [], int(announced)
    async with asyncio.timeout(settings.REQUEST_BODY_TIMEOUT):
        while missing > 0:
            message = await receive()
            parts.append(message.get("body", b""))
            missing -= len(parts[-1])
            if missing > 0 and not message.get("more_body"):
                raise ClientGone
    return b"".join(parts)
