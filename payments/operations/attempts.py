"""Writing down the intent to take money, before anybody is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError

from oms.core import clock
from oms.core.actor import Actor
from oms.db.bulk_writes import insert_rows
from oms.db.transactions import transaction_required, violated_constraint
from oms.events.publishing import publish
from oms.queue.wakeups import wake_on_commit
from payments.errors import PaymentInProgress
from payments.events import PaymentRequested
from payments.models import Payment
from payments.states import ACTIVE, CaptureMethod

# The Celery task that works off whatever payment or refund is due.
DRAIN_TASK = "payments.drain"

_COLUMNS = (
    "id",
    "order_id",
    "provider",
    "token",
    "capture_method",
    "requested_action",
    "amount",
    "currency",
    "status",
    "captured_amount",
    "refunded_amount",
    "provider_reference",
    "failure_code",
    "failure_message",
    "created_at",
    "updated_at",
    "attempts",
    "fencing_token",
    "last_error",
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

    def requested(self) -> PaymentRequested:
        """The fact of its being written down, which the caller publishes."""
        return PaymentRequested(
            payment_id=self.id,
            order_id=self.order_id,
            amount=self.amount,
            currency=self.currency,
            provider=self.provider,
        )


@transaction_required
def create_payments(new: Sequence[NewPayment], *, at: datetime) -> None:
    """Write down payments for orders that have none yet, in one statement; workers make them."""
    if not new:
        return
    insert_rows(
        Payment,
        _COLUMNS,
        [
            (
                payment.id,
                payment.order_id,
                payment.provider,
                payment.token,
                payment.capture_method.value,
                "",
                payment.amount,
                payment.currency,
                "created",
                Decimal(0),
                Decimal(0),
                "",
                "",
                "",
                at,
                at,
                0,
                0,
                "",
            )
            for payment in new
        ],
    )
    wake_on_commit(DRAIN_TASK)


@transaction_required
def request_payment(
    *, actor: Actor, order_id: UUID, provider: str, token: str, amount: Decimal, currency: str
) -> Payment:
    """Write down another payment for an order. Raises PaymentInProgress if one is active.

    The caller holds the order's lock.
    """
    if Payment.objects.filter(order_id=order_id, status__in=ACTIVE).exists():
        raise PaymentInProgress
    now = clock.now()
    try:
        payment = Payment.objects.create(
            order_id=order_id,
            provider=provider,
            token=token,
            capture_method=CaptureMethod(settings.PAYMENT_CAPTURE),
            amount=amount,
            currency=currency,
            created_at=now,
            updated_at=now,
        )
    except IntegrityError as error:
        if violated_constraint(error) == "payment_one_active_for_order":
            raise PaymentInProgress from error
        raise
    publish(
        PaymentRequested(
            payment_id=payment.id,
            order_id=order_id,
            amount=amount,
            currency=currency,
            provider=provider,
        ),
        actor=actor,
        at=now,
    )
    wake_on_commit(DRAIN_TASK)
    return payment
