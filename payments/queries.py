"""Named reads of payments."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db.models import Prefetch, QuerySet, Sum

from oms.core.money import ZERO
from payments.models import Payment, Refund
from payments.states import RefundStatus


def all_payments() -> QuerySet[Payment]:
    """Every payment with its refunds."""
    refunds = Prefetch("refunds", Refund.objects.order_by("id"))
    return Payment.objects.prefetch_related(refunds)


def payments_of(order_id: UUID) -> QuerySet[Payment]:
    """The attempts at paying the order with their refunds, oldest first."""
    return all_payments().filter(order_id=order_id).order_by("id")


def refunds_of(payment_id: UUID) -> QuerySet[Refund]:
    """The refunds of the payment, oldest first."""
    return Refund.objects.filter(payment_id=payment_id).order_by("id")


def order_of_payment(payment_id: UUID) -> UUID | None:
    """The order that the payment is for; None if there is no such payment."""
    return Payment.objects.filter(pk=payment_id).values_list("order_id", flat=True).first()


def has_later_attempt(*, order_id: UUID, payment_id: UUID) -> bool:
    """Whether there is a payment of the order that is newer than that one."""
    return Payment.objects.filter(order_id=order_id, id__gt=payment_id).exists()


def succeeded_refunds(order_id: UUID) -> Decimal:
    """What has in fact gone back for the order."""
    total: Decimal | None = Refund.objects.filter(
        order_id=order_id, status=RefundStatus.SUCCEEDED
    ).aggregate(total=Sum("amount"))["total"]
    return total or ZERO
