"""Mail servers of the experiments' own: good, slow and silent ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller

from oms.tests.faults.shop import Shop

# The environment of a shop that sends to them.
OWN_MAIL_SERVER = (("EMAIL_URL", "smtp://127.0.0.1:PORT+4"),)


class Inbox:
    """Writes each mail to a file, where the experiments look for it, and takes `seconds` for it."""

    def __init__(self, folder: Path, *, seconds: float = 0.0) -> None:
        self._folder, self._seconds = folder, seconds
        self.received: Counter[str] = Counter()
        """How often each mail was received, by its Message-ID."""
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        id = message_from_bytes(envelope.content)["Message-ID"].strip("<>")
        (self._folder / f"{id}-{uuid.uuid4().hex[:8]}").write_bytes(envelope.content)
        self.received[id] += 1
        await asyncio.sleep(self._seconds)
        return "250 OK"


class HangingInbox(Inbox):
    """Takes the mail, and never says so."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(3600)
        return "451 too late"


def _port(shop: Shop) -> int:
    port = urlsplit(shop.environment["EMAIL_URL"]).port
    assert port is not None
    return port


@contextmanager
def mail_server(shop: Shop, inbox: Inbox) -> Iterator[None]:
    """The mail server of a shop with `OWN_MAIL_SERVER`."""
    controller = Controller(inbox, hostname="127.0.0.1", port=_port(shop))
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def silent_server(shop: Shop) -> Iterator[None]:
    """It accepts connections, and says nothing."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", _port(shop))) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):  # when it is closed
                while True:
                    connections.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                connection.close()
