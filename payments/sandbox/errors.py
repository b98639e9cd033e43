"""What the provider says when it does not do what it was asked."""

from __future__ import annotations


class Refusal(Exception):
    """Nothing was done; the answer is `status` with {"error": {"code", "message"}}."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def key_reused() -> Refusal:
    """The refusal of a key that was used before with another body."""
    return Refusal(
        422, "idempotency_key_reused", "This Idempotency-Key came before with another body."
    )


def no_such_charge(charge_id: str) -> Refusal:
    """The refusal of a charge id that is not in the ledger."""
    return Refusal(404, "no_such_charge", f"There is no charge {charge_id}.")
