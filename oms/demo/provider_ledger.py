"""The sandbox provider's ledger of the shop's payments and refunds."""

from __future__ import annotations

from pathlib import Path

from django.db.models import Q, Sum

from oms.core.money import ZERO, to_minor_units
from payments.models import Payment, Refund
from payments.sandbox.imports import PastCharge, PastRefund, import_past
from payments.states import PaymentStatus, RefundStatus


def write_provider_ledger(path: Path) -> None:
    """Replace the ledger file by the payments and refunds in the database that have an outcome.

    Not through the provider's API: it does not run yet when `make run` seeds. Raises sqlite3.Error
    or OSError.
    """
    settled = Q(refunds__status=RefundStatus.SUCCEEDED)
    payments = Payment.objects.filter(
        status__in=[PaymentStatus.CAPTURED, PaymentStatus.FAILED]
    ).annotate(settled=Sum("refunds__amount", filter=settled))
    refunds = Refund.objects.filter(status=RefundStatus.SUCCEEDED).select_related("payment")
    import_past(
        path,
        charges=(
            PastCharge(
                id=payment.provider_reference,
                key=str(payment.id),
                amount=to_minor_units(payment.amount, payment.currency),
                refunded_amount=to_minor_units(payment.settled or ZERO, payment.currency),
                currency=payment.currency,
                token=payment.token,
                reference=str(payment.order_id),
                decline_code=payment.failure_code,
                decline_message=payment.failure_message,
                at=payment.created_at,
            )
            for payment in payments.iterator()
        ),
        refunds=(
            PastRefund(
                id=refund.provider_reference,
                key=str(refund.id),
                charge_id=refund.payment.provider_reference,
                amount=to_minor_units(refund.amount, refund.currency),
                reason=refund.reason,
                at=refund.updated_at,
            )
            for refund in refunds.iterator()
        ),
    )
