"""Creates payments: committed rows, which a worker sends to the provider later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError

from oms.core import clock
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.core.money import ZERO, rounded
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction_required, violated_constraint
from oms.events.publishing import publish
from oms.queue.wakeups import wake_on_commit
from payments.errors import PaymentInProgress
from payments.events import PaymentRequested
from payments.models import Payment
from payments.states import IN_PROGRESS, CaptureMethod

# The Celery task that processes due payments and refunds.
PROCESS_TASK = "payments.drain"

# What new payments have in common, for inserts that bypass the model.
_INITIAL = {
    "requested_action": "",
    "status": "created",
    "provider_reference": "",
    "failure_code": "",
    "failure_message": "",
    "attempts": 0,
    "fencing_token": 0,
    "last_error": "",
}
_COLUMNS = (
    *("id", "order_id", "provider", "token", "amount", "currency", "capture_method"),
    *("created_at", "updated_at", "captured_amount", "refunded_amount"),
    *_INITIAL,
)


@dataclass(frozen=True, kw_only=True)
class NewPayment:
    """A payment to be made for an order."""

    id: UUID
    order_id: UUID
    provider: str
    token: str
    amount: Decimal
    currency: str
    capture_method: CaptureMethod

    @property
    def nothing(self) -> Decimal:
        """Zero with the decimals of the currency: what is captured and refunded of it so far."""
        return rounded(ZERO, self.currency)

    def requested(self) -> PaymentRequested:
        """The event that the caller publishes with it."""
        return PaymentRequested(
            payment_id=self.id,
            order_id=self.order_id,
            amount=self.amount,
            currency=self.currency,
            provider=self.provider,
        )


@transaction_required
def create_payments(
    new: Sequence[NewPayment], *, at: datetime, pipeline: Pipeline | None = None
) -> None:
    """Create payments for orders that have none, with one statement."""
    if not new:
        return
    insert_rows(
        Payment,
        _COLUMNS,
        [
            (
                *(payment.id, payment.order_id, payment.provider, payment.token, payment.amount),
                *(payment.currency, payment.capture_method.value, at, at),
                *(payment.nothing, payment.nothing),
                *_INITIAL.values(),
            )
            for payment in new
        ],
        pipeline=pipeline,
    )
    wake_on_commit(PROCESS_TASK)


@transaction_required
def request_payment(
    *, actor: Actor, order_id: UUID, provider: str, token: str, amount: Decimal, currency: str
) -> Payment:
    """Create another payment for an order. Raises PaymentInProgress if one is active.

    The caller holds the order's lock.
    """
    if Payment.objects.filter(order_id=order_id, status__in=IN_PROGRESS).exists():
        raise PaymentInProgress
    now = clock.now()
    new = NewPayment(
        id=new_id(),
        order_id=order_id,
        provider=provider,
        token=token,
        amount=amount,
        currency=currency,
        capture_method=CaptureMethod(settings.PAYMENT_CAPTURE),
    )
    try:
        payment = Payment.objects.create(
            **asdict(new),
            captured_amount=new.nothing,
            refunded_amount=new.nothing,
            created_at=now,
            updated_at=now,
        )
    except IntegrityError as error:
        if violated_constraint(error) == "payment_one_in_progress_for_order":
            raise PaymentInProgress from error
        raise
    publish(new.requested(), actor=actor, at=now)
    wake_on_commit(PROCESS_TASK)
    return payment
