"""The exceptions of payments and refunds: raised by what fails, settled by what mends it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q, QuerySet

from oms.core.actor import Actor
from oms.core.money import ZERO, with_currency
from oms.db.transactions import transaction, transaction_required
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import (
    NewException,
    raise_exceptions,
    settle_exceptions,
    subject_of,
)
from oms.queue.leases import give_up
from payments.models import Payment, Refund, UnmatchedRefund
from payments.states import RefundStatus

_WITHOUT_OUTCOME = (
    ExceptionKind.PAYMENT_UNKNOWN,
    ExceptionKind.PAYMENT_STUCK,
    ExceptionKind.CAPTURE_REJECTED,
)
# Mended once the payment is fully refunded.
_MONEY_NOT_DUE = (
    ExceptionKind.CAPTURED_AMOUNT_DIFFERS,
    ExceptionKind.CAPTURED_CURRENCY_DIFFERS,
    ExceptionKind.CAPTURED_AFTER_FINAL,
    ExceptionKind.CHARGE_AT_PROVIDER,
)


@transaction_required
def raise_about_payment(
    kind: ExceptionKind, cause: str, *, payment_id: UUID, order_id: UUID | None, actor: Actor
) -> None:
    """Open an exception of that kind about the payment."""
    _raise(
        kind,
        cause,
        subject=subject_of("payment", payment_id),
        payment_id=payment_id,
        order_id=order_id,
        actor=actor,
    )


@transaction_required
def raise_about_refund(
    kind: ExceptionKind,
    cause: str,
    *,
    refund_id: UUID,
    payment_id: UUID,
    order_id: UUID | None,
    actor: Actor,
) -> None:
    """Open an exception of that kind about the refund."""
    _raise(
        kind,
        cause,
        subject=subject_of("refund", refund_id),
        payment_id=payment_id,
        order_id=order_id,
        actor=actor,
    )


def _raise(
    kind: ExceptionKind,
    cause: str,
    *,
    subject: str,
    payment_id: UUID,
    order_id: UUID | None,
    actor: Actor,
) -> None:
    new = NewException(
        kind=kind, subject=subject, cause=cause, order_id=order_id, payment_id=payment_id
    )
    raise_exceptions([new], actor=actor)


@transaction_required
def settle_payments(payment_ids: Collection[UUID], *, actor: Actor) -> None:
    """The payments have an outcome."""
    settle_exceptions(_WITHOUT_OUTCOME, about=Q(payment_id__in=payment_ids), actor=actor)


@transaction
def give_up_payment(payment: Payment, *, error: str, actor: Actor) -> bool:
    """Leave the claimed payment to staff; False if another worker has claimed it since."""
    if not give_up(payment, error=error):
        return False
    raise_payment_stuck(payment, error=error, actor=actor)
    return True


@transaction_required
def raise_payment_stuck(payment: Payment, *, error: str, actor: Actor) -> None:
    settle_exceptions([ExceptionKind.PAYMENT_UNKNOWN], about=Q(payment_id=payment.id), actor=actor)
    raise_about_payment(
        ExceptionKind.PAYMENT_STUCK,
        f"Given up after {payment.attempts} attempts: {error}",
        payment_id=payment.id,
        order_id=payment.order_id,
        actor=actor,
    )


@transaction
def give_up_refund(refund: Refund, *, error: str, actor: Actor) -> bool:
    """Leave the claimed refund to staff; False if another worker has claimed it since."""
    if not give_up(refund, error=error):
        return False
    raise_refund_stuck(refund, error=error, actor=actor)
    return True


@transaction_required
def raise_refund_stuck(refund: Refund, *, error: str, actor: Actor) -> None:
    raise_about_refund(
        ExceptionKind.REFUND_STUCK,
        f"Given up after {refund.attempts} attempts: {error}",
        refund_id=refund.id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        actor=actor,
    )


@transaction_required
def settle_refund(refund: Refund, *, actor: Actor) -> None:
    """The refund has an outcome."""
    about = Q(subject=subject_of("refund", refund.id), payment_id=refund.payment_id)
    settle_exceptions([ExceptionKind.REFUND_STUCK, ExceptionKind.DISPUTE], about=about, actor=actor)


@transaction_required
def raise_refund_failed(payment: Payment, refund: Refund, *, actor: Actor) -> None:
    amount = with_currency(refund.amount, refund.currency)
    raise_about_refund(
        ExceptionKind.REFUND_FAILED,
        f"The provider refused the refund of {amount}: {refund.failure_code}.",
        refund_id=refund.id,
        payment_id=payment.id,
        order_id=payment.order_id,
        actor=actor,
    )


@transaction_required
def raise_refund_amount_differs(
    refund: Refund, *, refunded: str, requested: str, actor: Actor
) -> None:
    """Both are amounts with their currency."""
    raise_about_refund(
        ExceptionKind.REFUND_AMOUNT_DIFFERS,
        f"The provider refunded {refunded} instead of {requested}.",
        refund_id=refund.id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        actor=actor,
    )


@transaction_required
def raise_unmatched(refund: UnmatchedRefund, *, actor: Actor) -> None:
    amount = with_currency(refund.amount, refund.currency) if refund.currency else refund.amount
    new = NewException(
        kind=ExceptionKind.REFUND_UNMATCHED,
        subject=subject_of("refund", refund.id),
        cause=f"{amount} were refunded as {refund.provider_reference} of the charge"
        f" {refund.charge_reference}, of which we don't know as much.",
    )
    raise_exceptions([new], actor=actor)


@transaction_required
def settle_unmatched(refund: UnmatchedRefund, *, actor: Actor) -> None:
    """It is recorded, or was not made after all."""
    about = Q(subject=subject_of("refund", refund.id))
    settle_exceptions([ExceptionKind.REFUND_UNMATCHED], about=about, actor=actor)


@transaction_required
def settle_refunded(payment: Payment, refund: Refund, *, actor: Actor) -> None:
    """A refund of the payment has succeeded; of those of an order see `settle_failed_refunds`."""
    about = Q(payment_id=payment.id)
    if not payment.refundable:
        kinds = [
            *_MONEY_NOT_DUE,
            ExceptionKind.REFUND_AMOUNT_DIFFERS,
            ExceptionKind.REFUND_FAILED,
        ]
        settle_exceptions(kinds, about=about, actor=actor)
    elif refund.order_id is None and _are_made_up_for(Refund.objects.filter(payment=payment)):
        settle_exceptions([ExceptionKind.REFUND_FAILED], about=about, actor=actor)


@transaction_required
def settle_failed_refunds(order_id: UUID, *, actor: Actor) -> None:
    """A refund of the order has succeeded, of which no more is kept than it is worth.

    That mends those that failed, if as much has been refunded since.
    """
    if _are_made_up_for(Refund.objects.filter(order_id=order_id)):
        about = Q(order_id=order_id)
        settle_exceptions([ExceptionKind.REFUND_FAILED], about=about, actor=actor)


def _are_made_up_for(refunds: QuerySet[Refund]) -> bool:
    """Whether refunds requested after a failure have paid back what the failed ones had not."""
    failed = refunds.filter(status=RefundStatus.FAILED, is_dispute=False)
    steps = [(refund.updated_at, refund.amount) for refund in failed]
    succeeded = refunds.filter(status=RefundStatus.SUCCEEDED)
    steps += [(refund.created_at, -refund.amount) for refund in succeeded]
    missing = ZERO
    for _, amount in sorted(steps):
        missing = max(missing + amount, ZERO)
    return not missing
