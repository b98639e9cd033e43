"""Posting to one address over connections that stay open, which is all that webhooks need."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

_READ = 64 * 1024


class RequestFailed(Exception):
    """No answer, or none that is HTTP."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    http: h11.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class HttpClient:
    """Posts to `url`; each answer is waited for `timeout` seconds at most."""

    def __init__(self, url: str, *, timeout: float) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._named = parts.netloc.rpartition("@")[2]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout = timeout
        self._idle: list[_Line] = []

    async def post(self, body: bytes, *, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises RequestFailed; it may have arrived all the same."""
        try:
            async with asyncio.timeout(self._timeout):
                line = await self._line()
                try:
                    status = await self._exchange(line, body, headers)
                except BaseException:
                    line.writer.close()
                    raise
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            raise RequestFailed(type(error).__name__) from error
        return status

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().writer.close()

    async def _line(self) -> _Line:
        while self._idle:
            line = self._idle.pop()
            if not (line.reader.at_eof() or line.writer.is_closing()):
                line.http.start_next_cycle()
                return line
            line.writer.close()
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=ssl.create_default_context() if self._is_secure else None
        )
        return _Line(http=h11.Connection(h11.CLIENT), reader=reader, writer=writer)

    async def _exchange(self, line: _Line, body: bytes, headers: Mapping[str, str]) -> int:
        http = line.http
        events = (
            h11.Request(
                method="POST",
                target=self._target,
                headers=[
                    ("Host", self._named),
                    ("Content-Length", str(len(body))),
                    *headers.items(),
                ],
            ),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        line.writer.write(b"".join(http.send(event) or b"" for event in events))
        await line.writer.drain()
        status = 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await line.reader.read(_READ))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("closed without an answer")
        if http.our_state is h11.DONE is http.their_state:
            self._idle.append(line)
        else:
            line.writer.close()
        return status
