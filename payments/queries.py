"""Named reads of payments."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet, Sum

from oms.core.money import ZERO
from payments.models import Payment, Refund
from payments.states import RefundStatus


def payments_of(order_id: UUID) -> QuerySet[Payment]:
    """The attempts at paying the order with their refunds, oldest first."""
    return Payment.objects.filter(order_id=order_id).prefetch_related("refunds").order_by("id")


def succeeded_refunds(order_id: UUID) -> Decimal:
    """What has in fact gone back for the order."""
    total: Decimal | None = Refund.objects.filter(
        order_id=order_id, status=RefundStatus.SUCCEEDED
    ).aggregate(total=Sum("amount"))["total"]
    return total or ZERO
