"""The provider over HTTP/1.1: one event loop, the protocol by h11.

No server for WSGI or ASGI, because a provider that loses answers must close a connection without
one, which those do not let an application do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from urllib.parse import parse_qsl, urlsplit

import h11

from payments.sandbox.errors import Refusal
from payments.sandbox.provider import Answer, Fate, Provider, refused
from payments.sandbox.request_parsing import Request

log = logging.getLogger(__name__)

_BODY_LIMIT = 64 * 1024
_HEAD_LIMIT = 32 * 1024
_READ = 64 * 1024
_IDLE_SECONDS = 75.0
# How long, in seconds, connections get to end once they are closed.
_ENDING = 1.0
_BACKLOG = 512
_METHODS = frozenset({b"GET", b"POST"})


class Server:
    """Serves `provider`; `hold_seconds` is how long a connection that gets no answer stays open."""

    def __init__(self, *, provider: Provider, hold_seconds: float) -> None:
        self._provider = provider
        self._hold_seconds = hold_seconds
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._answering = 0
        self._idle = asyncio.Condition()

    async def start(self, *, host: str, port: int) -> int:
        """Begin to listen; returns the port, which is any free one for 0."""
        self._server = await asyncio.start_server(
            self._connected, host, port, backlog=_BACKLOG, limit=_READ
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, *, seconds: float) -> None:
        """Take no more connections, and wait `seconds` at most for what is being answered."""
        assert self._server is not None
        self._server.close()
        async with self._idle:
            try:
                async with asyncio.timeout(seconds):
                    await self._idle.wait_for(lambda: not self._answering)
            except TimeoutError:
                log.warning("stopped with %d requests unanswered", self._answering)
        # Connections on which nothing is said any more end by themselves then.
        for writer in self._open.values():
            writer.close()
        if self._open:
            await asyncio.wait(self._open, timeout=_ENDING)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._exchange(connection, reader, writer):
                connection.start_next_cycle()
        except (ConnectionError, TimeoutError):
            pass  # a caller who hung up, or has nothing more to say
        finally:
            writer.close()
            del self._open[task]

    async def _exchange(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; whether there may be another one on this connection."""
        try:
            head = await _event(http, reader)
        except h11.RemoteProtocolError as error:
            await _send(http, writer, refused(Refusal(400, "bad_request", str(error))))
            return False
        if not isinstance(head, h11.Request):
            return False
        started = time.monotonic()
        async with self._idle:
            self._answering += 1
        try:
            answer = await self._answer(head, http, reader)
            if answer.fate is Fate.SENT:
                await _send(http, writer, answer)
        finally:
            async with self._idle:
                self._answering -= 1
                self._idle.notify_all()
        log.info(
            "%s %s %d %s %d ms",
            head.method.decode(),
            head.target.decode(),
            answer.status,
            answer.fate,
            round((time.monotonic() - started) * 1000),
        )
        if answer.fate is Fate.HELD:
            await self._hold(reader)
        return answer.fate is Fate.SENT and http.our_state is h11.DONE is http.their_state

    async def _answer(
        self, head: h11.Request, http: h11.Connection, reader: asyncio.StreamReader
    ) -> Answer:
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        try:
            if head.method not in _METHODS:
                raise Refusal(501, "not_implemented", "GET and POST alone.")
            body = await _body(headers, http, reader)
        except Refusal as refusal:
            return refused(refusal)
        parts = urlsplit(head.target.decode("latin-1"))
        try:
            return await self._provider.answer(
                Request(
                    method=head.method.decode(),
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    headers=headers,
                    body=body,
                )
            )
        except Exception:  # an error of ours: the caller gets a 500, the log the reason
            log.exception("%s %s failed", head.method.decode(), parts.path)
            return refused(Refusal(500, "internal_error", "Something went wrong."))

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        """Keep the connection open until the caller hangs up or the time is over."""
        try:
            async with asyncio.timeout(self._hold_seconds):
                await reader.read(1)
        except TimeoutError:
            log.info("held a connection for %s s", self._hold_seconds)


async def _body(
    headers: dict[str, str], http: h11.Connection, reader: asyncio.StreamReader
) -> bytes:
    """The request's body; Refusal with 411 or 413. What was not read of it ends the connection."""
    if "transfer-encoding" in headers:
        raise Refusal(411, "length_required", "Send a Content-Length.")
    # That it is a number h11 has seen to.
    if int(headers.get("content-length", "0")) > _BODY_LIMIT:
        raise Refusal(413, "body_too_large", f"At most {_BODY_LIMIT} bytes.")
    parts = []
    while isinstance(event := await _event(http, reader), h11.Data):
        parts.append(bytes(event.data))
    if not isinstance(event, h11.EndOfMessage):
        raise ConnectionError("The body ended early.")
    return b"".join(parts)


async def _event(
    http: h11.Connection, reader: asyncio.StreamReader
) -> h11.Event | type[h11.PAUSED] | type[h11.NEED_DATA]:
    """What the other side says next; waits for it, but not for ever."""
    while (event := http.next_event()) is h11.NEED_DATA:
        async with asyncio.timeout(_IDLE_SECONDS):
            http.receive_data(await reader.read(_READ))
    return event


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, answer: Answer) -> None:
    payload = json.dumps(answer.body).encode()
    headers = [
        ("Server", "sandbox-provider"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(payload))),
        *([("Connection", "close")] if http.their_state is not h11.DONE else []),
        *answer.headers.items(),
    ]
    events = (
        h11.Response(status_code=answer.status, headers=headers),
        h11.Data(data=payload),
        h11.EndOfMessage(),
    )
    # An answer leaves in one piece.
    writer.write(b"".join(http.send(event) or b"" for event in events))
    await writer.drain()
