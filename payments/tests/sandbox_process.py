"""The real provider process, and a real receiver of its webhooks, for tests."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from payments.gateways.base import ChargeResult, Gateway

API_KEY = "the-api-key-of-the-provider-tests"
PRICE = Decimal("12.50")
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

_ROOT = Path(__file__).parent.parent.parent
_LISTENING = re.compile(r"listening on (http://\S+)")


def eventually(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "The condition did not become true in time."
        time.sleep(0.02)
    return value


def charge(
    gateway: Gateway,
    token: str,
    *,
    key: str | None = None,
    amount: Decimal = PRICE,
    currency: str = "EUR",
    capture: bool = True,
) -> ChargeResult:
    """Charge `token` under `key`, or under a new key."""
    return gateway.charge(
        key=key or str(uuid4()),
        amount=amount,
        currency=currency,
        token=token,
        capture=capture,
        reference="order-1",
    )


class SandboxProcess:
    """`python -m payments.sandbox` with its ledger and log in `folder`; ends with its block.

    After `stop` or `kill`, `start` restarts it on the same ledger and another port.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.url = ""
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._popen is not None:
            self.kill()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._popen is not None
        return self._popen.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        log = self.folder / "provider.log"
        with log.open("wb") as output:
            self._popen = popen = subprocess.Popen(
                [
                    *(sys.executable, "-m", "payments.sandbox", "--port", "0"),
                    *("--ledger", str(self.folder / "ledger.sqlite3"), *self.flags),
                ],
                cwd=_ROOT,
                env={
                    **os.environ,
                    "SANDBOX_API_KEY": API_KEY,
                    "SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        def listening() -> re.Match[str] | None:
            assert popen.poll() is None, log.read_text()
            return _LISTENING.search(log.read_text())

        self.url = eventually(listening)[1]

    def stop(self) -> int:
        """Send SIGTERM; its exit code."""
        assert self._popen is not None
        self._popen.terminate()
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it ends by itself."""
        assert self._popen is not None
        return self._popen.wait(timeout=15)

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait(timeout=15)

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows of `query` with `values` in its ledger file."""
        connection = sqlite3.connect(self.folder / "ledger.sqlite3", timeout=5)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


@dataclass(frozen=True, kw_only=True)
class Received:
    """A webhook as it arrived, header names in lower case."""

    headers: dict[str, str]
    body: bytes


class WebhookReceiver:
    """A small HTTP server that stores what it receives; ends with its block.

    It answers with the statuses of `answers`, the first first, and with 204 after that.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(headers=headers, body=body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the output of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The URL for webhooks."""
        return f"http://127.0.0.1:{self._server.server_port}/webhooks"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
