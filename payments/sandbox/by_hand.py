"""What people do at the provider: its staff, and the banks of the customers."""

from __future__ import annotations

from payments.sandbox.errors import ApiError
from payments.sandbox.ledger import Ledger, new_id, now
from payments.sandbox.objects import Object
from payments.sandbox.requests import DisputeBody, OverwriteBody


class LedgerByHand(Ledger):
    """The ledger with the changes that no shop asks for; each is reported by webhook."""

    def open_dispute(self, charge_id: str, body: DisputeBody) -> Object:
        """Open a dispute of the charge, of all that was not refunded by default.

        Raises ApiError.
        """
        with self._transaction():
            charge = self._charge_row(charge_id)
            left = charge["captured_amount"] - charge["refunded_amount"]
            amount = left if body.amount is None else body.amount
            if not 0 < amount <= left:
                raise ApiError(409, "dispute_exceeds_captured", "That much was not captured.")
            self._connection.execute(
                "INSERT INTO disputes (id, charge_id, amount, reason, status, created_at)"
                " VALUES (?, ?, ?, ?, 'open', ?)",
                (new_id("dp"), charge_id, amount, body.reason, now()),
            )
            return self._dispute_reported(self.disputes_of(charge_id)[-1])

    def close_dispute(self, dispute_id: str, *, outcome: str) -> Object:
        """Decide an open dispute: "won" or "lost" by the shop. Raises ApiError."""
        with self._transaction():
            row = self._row("SELECT * FROM disputes WHERE id = ?", dispute_id)
            if row is None:
                raise ApiError(404, "no_such_dispute", f"There is no dispute {dispute_id}.")
            if row["status"] != "open":
                raise ApiError(409, "dispute_closed", f"The dispute is {row['status']}.")
            self._connection.execute(
                "UPDATE disputes SET status = ? WHERE id = ?", (outcome, dispute_id)
            )
            if outcome == "lost":
                charge = self._charge_row(row["charge_id"])
                if row["amount"] > charge["captured_amount"] - charge["refunded_amount"]:
                    raise ApiError(409, "dispute_exceeds_captured", "That much is not kept.")
                self._connection.execute(
                    "UPDATE charges SET refunded_amount = refunded_amount + ? WHERE id = ?",
                    (row["amount"], row["charge_id"]),
                )
            disputes = self.disputes_of(row["charge_id"])
            return self._dispute_reported(next(d for d in disputes if d["id"] == dispute_id))

    def _dispute_reported(self, dispute: Object) -> Object:
        self._enqueue_webhooks("dispute", dispute["charge_id"], [(dispute, now())])
        return dispute

    def overwrite_charge(self, charge_id: str, body: OverwriteBody) -> Object:
        """Let the charge have been captured like that, whatever it was. Raises ApiError.

        No correct provider does it; with it a shop's handling of such webhooks can be tried.
        """
        with self._transaction():
            row = self._charge_row(charge_id)
            captured = body.captured_amount
            if captured < row["refunded_amount"]:
                raise ApiError(409, "refund_exceeds_captured", "More than that was refunded.")
            self._connection.execute(
                "UPDATE charges SET status = 'captured', decline_code = NULL,"
                " decline_message = NULL, captured_amount = ?, amount = max(amount, ?),"
                " currency = ? WHERE id = ?",
                (captured, captured, body.currency or row["currency"], charge_id),
            )
            charge = self.charge(charge_id)
            self._enqueue_webhooks("charge", charge_id, [(charge, now())])
            return charge
