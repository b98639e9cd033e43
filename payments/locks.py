"""The only place that locks the rows of payments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from oms.core.db import transaction_required
from payments.models import Payment, Refund


@transaction_required
def lock_payment(payment_id: UUID) -> Payment | None:
    """The payment, locked; None if there is none."""
    return Payment.objects.select_for_update(no_key=True).filter(pk=payment_id).first()


@transaction_required
def lock_payments(payment_ids: Iterable[UUID]) -> Mapping[UUID, Payment]:
    """Those of the payments that exist, locked in the order of their ids, by id.

    Only what an outcome depends on is loaded of them: half of the cost is in the other columns.
    """
    rows = Payment.objects.select_for_update(no_key=True).filter(pk__in=set(payment_ids))
    rows = rows.only("order_id", "status", "amount", "currency", "captured_amount", "captured_at")
    return {payment.id: payment for payment in rows.order_by("id")}


@transaction_required
def lock_payments_of_order(order_id: UUID) -> Sequence[Payment]:
    """All payments of the order, locked, oldest first."""
    return list(
        Payment.objects.select_for_update(no_key=True).filter(order_id=order_id).order_by("id")
    )


@transaction_required
def lock_payments_of_orders(order_ids: Iterable[UUID]) -> None:
    """Lock all payments of the orders, sorted by id."""
    rows = Payment.objects.select_for_update(no_key=True).filter(order_id__in=set(order_ids))
    list(rows.order_by("id").values_list("id"))


@transaction_required
def lock_refund(refund_id: UUID) -> Refund | None:
    """The refund, locked; None if there is none. Its payment is to be locked first."""
    return Refund.objects.select_for_update(of=("self",), no_key=True).filter(pk=refund_id).first()
