"""The provider's books: charges, captures, voids and refunds in one SQLite file.

Each write and the webhooks that report it commit together. The file is in WAL mode with
synchronous=NORMAL: what was answered survives the death of the process, though not a power cut.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payments.sandbox import objects
from payments.sandbox.errors import Refusal, key_reused, no_such_charge
from payments.sandbox.objects import Object
from payments.sandbox.outbox import Outbox
from payments.sandbox.request_parsing import ChargeRequest
from payments.sandbox.tokens import TOKENS

_SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


class Ledger:
    """The books in the file `path`, for one thread.

    With `reports` each result is put in `outbox` for delivery as a webhook.
    """

    def __init__(self, path: Path, *, reports: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self.outbox = Outbox(self._connection)
        self._reports = reports

    def close(self) -> None:
        """Close the file; the ledger is of no use afterwards."""
        self._connection.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all writes inside commit at the end, at the cost of one; each fails by itself."""
        with self._undone_if_it_fails("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"):
            yield
        self.outbox.wake()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if not self._connection.in_transaction:
            with self.together():
                yield self._connection
            return
        with self._undone_if_it_fails(
            "SAVEPOINT one", "RELEASE one", "ROLLBACK TO one; RELEASE one"
        ):
            yield self._connection

    @contextmanager
    def _undone_if_it_fails(self, begin: str, commit: str, undo: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute(commit)
        except BaseException:
            if self._connection.in_transaction:
                for statement in undo.split("; "):
                    self._connection.execute(statement)
            raise

    def _row(self, query: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def count_try(self, *, kind: str, key: str) -> int:
        """Count another try of that write; how many there have been, this one included."""
        with self._writing() as connection:
            row = connection.execute(
                "INSERT INTO tries VALUES (?, ?, 1)"
                " ON CONFLICT (kind, idempotency_key) DO UPDATE SET count = count + 1"
                " RETURNING count",
                (kind, key),
            ).fetchone()
            return int(row["count"])

    # --- Charges --------------------------------------------------------------------------------

    def charge(self, *, id: str) -> Object:
        """The charge called `id`; raises Refusal with 404."""
        return objects.charge(self._charge_row(id))

    def charge_with_key(self, *, key: str, fingerprint: str | None = None) -> Object | None:
        """The charge made under `key`, or None. Another fingerprint is refused with 422."""
        row = self._row("SELECT * FROM charges WHERE idempotency_key = ?", key)
        return None if row is None else objects.charge(_matching(row, fingerprint))

    def charges(self, *, after: int, limit: int) -> list[tuple[int, Object]]:
        """Up to `limit` charges whose position is above `after`, each with its position."""
        rows = self._connection.execute(
            "SELECT * FROM charges WHERE position > ? ORDER BY position LIMIT ?", (after, limit)
        ).fetchall()
        return [(row["position"], objects.charge(row)) for row in rows]

    def record_charge(
        self, *, key: str, fingerprint: str, request: ChargeRequest, doubled: bool
    ) -> tuple[Object, bool]:
        """Charge as `request` says; the charge, and whether it was made now.

        `doubled` reports the result twice and out of order.
        """
        behaviour = TOKENS[request.token]
        if behaviour.decline_code:
            status = "declined"
        else:
            status = "captured" if request.capture else "authorized"
        with self._writing() as connection:
            if existing := self.charge_with_key(key=key, fingerprint=fingerprint):
                return existing, False
            connection.execute(
                "INSERT INTO charges (id, idempotency_key, fingerprint, status, amount, currency,"
                " captured_amount, token, reference, metadata, decline_code, decline_message,"
                " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id := _new_id("ch"),
                    key,
                    fingerprint,
                    status,
                    request.amount,
                    request.currency,
                    request.amount if status == "captured" else 0,
                    request.token,
                    request.reference,
                    json.dumps(request.metadata),
                    behaviour.decline_code or None,
                    behaviour.decline_message or None,
                    _now(),
                ),
            )
            return self._reported(id, doubled=doubled), True

    def _charge_row(self, id: str) -> sqlite3.Row:
        row = self._row("SELECT * FROM charges WHERE id = ?", id)
        if row is None:
            raise no_such_charge(id)
        return row

    def _reported(self, id: str, *, doubled: bool) -> Object:
        """The charge called `id`, whose new status is put in the outbox."""
        row = self._charge_row(id)
        charge = objects.charge(row)
        if self._reports:
            reports = [(f"charge.{charge['status']}", charge, _now())]
            if doubled or TOKENS[row["token"]].doubles_webhooks:
                before = objects.before(charge)
                reports.append((f"charge.{before['status']}", before, charge["created_at"]))
            self._report(id, reports)
        return charge

    def _report(self, charge_id: str, reports: Sequence[tuple[str, Object, str]]) -> None:
        """Queue `reports` (type, data, time); the first of several once more at the end."""
        webhooks = [
            self.outbox.webhook(type=type, data=data, created_at=at) for type, data, at in reports
        ]
        if len(webhooks) > 1:
            webhooks.append(webhooks[0])
        self.outbox.put(charge_id=charge_id, webhooks=webhooks)

    # --- Captures and voids -----------------------------------------------------------------------

    def settlement(self, *, kind: str, key: str, fingerprint: str) -> Object | None:
        """The charge that `key` captured or voided, or None; another fingerprint is a 422."""
        row = self._row(
            "SELECT * FROM settlements WHERE kind = ? AND idempotency_key = ?", kind, key
        )
        return None if row is None else self.charge(id=_matching(row, fingerprint)["charge_id"])

    def settle(
        self,
        *,
        kind: str,
        key: str,
        fingerprint: str,
        charge_id: str,
        amount: int | None,
        doubled: bool,
    ) -> tuple[Object, bool]:
        """Capture `amount` (all by default) or void; the charge, and whether it was done now."""
        with self._writing() as connection:
            if existing := self.settlement(kind=kind, key=key, fingerprint=fingerprint):
                return existing, False
            row = self._charge_row(charge_id)
            if row["status"] != "authorized":
                raise Refusal(
                    409,
                    "not_authorized",
                    f"The charge is {row['status']}, so it cannot be settled.",
                )
            captured = (row["amount"] if amount is None else amount) if kind == "capture" else 0
            if captured > row["amount"]:
                raise Refusal(409, "capture_exceeds_authorized", "Less than that was authorized.")
            connection.execute(
                "INSERT INTO settlements VALUES (?, ?, ?, ?, ?, ?)",
                (kind, key, fingerprint, charge_id, captured, _now()),
            )
            connection.execute(
                "UPDATE charges SET status = ?, captured_amount = ? WHERE id = ?",
                ("captured" if kind == "capture" else "voided", captured, charge_id),
            )
            return self._reported(charge_id, doubled=doubled), True

    # --- Refunds ----------------------------------------------------------------------------------

    def refund_with_key(self, *, key: str, fingerprint: str | None = None) -> Object | None:
        """The refund made under `key`, or None. Another fingerprint is refused with 422."""
        row = self._row("SELECT * FROM refunds WHERE idempotency_key = ?", key)
        return None if row is None else objects.refund(_matching(row, fingerprint))

    def record_refund(
        self,
        *,
        key: str,
        fingerprint: str,
        charge_id: str,
        amount: int,
        reason: str,
        doubled: bool,
    ) -> tuple[Object, bool]:
        """Give back `amount`; the refund, and whether it was made now. Too much is a 409."""
        with self._writing() as connection:
            if existing := self.refund_with_key(key=key, fingerprint=fingerprint):
                return existing, False
            charge = self._charge_row(charge_id)
            if amount > charge["captured_amount"] - charge["refunded_amount"]:
                raise Refusal(
                    409, "refund_exceeds_captured", "Less than that is left of what was captured."
                )
            behaviour = TOKENS[charge["token"]]
            status = "failed" if behaviour.fails_refunds else "succeeded"
            connection.execute(
                "INSERT INTO refunds (id, idempotency_key, fingerprint, charge_id, amount, reason,"
                " status, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (_new_id("re"), key, fingerprint, charge_id, amount, reason, status, _now()),
            )
            if status == "succeeded":
                connection.execute(
                    "UPDATE charges SET refunded_amount = refunded_amount + ? WHERE id = ?",
                    (amount, charge_id),
                )
            refund = self.refund_with_key(key=key)
            assert refund is not None
            if self._reports:
                reports = [(f"refund.{status}", refund, _now())]
                if doubled or behaviour.doubles_webhooks:
                    reports.append(("refund.pending", {**refund, "status": "pending"}, _now()))
                self._report(charge_id, reports)
            return refund, True


def _matching(row: sqlite3.Row, fingerprint: str | None) -> sqlite3.Row:
    if fingerprint is not None and row["fingerprint"] != fingerprint:
        raise key_reused()
    return row


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
