"""What the sandbox provider has to know of the demo shop's past."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import UUID

from oms.demo.randomness import Dice
from oms.demo.simulated_order import Attempt, Life, MoneyBack
from payments.sandbox.imports import PastCharge, PastRefund, import_past


class Books:
    """Gathers charges and refunds, to be written into the provider's own ledger at the end.

    Not through its API: a hundred thousand calls would take longer than all the rest.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice
        # The order's id, its total and its currency; not the order itself, which would stay in
        # memory with all that belongs to it.
        self._charges: list[tuple[UUID, Decimal, str, Attempt]] = []
        self._refunds: list[MoneyBack] = []
        self._refunded: dict[UUID, int] = {}
        self._charge_ids: dict[UUID, str] = {}

    def charged(self, life: Life, attempt: Attempt) -> None:
        """The provider has captured or declined; it gets the provider's reference here."""
        attempt.reference = self._reference("ch")
        self._charge_ids[attempt.id] = attempt.reference
        self._charges.append((life.id, life.total, life.currency, attempt))

    def refunded(self, refund: MoneyBack) -> None:
        """The provider has given money back."""
        refund.reference = self._reference("re")
        self._refunds.append(refund)
        payment_id = refund.payment_id
        self._refunded[payment_id] = self._refunded.get(payment_id, 0) + _hundredths(refund.amount)

    def write(self, ledger: Path) -> None:
        """Write everything into the ledger file."""
        import_past(
            ledger,
            charges=(
                PastCharge(
                    id=attempt.reference,
                    key=str(attempt.id),
                    amount=_hundredths(total),
                    refunded_amount=self._refunded.get(attempt.id, 0),
                    currency=currency,
                    token=attempt.token,
                    reference=str(order_id),
                    decline_code=attempt.failure_code,
                    decline_message=attempt.failure_message,
                    at=attempt.at,
                )
                for order_id, total, currency, attempt in self._charges
            ),
            refunds=(
                PastRefund(
                    id=refund.reference,
                    key=str(refund.id),
                    charge_id=self._charge_ids[refund.payment_id],
                    amount=_hundredths(refund.amount),
                    reason=refund.reason,
                    at=refund.updated_at,
                )
                for refund in self._refunds
            ),
        )

    def _reference(self, kind: str) -> str:
        return f"{kind}_{self._dice.random.getrandbits(96):024x}"


def _hundredths(amount: Decimal) -> int:
    return int(amount * 100)
