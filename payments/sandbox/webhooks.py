"""Delivering webhooks: signed, at least once, tried again until the receiver says 2xx.

Signed as Standard Webhooks 1.0 has it: HMAC-SHA256 over "<id>.<timestamp>.<body>". A secret that
begins with "whsec_" goes on in base64; any other is taken as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import random
import sqlite3
import threading
import time
from dataclasses import dataclass

import httpx

from payments.sandbox.outbox import Delivery, Outbox

log = logging.getLogger(__name__)

_WORKERS = 4
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


class Courier:
    """Some threads that deliver what is due in `outbox`, one at a time for each charge."""

    def __init__(self, *, outbox: Outbox, receiver: Receiver) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._client = httpx.Client(timeout=receiver.timeout, trust_env=False)
        self._stopping = threading.Event()
        self._claiming = threading.Lock()
        self._busy: set[str] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"courier-{number}", daemon=True)
            for number in range(_WORKERS)
        ]

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, seconds: float) -> None:
        """Finish what is being delivered, within `seconds`; the rest stays in the outbox."""
        self._stopping.set()
        self._outbox.wake()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                found = self._deliver_next()
            except sqlite3.Error:  # such as a full disk: what is due stays due
                log.exception("the outbox cannot be used")
                found = False
            if not found:
                self._outbox.wait(seconds=_IDLE)

    def _deliver_next(self) -> bool:
        """Try what is most overdue; False if nothing is due."""
        delivery = self._claim()
        if delivery is None:
            return False
        try:
            self._deliver(delivery)
        finally:
            with self._claiming:
                self._busy.discard(delivery.charge_id)
        return True

    def _claim(self) -> Delivery | None:
        with self._claiming:
            delivery = self._outbox.next_due(busy=self._busy)
            if delivery is not None:
                self._busy.add(delivery.charge_id)
            return delivery

    def _deliver(self, delivery: Delivery) -> None:
        webhook = delivery.webhook
        body = webhook.body.encode()
        headers = self._receiver.headers(id=webhook.id, timestamp=int(time.time()), body=body)
        try:
            response = self._client.post(self._receiver.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            said = type(error).__name__
        else:
            if response.is_success:
                self._outbox.delivered(delivery)
                return
            said = str(response.status_code)
        pause = min(_LONGEST_PAUSE, self._receiver.first_pause * 2 ** min(delivery.attempts, 16))
        self._outbox.failed(delivery, error=said, pause=pause * random.uniform(0.8, 1.2))
        log.warning("webhook %s %s not taken: %s", webhook.type, webhook.id, said)
