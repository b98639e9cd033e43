"""The only place that locks the rows of payments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from oms.db.pipeline import execute
from oms.db.transactions import transaction_required
from payments.models import Payment, Refund
from payments.states import PaymentStatus


@transaction_required
def lock_payment(payment_id: UUID) -> Payment | None:
    """The payment, locked; None if there is none."""
    return Payment.objects.select_for_update(no_key=True).filter(pk=payment_id).first()


@dataclass(slots=True)
class LockedPayment:
    """The columns of a locked payment that its outcome depends on or changes, in their order."""

    id: UUID
    order_id: UUID | None
    provider: str
    status: str
    amount: Decimal
    currency: str
    captured_amount: Decimal
    captured_at: datetime | None
    provider_reference: str
    failure_code: str
    failure_message: str
    last_error: str
    updated_at: datetime


_LOCK = f"""
    SELECT {", ".join(field.name for field in fields(LockedPayment))} FROM payments_payment
    WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608  # names of the class above


@transaction_required
def lock_payments(payment_ids: Iterable[UUID]) -> Mapping[UUID, LockedPayment]:
    """The existing ones of the payments by id, locked in the order of their ids.

    Not as models, which took half of the time of recording an outcome.
    """
    found = execute(_LOCK, [list(set(payment_ids))], make=lambda row: LockedPayment(*row)).rows()
    return {payment.id: payment for payment in found}


@transaction_required
def lock_charge(*, provider: str, key: str) -> None:
    """Lock a charge that has no payment of ours, until the transaction ends; after all payments."""
    execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"charge {provider} {key}"])


@transaction_required
def lock_payments_of_charge(*, provider: str, provider_reference: str) -> Sequence[Payment]:
    """The payments that the provider knows by that charge, locked, oldest first."""
    rows = Payment.objects.select_for_update(no_key=True).order_by("id")
    # Phrased so that the partial index of the references is used.
    found = rows.filter(provider_reference=provider_reference).exclude(provider_reference="")
    return list(found.filter(provider=provider))


@transaction_required
def lock_payments_of_order(order_id: UUID) -> Sequence[Payment]:
    """All payments of the order, locked, oldest first."""
    return list(
        Payment.objects.select_for_update(no_key=True).filter(order_id=order_id).order_by("id")
    )


@transaction_required
def lock_captured_payments(order_id: UUID, *, currency: str) -> Sequence[Payment]:
    """The captured payments of the order in that currency; all of the order are locked."""
    return [
        payment
        for payment in lock_payments_of_order(order_id)
        if payment.status == PaymentStatus.CAPTURED and payment.currency == currency
    ]


@transaction_required
def lock_payments_of_orders(order_ids: Iterable[UUID]) -> Sequence[Payment]:
    """All payments of the orders, locked, sorted by id."""
    rows = Payment.objects.select_for_update(no_key=True).filter(order_id__in=set(order_ids))
    return list(rows.order_by("id"))


@transaction_required
def lock_refund(refund_id: UUID) -> Refund | None:
    """The refund, locked; None if there is none. The caller has locked its payment."""
    return Refund.objects.select_for_update(of=("self",), no_key=True).filter(pk=refund_id).first()
