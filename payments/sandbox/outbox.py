"""The webhooks that wait for delivery, in the ledger's file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Seconds after which a webhook that was never accepted is given up.
_LIFETIME = 3 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook; `id` is its webhook-id, `body` the JSON text that is signed and sent."""

    id: str
    type: str
    body: str

    @classmethod
    def about(cls, data: dict[str, Any], *, type: str, created_at: str) -> Webhook:
        """A new webhook of that type about `data`, a charge or a refund."""
        id = f"msg_{secrets.token_hex(12)}"
        body = json.dumps({"id": id, "type": type, "created_at": created_at, "data": data})
        return cls(id=id, type=type, body=body)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook that is due; `attempts` counts the earlier ones."""

    position: int
    charge_id: str
    webhook: Webhook
    attempts: int


class Outbox:
    """The queue of webhooks, on the connection of the ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._changed = asyncio.Event()

    def put(self, charge_id: str, webhooks: Sequence[Webhook]) -> None:
        """Queue `webhooks` in that order, in the open transaction."""
        now = time.time()
        self._connection.executemany(
            "INSERT INTO webhooks (webhook_id, charge_id, type, body, created_at, next_attempt_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(webhook.id, charge_id, webhook.type, webhook.body, now, now) for webhook in webhooks],
        )

    def due(self, *, excluding: Collection[str], limit: int) -> list[Delivery]:
        """The most overdue webhooks, one for each charge, without the charges `excluding`.

        A charge's webhooks are first attempted in the order in which they were put; one that has
        failed no longer blocks those behind it.
        """
        marks = ", ".join("?" * len(excluding))
        rows = self._connection.execute(
            "SELECT * FROM webhooks AS due"  # noqa: S608 - only question marks are put in
            f" WHERE next_attempt_at <= ? AND charge_id NOT IN ({marks})"
            " AND NOT EXISTS (SELECT 1 FROM webhooks AS earlier"
            "  WHERE earlier.charge_id = due.charge_id AND earlier.position < due.position"
            "  AND earlier.attempts = 0 AND earlier.next_attempt_at IS NOT NULL)"
            " ORDER BY next_attempt_at, position LIMIT ?",
            (time.time(), *excluding, limit),
        ).fetchall()
        first: dict[str, Delivery] = {}
        for row in rows:
            first.setdefault(
                row["charge_id"],
                Delivery(
                    position=row["position"],
                    charge_id=row["charge_id"],
                    webhook=Webhook(id=row["webhook_id"], type=row["type"], body=row["body"]),
                    attempts=row["attempts"],
                ),
            )
        return list(first.values())

    def record_delivered(self, deliveries: Iterable[Delivery]) -> None:
        """Record that the receiver has accepted them."""
        now = time.time()
        with self._connection:  # commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "UPDATE webhooks SET attempts = attempts + 1, next_attempt_at = NULL,"
                " delivered_at = ?, last_error = NULL WHERE position = ?",
                [(now, delivery.position) for delivery in deliveries],
            )

    def record_failed(self, delivery: Delivery, *, error: str, pause: float) -> None:
        """Record a failure and retry in `pause` seconds; give up after three days."""
        now = time.time()
        self._connection.execute(
            "UPDATE webhooks SET attempts = attempts + 1, last_error = ?,"
            " next_attempt_at = CASE WHEN created_at > ? THEN ? END WHERE position = ?",
            (error, now - _LIFETIME, now + pause, delivery.position),
        )

    def notify(self) -> None:
        self._changed.set()

    async def wait(self, *, seconds: float) -> None:
        """Wait until something may have become due, or `seconds` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()
