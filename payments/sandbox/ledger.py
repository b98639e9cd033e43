"""The provider's ledger: charges, captures, voids and refunds in one SQLite file.

Each write commits together with its webhooks. The file is in WAL mode with synchronous=NORMAL:
acknowledged writes survive the death of the process, though not a power failure.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments.sandbox import objects
from payments.sandbox.errors import ApiError
from payments.sandbox.objects import Object
from payments.sandbox.outbox import Outbox, Webhook
from payments.sandbox.requests import ChargeBody, Kind, RefundBody, VoidBody, Write
from payments.sandbox.tokens import TOKENS

_SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


class Ledger:
    """The ledger in the file `path`, for one thread.

    With `sends_webhooks` each result is put in `outbox` for delivery.
    """

    def __init__(self, path: Path, *, sends_webhooks: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self.outbox = Outbox(self._connection)
        self._sends_webhooks = sends_webhooks

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection:  # commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            yield
        self.outbox.notify()

    def _row(self, query: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def count_attempt(self, *, kind: Kind, key: str) -> int:
        """Count another attempt at a write; the number so far, this one included."""
        with self._transaction():
            row = self._row(
                "INSERT INTO tries VALUES (?, ?, 1)"
                " ON CONFLICT (kind, idempotency_key) DO UPDATE SET count = count + 1"
                " RETURNING count",
                *(kind, key),
            )
            assert row is not None
            return int(row["count"])

    # --- Reads ------------------------------------------------------------------------------------

    def charge(self, charge_id: str) -> Object:
        """The charge with that id; raises ApiError with 404."""
        return objects.charge(self._charge_row(charge_id))

    def charges(self, *, after: int, limit: int) -> list[tuple[int, Object]]:
        """Up to `limit` charges whose position is above `after`, each with its position."""
        rows = self._connection.execute(
            "SELECT * FROM charges WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        ).fetchall()
        return [(row["position"], objects.charge(row)) for row in rows]

    def find(self, kind: Kind, key: str, *, fingerprint: str | None = None) -> Object | None:
        """The charge or refund that the write with that key made or changed; None if none did.

        Raises ApiError with 422 if the write had another `fingerprint`.
        """
        if kind == "charge":
            row = self._row("SELECT * FROM charges WHERE idempotency_key = ?", key)
        elif kind == "refund":
            row = self._row(
                "SELECT refunds.*, currency FROM refunds JOIN charges ON charges.id = charge_id"
                " WHERE refunds.idempotency_key = ?",
                key,
            )
        else:
            row = self._row(
                "SELECT * FROM settlements WHERE kind = ? AND idempotency_key = ?", kind, key
            )
        if row is None:
            return None
        if fingerprint is not None and row["fingerprint"] != fingerprint:
            raise ApiError(
                422, "idempotency_key_reused", "This Idempotency-Key was used for another request."
            )
        if kind == "charge":
            return objects.charge(row)
        return objects.presented(row) if kind == "refund" else self.charge(row["charge_id"])

    def refunds_of(self, charge_id: str) -> list[Object]:
        """The refunds of the charge, oldest first."""
        return self._of_charge("refunds", charge_id)

    def disputes_of(self, charge_id: str) -> list[Object]:
        """The disputes of the charge, oldest first."""
        return self._of_charge("disputes", charge_id)

    def _of_charge(self, table: str, charge_id: str) -> list[Object]:
        rows = self._connection.execute(
            f"SELECT {table}.*, currency FROM {table} JOIN charges ON charges.id = charge_id"  # noqa: S608
            f" WHERE charge_id = ? ORDER BY {table}.position",
            (charge_id,),
        ).fetchall()
        return [objects.presented(row) for row in rows]

    def _charge_row(self, charge_id: str) -> sqlite3.Row:
        row = self._row("SELECT * FROM charges WHERE id = ?", charge_id)
        if row is None:
            raise ApiError(404, "no_such_charge", f"There is no charge {charge_id}.")
        return row

    # --- Writes -----------------------------------------------------------------------------------

    def record(self, write: Write, *, duplicate_webhooks: bool = False) -> tuple[Object, bool]:
        """Do `write` unless it was done; the charge or refund, and whether it was done now.

        `duplicate_webhooks` delivers the webhook twice and out of order. Raises ApiError.
        """
        with self._transaction():
            if existing := self.find(write.kind, write.key, fingerprint=write.fingerprint):
                return existing, False
            body = write.body
            if isinstance(body, RefundBody):
                return self._refund(write, body, duplicate_webhooks=duplicate_webhooks), True
            if isinstance(body, ChargeBody):
                charge_id = self._charge(write, body)
            elif isinstance(body, VoidBody):
                charge_id = self._capture_or_void(write, "voided", amount=0)
            else:
                charge_id = self._capture_or_void(write, "captured", amount=body.amount)
            row = self._charge_row(charge_id)
            charge = objects.charge(row)
            states = [(charge, now())]
            if duplicate_webhooks or TOKENS[row["token"]].doubles_webhooks:
                states.append((objects.previous_state(charge), charge["created_at"]))
            self._enqueue_webhooks("charge", charge_id, states)
            return charge, True

    def _charge(self, write: Write, body: ChargeBody) -> str:
        behaviour, amount = TOKENS[body.token], body.amount
        if behaviour.decline_code:
            status = "declined"
        else:
            status = "captured" if body.capture else "authorized"
        charge_id = new_id("ch")
        self._connection.execute(
            "INSERT INTO charges (id, idempotency_key, fingerprint, status, amount, currency,"
            " captured_amount, token, reference, metadata, decline_code, decline_message,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(charge_id, write.key, write.fingerprint, status, amount, body.currency),
                *(amount if status == "captured" else 0, body.token, body.reference),
                *(json.dumps(body.metadata), behaviour.decline_code or None),
                *(behaviour.decline_message or None, now()),
            ),
        )
        return charge_id

    def _capture_or_void(self, write: Write, status: str, *, amount: int | None) -> str:
        """Capture `amount` of an authorized charge (all of it by default), or void it."""
        row = self._charge_row(write.charge_id)
        if row["status"] != "authorized":
            raise ApiError(409, "not_authorized", f"The charge is {row['status']}.")
        captured = row["amount"] if amount is None else amount
        if captured > row["amount"]:
            raise ApiError(
                409, "capture_exceeds_authorized", "The amount exceeds what was authorized."
            )
        self._connection.execute(
            "INSERT INTO settlements VALUES (?, ?, ?, ?, ?, ?)",
            (write.kind, write.key, write.fingerprint, write.charge_id, captured, now()),
        )
        self._connection.execute(
            "UPDATE charges SET status = ?, captured_amount = ? WHERE id = ?",
            (status, captured, write.charge_id),
        )
        return write.charge_id

    def _refund(self, write: Write, body: RefundBody, *, duplicate_webhooks: bool) -> Object:
        charge, amount = self._charge_row(body.charge_id), body.amount
        disputed = sum(d["amount"] for d in self.disputes_of(charge["id"]) if d["status"] == "open")
        if amount > charge["captured_amount"] - charge["refunded_amount"] - disputed:
            raise ApiError(
                409, "refund_exceeds_captured", "The amount exceeds what is left to refund."
            )
        behaviour = TOKENS[charge["token"]]
        status = "failed" if behaviour.fails_refunds else "succeeded"
        self._connection.execute(
            "INSERT INTO refunds (id, idempotency_key, fingerprint, charge_id, amount, reason,"
            " status, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(new_id("re"), write.key, write.fingerprint, body.charge_id, amount),
                *(body.reason, status, now()),
            ),
        )
        if status == "succeeded":
            self._connection.execute(
                "UPDATE charges SET refunded_amount = refunded_amount + ? WHERE id = ?",
                (amount, body.charge_id),
            )
        refund = self.find("refund", write.key)
        assert refund is not None
        states = [(refund, now())]
        if duplicate_webhooks or behaviour.doubles_webhooks:
            states.append(({**refund, "status": "pending"}, now()))
        self._enqueue_webhooks("refund", body.charge_id, states)
        return refund

    def _enqueue_webhooks(
        self, kind: str, charge_id: str, states: list[tuple[Object, str]]
    ) -> None:
        """A webhook for each state of a charge or refund; the first of several again at the end."""
        if self._sends_webhooks:
            webhooks = [
                Webhook.about(state, type=f"{kind}.{state['status']}", created_at=at)
                for state, at in states
            ]
            self.outbox.put(charge_id, webhooks + (webhooks[:1] if len(webhooks) > 1 else []))


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> str:
    return objects.timestamp(datetime.now(UTC))
