"""Delivers webhooks: signed, at least once, retried until the receiver answers with 2xx.

Signed as in Standard Webhooks 1.0 by the specification's own library. A secret that begins with
"whsec_" continues in base64; any other is used as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook as Signer

from payments.sandbox.outbox import Delivery, Outbox, Webhook

log = logging.getLogger(__name__)

# The most webhooks in flight at once.
_MAX_IN_FLIGHT = 256
# Seconds between two polls of the outbox while there is work, and while there is none.
_BATCH_SECONDS, _IDLE_SECONDS = 0.05, 0.2
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_MAX_PAUSE = 60.0


class WebhookDispatcher:
    """Delivers what is due in `outbox` to `url`: many webhooks at once, of each charge one.

    `first_pause`, in seconds, follows the first failure; it doubles with each one, to a minute.
    """

    def __init__(self, *, outbox: Outbox, url: str, secret: str, first_pause: float) -> None:
        self._outbox = outbox
        self._url = url
        self._signer = Signer(secret if secret.startswith("whsec_") else secret.encode())
        self._first_pause = first_pause
        self._stopping = False
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._delivered: list[Delivery] = []

    async def run(self) -> None:
        """Deliver until `stop` is called, and finish what is in flight then.

        When cancelled, what was not delivered stays in the outbox.
        """
        connector = aiohttp.TCPConnector(limit=_MAX_IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            try:
                while not self._stopping:
                    try:
                        self._record_delivered()
                        self._start_due(session)
                    except sqlite3.Error:  # such as a full disk: what is due stays due
                        log.exception("the outbox cannot be used")
                    # Webhooks that become due in the meantime are sent together.
                    await asyncio.sleep(_BATCH_SECONDS)
                    if not self._in_flight and not self._delivered:
                        await self._outbox.wait(seconds=_IDLE_SECONDS)
                await asyncio.gather(*self._in_flight.values())
            finally:
                self._record_delivered()

    def stop(self) -> None:
        """Start no more deliveries."""
        self._stopping = True
        self._outbox.notify()

    def _start_due(self, session: aiohttp.ClientSession) -> None:
        free = _MAX_IN_FLIGHT - len(self._in_flight)
        for delivery in self._outbox.due(excluding=self._in_flight, limit=free) if free else ():
            task = asyncio.create_task(self._deliver(session, delivery))
            self._in_flight[delivery.charge_id] = task

    def _record_delivered(self) -> None:
        if self._delivered:
            self._outbox.record_delivered(self._delivered)
            for delivery in self._delivered:
                del self._in_flight[delivery.charge_id]
            self._delivered = []

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        error = await self._post(session, delivery.webhook)
        if not error:
            self._delivered.append(delivery)
            return
        pause = min(_MAX_PAUSE, self._first_pause * 2 ** min(delivery.attempts, 16))
        with contextlib.suppress(sqlite3.Error):  # it stays due
            self._outbox.record_failed(
                delivery, error=error, pause=pause * random.uniform(0.8, 1.2)
            )
        del self._in_flight[delivery.charge_id]
        webhook = delivery.webhook
        log.warning("webhook %s %s was not accepted: %s", webhook.type, webhook.id, error)

    async def _post(self, session: aiohttp.ClientSession, webhook: Webhook) -> str:
        """Send the webhook; "" if it was accepted, else the status or the name of the error."""
        now = datetime.now(UTC)  # The library takes the zone of any other for UTC.
        headers = {
            "webhook-id": webhook.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(webhook.id, now, webhook.body),
            "content-type": "application/json",
        }
        try:
            async with session.post(
                self._url, data=webhook.body.encode(), headers=headers, allow_redirects=False
            ) as response:
                return "" if response.ok and response.status < 300 else str(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
