"""The steps of an order's way that are about its money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from oms.core.actor import Actor, system
from oms.core.money import ZERO, rounded
from oms.demo.events import Journal
from oms.demo.plans import Step
from oms.demo.provider_ledger import Books
from oms.demo.randomness import Dice
from oms.demo.simulated_order import Attempt, Life, MoneyBack
from oms.demo.stock import Cause, Warehouse
from orders.events import (
    ItemsReturned,
    OrderConfirmed,
    OrderPaid,
    OrderPaymentFailed,
    OrderRefunded,
)
from orders.states import OrderStatus, PaymentState
from payments.events import (
    PaymentBecameUnknown,
    PaymentCaptured,
    PaymentFailed,
    PaymentRequested,
    RefundRequested,
    RefundSucceeded,
)
from payments.states import PaymentStatus, RefundStatus

# What the sandbox provider says to its tokens of declined means.
_DECLINES = {
    "tok_declined": ("card_declined", "The bank declined the card."),
    "tok_insufficient_funds": (
        "insufficient_funds",
        "The account does not hold enough money.",
    ),
}

_WORKER = system("payments")


@dataclass(frozen=True, kw_only=True)
class Money:
    """Moves the money of orders. What is left open at `now` is due at the workers soon after."""

    journal: Journal
    warehouse: Warehouse
    books: Books
    dice: Dice
    staff: Actor
    now: datetime

    def steps(self) -> Mapping[Step, Callable[[Life, datetime], None]]:
        """What carries out each step."""
        return {
            Step.DECLINE: self.decline,
            Step.TRY_AGAIN: self.try_again,
            Step.LOSE_SIGHT: self.lose_sight,
            Step.PAY: self.pay,
            Step.REFUND_SOME: self.refund_some,
            Step.TAKE_BACK: self.take_back,
            Step.REFUNDED: self.refunded,
        }

    def begin(self, life: Life, at: datetime, *, token: str) -> None:
        """The customer asks for a payment; a worker has taken it up."""
        attempt = Attempt(
            id=self.dice.id_at(at), token=token, at=at, updated_at=at, due_at=self._soon()
        )
        life.attempts.append(attempt)
        life.payment_status = PaymentState.PROCESSING
        self.journal.tell(
            PaymentRequested(
                payment_id=attempt.id,
                order_id=life.id,
                amount=life.total,
                currency=life.currency,
                provider="sandbox",
            ),
            actor=life.customer,
            at=at,
        )

    def decline(self, life: Life, at: datetime) -> None:
        """The provider declines."""
        attempt = life.attempts[-1]
        attempt.failure_code, attempt.failure_message = _DECLINES[attempt.token]
        self._settle(attempt, PaymentStatus.FAILED, at=at)
        self.books.charged(life, attempt)
        actor = _WORKER
        self.journal.tell(
            PaymentFailed(
                payment_id=attempt.id,
                order_id=life.id,
                code=attempt.failure_code,
                message=attempt.failure_message,
            ),
            actor=actor,
            at=at,
        )
        life.payment_status = PaymentState.FAILED
        life.touch(at=at)
        self.journal.tell(
            OrderPaymentFailed(**life.fact(), payment_id=attempt.id, code=attempt.failure_code),
            actor=actor,
            at=at,
        )

    def try_again(self, life: Life, at: datetime) -> None:
        """The customer pays with other means."""
        self.begin(life, at, token="tok_success")  # noqa: S106
        life.touch(at=at)

    def lose_sight(self, life: Life, at: datetime) -> None:
        """The provider does not answer."""
        attempt = life.attempts[-1]
        attempt.status = PaymentStatus.UNKNOWN
        attempt.updated_at = at
        attempt.last_error = "ReadTimeout in POST /v1/charges"
        self.journal.tell(
            PaymentBecameUnknown(payment_id=attempt.id, order_id=life.id),
            actor=_WORKER,
            at=at,
        )
        life.payment_status = PaymentState.UNKNOWN
        life.touch(at=at)

    def pay(self, life: Life, at: datetime) -> None:
        """The money is captured, which confirms the order."""
        attempt = life.attempts[-1]
        attempt.captured, attempt.captured_at = life.total, at
        self._settle(attempt, PaymentStatus.CAPTURED, at=at)
        self.books.charged(life, attempt)
        actor = _WORKER
        money: dict[str, Any] = {
            "payment_id": attempt.id,
            "amount": life.total,
            "currency": life.currency,
        }
        self.journal.tell(PaymentCaptured(order_id=life.id, **money), actor=actor, at=at)
        life.payment_status = PaymentState.PAID
        life.touch(at=at)
        self.journal.tell(OrderPaid(**life.fact(), **money), actor=actor, at=at)
        previous = life.move_to(OrderStatus.CONFIRMED, at=at)
        self.journal.tell(
            OrderConfirmed(
                **life.fact(),
                previous_status=previous,
                status=OrderStatus.CONFIRMED.value,
                reason="paid",
            ),
            actor=actor,
            at=at,
        )

    def give_back(self, life: Life, at: datetime, *, actor: Actor, reason: str) -> None:
        """Ask for what was captured and is not on its way back yet."""
        for attempt in life.attempts:
            if attempt.captured > attempt.refunded:
                amount = attempt.captured - attempt.refunded
                self._request(life, attempt, amount, at, actor=actor, reason=reason)

    def refund_some(self, life: Life, at: datetime) -> None:
        """Staff give a part of the money back."""
        part = rounded(life.total * life.random.choice((10, 20, 25, 50)) / 100)
        reason = life.random.choice(("Arrived late.", "Scratched on the way."))
        self._request(life, life.attempts[-1], part, at, actor=self.staff, reason=reason)

    def take_back(self, life: Life, at: datetime) -> None:
        """The customer sends everything back, and gets all the money."""
        attempt = life.attempts[-1]
        amount = attempt.captured - attempt.refunded
        refund = self._request(life, attempt, amount, at, actor=self.staff, reason="Sent back.")
        for line in life.lines:
            line.returned = line.shipped
        life.touch(at=at)
        cause = Cause(actor=self.staff, reference=f"refund:{refund.id}", order_id=life.id)
        self.warehouse.take_back(life.shipped, cause=cause, at=at)
        self.journal.tell(
            ItemsReturned(**life.fact(), pieces=sum(life.shipped.values())),
            actor=self.staff,
            at=at,
        )

    def refunded(self, life: Life, at: datetime) -> None:
        """The provider has given the money of the last refund back."""
        refund = life.refunds[-1]
        refund.status = RefundStatus.SUCCEEDED
        refund.succeeded_at = refund.updated_at = at
        refund.due_at = None
        self.books.refunded(refund)
        actor = _WORKER
        money: dict[str, Any] = {
            "refund_id": refund.id,
            "amount": refund.amount,
            "currency": life.currency,
        }
        self.journal.tell(
            RefundSucceeded(payment_id=refund.payment_id, order_id=life.id, **money),
            actor=actor,
            at=at,
        )
        back = sum((r.amount for r in life.refunds if r.succeeded_at), ZERO)
        life.payment_status = (
            PaymentState.REFUNDED if back >= life.total else PaymentState.PARTIALLY_REFUNDED
        )
        life.touch(at=at)
        self.journal.tell(OrderRefunded(**life.fact(), **money), actor=actor, at=at)

    def _request(
        self,
        life: Life,
        attempt: Attempt,
        amount: Decimal,
        at: datetime,
        *,
        actor: Actor,
        reason: str,
    ) -> MoneyBack:
        money = rounded(amount)
        refund = MoneyBack(
            id=self.dice.id_at(at),
            payment_id=attempt.id,
            amount=money,
            reason=reason,
            at=at,
            updated_at=at,
            due_at=self._soon(),
        )
        attempt.refunded += money
        attempt.updated_at = at
        life.refunds.append(refund)
        self.journal.tell(
            RefundRequested(
                refund_id=refund.id,
                payment_id=attempt.id,
                order_id=life.id,
                amount=money,
                currency=life.currency,
                reason=reason,
            ),
            actor=actor,
            at=at,
        )
        return refund

    def _settle(self, attempt: Attempt, status: PaymentStatus, *, at: datetime) -> None:
        attempt.status = status
        attempt.updated_at = at
        attempt.due_at = None
        attempt.last_error = ""

    def _soon(self) -> datetime:
        """When a worker will see to it, so that a visitor sees it open for some minutes."""
        return self.now + timedelta(seconds=self.dice.random.uniform(120, 540))
