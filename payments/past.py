"""The money of an order as of a past time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from oms.core.money import ZERO
from oms.events.history import earliest_event_of
from oms.events.models import Event
from payments.events import (
    PaymentAuthorized,
    PaymentBecameUnknown,
    PaymentFailed,
    PaymentVoided,
)
from payments.models import Payment, Refund
from payments.queries import PaymentTotals
from payments.states import Origin, PaymentStatus

_STATUSES: Mapping[str, PaymentStatus] = {
    PaymentAuthorized.type: PaymentStatus.AUTHORIZED,
    PaymentBecameUnknown.type: PaymentStatus.UNKNOWN,
    PaymentFailed.type: PaymentStatus.FAILED,
    PaymentVoided.type: PaymentStatus.VOIDED,
}


def totals_of_order_at(order_id: UUID, *, currency: str, at: datetime) -> PaymentTotals:
    """What was captured and refunded of an order until then, and how its newest payment stood.

    Without `kept`, for requests of refunds are not counted.
    """
    payments: Sequence[Payment] = [
        payment
        for payment in Payment.objects.filter(order_id=order_id).order_by("id")
        if payment.currency == currency and payment.created_at <= at
    ]
    captured = [p for p in payments if p.captured_at is not None and p.captured_at <= at]
    refunds = Refund.objects.filter(payment__in=captured, succeeded_at__lte=at)
    refunded: Decimal | None = refunds.aggregate(total=Sum("amount"))["total"]
    own = [payment for payment in payments if payment.origin == Origin.SHOP]
    return PaymentTotals(
        captured=sum((payment.captured_amount for payment in captured), ZERO),
        refunded=refunded or ZERO,
        newest_id=own[-1].id if own else None,
        newest_status=_status_at(own[-1], at=at) if own else "",
    )


def _status_at(payment: Payment, *, at: datetime) -> str:
    if payment.updated_at <= at:
        return payment.status
    if payment.captured_at is not None and payment.captured_at <= at:
        return PaymentStatus.CAPTURED
    events = Event.objects.filter(
        object_id=payment.id,
        id__gte=earliest_event_of([payment.id]),
        type__in=_STATUSES,
        occurred_at__lte=at,
    )
    last = events.order_by("-position").values_list("type", flat=True).first()
    return PaymentStatus.CREATED if last is None else _STATUSES[last]
