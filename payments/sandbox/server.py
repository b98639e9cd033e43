"""The provider over HTTP/1.1: a thread for each connection, from the standard library.

No framework, because a provider that loses answers must close a connection without one, which
servers for WSGI and ASGI do not let an application do.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from payments.sandbox.provider import Answer, Fate, Provider, refused
from payments.sandbox.reading import Request
from payments.sandbox.refusals import Refusal

log = logging.getLogger(__name__)

_BODY_LIMIT = 64 * 1024


class Server(ThreadingHTTPServer):
    """Serves `provider` on `host` and `port`; 0 is any free port.

    `hold_seconds` is how long a connection that gets no answer stays open.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, *, host: str, port: int, provider: Provider, hold_seconds: float) -> None:
        self.provider = provider
        self.hold_seconds = hold_seconds
        self._answering = 0
        self._idle = threading.Condition()
        super().__init__((host, port), _Connection)

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def begin(self) -> None:
        """Count a request that is being answered."""
        with self._idle:
            self._answering += 1

    def end(self) -> None:
        """Count it no more."""
        with self._idle:
            self._answering -= 1
            self._idle.notify_all()

    def drain(self, *, seconds: float) -> None:
        """Wait until no request is being answered, `seconds` at most."""
        with self._idle:
            self._idle.wait_for(lambda: not self._answering, timeout=seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection; a caller who hung up is not worth a line."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            log.exception("connection from %s failed", client_address)


class _Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "sandbox-provider"
    sys_version = ""
    timeout = 75  # seconds that a connection may be idle
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # an answer leaves in one piece

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        started = time.monotonic()
        self.server.begin()
        try:
            answer = self._answer()
            if answer.fate is Fate.SENT:
                self._send(answer)
                self.wfile.flush()
        finally:
            self.server.end()
        milliseconds = round((time.monotonic() - started) * 1000)
        log.info(
            "%s %s %d %s %d ms", self.command, self.path, answer.status, answer.fate, milliseconds
        )
        if answer.fate is not Fate.SENT:
            self.close_connection = True
        if answer.fate is Fate.HELD:
            self._hold()

    def _answer(self) -> Answer:
        try:
            body = self._body()
        except Refusal as refusal:
            self.close_connection = True  # what follows of the body would be read as a request
            return refused(refusal)
        parts = urlsplit(self.path)
        try:
            return self.server.provider.answer(
                Request(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                )
            )
        except Exception:  # an error of ours: the caller gets a 500, the log the reason
            log.exception("%s %s failed", self.command, parts.path)
            return refused(Refusal(500, "internal_error", "Something went wrong."))

    def _body(self) -> bytes:
        if "transfer-encoding" in self.headers:
            raise Refusal(411, "length_required", "Send a Content-Length.")
        length = self.headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal():
            raise Refusal(400, "invalid_length", "Content-Length is not a number.")
        if len(length) > 10 or int(length) > _BODY_LIMIT:
            raise Refusal(413, "body_too_large", f"At most {_BODY_LIMIT} bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("The body ended early.")
        return body

    def _send(self, answer: Answer) -> None:
        payload = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _hold(self) -> None:
        """Keep the connection open until the caller hangs up or the time is over."""
        self.connection.settimeout(self.server.hold_seconds)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            log.info("held %s for %s s", self.path, self.server.hold_seconds)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in JSON what the standard library would answer in HTML."""
        self.close_connection = True
        phrase = message or HTTPStatus(code).phrase
        self._send(refused(Refusal(code, "bad_request", phrase)))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not needed: `_serve` logs each request with its duration."""

    def log_message(self, format: str, *args: Any) -> None:
        """Send the standard library's remarks to the log."""
        log.info(format, *args)
