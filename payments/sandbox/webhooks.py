"""Delivering webhooks: signed, at least once, tried again until the receiver says 2xx.

Signed as Standard Webhooks 1.0 has it: HMAC-SHA256 over "<id>.<timestamp>.<body>". A secret that
begins with "whsec_" goes on in base64; any other is taken as it is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import random
import sqlite3
import time
from dataclasses import dataclass

from payments.sandbox.http_client import HttpClient, RequestFailed
from payments.sandbox.outbox import Delivery, Outbox

log = logging.getLogger(__name__)

# How many webhooks are on their way at once.
_AT_ONCE = 256
# Seconds between two looks into the outbox while there is something to do, and while there is not.
_GATHERING = 0.05
_IDLE = 0.2
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where webhooks go. `first_pause` is in seconds; it doubles with each failure, to a minute."""

    url: str
    secret: str
    first_pause: float = 0.5
    timeout: float = 10.0

    def headers(self, *, id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The three headers that sign `body`."""
        key = self.secret.encode()
        if self.secret.startswith("whsec_"):
            key = base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)
        signed = f"{id}.{timestamp}.".encode() + body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        return {
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
            "content-type": "application/json",
        }


class WebhookDispatcher:
    """Delivers what is due in `outbox`: many webhooks at once, but of each charge one at a time."""

    def __init__(self, *, outbox: Outbox, receiver: Receiver) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._poster = HttpClient(receiver.url, timeout=receiver.timeout)
        self._stopping = False
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._delivered: list[Delivery] = []
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver, on the loop that runs."""
        self._running = asyncio.create_task(self._run())

    async def stop(self, *, seconds: float) -> None:
        """Finish what is being delivered, within `seconds`; the rest stays in the outbox."""
        assert self._running is not None
        self._stopping = True
        self._outbox.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._running
                await asyncio.gather(*self._under_way.values())
        self._note()
        self._poster.close()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                self._note()
                self._begin()
            except sqlite3.Error:  # such as a full disk: what is due stays due
                log.exception("the outbox cannot be used")
            # Whatever becomes due meanwhile is taken together.
            await asyncio.sleep(_GATHERING)
            if not self._under_way and not self._delivered:
                await self._outbox.wait(seconds=_IDLE)

    def _begin(self) -> None:
        free = _AT_ONCE - len(self._under_way)
        for delivery in self._outbox.due(busy=self._under_way, limit=free) if free else ():
            task = asyncio.create_task(self._deliver(delivery))
            self._under_way[delivery.charge_id] = task

    def _note(self) -> None:
        if self._delivered:
            self._outbox.delivered(self._delivered)
            for delivery in self._delivered:
                del self._under_way[delivery.charge_id]
            self._delivered = []

    async def _deliver(self, delivery: Delivery) -> None:
        webhook = delivery.webhook
        body = webhook.body.encode()
        headers = self._receiver.headers(id=webhook.id, timestamp=int(time.time()), body=body)
        try:
            status = await self._poster.post(body, headers=headers)
        except RequestFailed as error:
            said = str(error)
        else:
            if 200 <= status < 300:
                self._delivered.append(delivery)
                return
            said = str(status)
        pause = min(_LONGEST_PAUSE, self._receiver.first_pause * 2 ** min(delivery.attempts, 16))
        try:
            self._outbox.failed(delivery, error=said, pause=pause * random.uniform(0.8, 1.2))
        except sqlite3.Error:  # it stays due
            log.exception("the outbox cannot be used")
        del self._under_way[delivery.charge_id]
        log.warning("webhook %s %s not taken: %s", webhook.type, webhook.id, said)
