"""Money on its way back: refunds of what was captured, voids of what was only authorised."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models.functions import Now

from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from oms.queue.wakeups import wake_on_commit
from payments.errors import PaymentNotCapturable, RefundExceedsCaptured
from payments.events import PaymentVoided, RefundRequested
from payments.locks import lock_payment, lock_payments_of_order
from payments.models import Payment, Refund, RequestedAction
from payments.operations.attempts import DRAIN_TASK
from payments.states import PaymentStatus


@transaction
def request_refund(
    *, actor: Actor, payment_id: UUID, amount: Decimal | None = None, reason: str = ""
) -> Refund:
    """Set money of a payment aside and write down that it goes back; a worker sends it.

    `amount` is all that is left if None. Raises NotFound, and RefundExceedsCaptured if it is more
    than what was captured and not yet refunded, or nothing is left.
    """
    payment = lock_payment(payment_id)
    if payment is None:
        raise NotFound
    return _refund(payment, actor=actor, amount=amount, reason=reason, at=clock.now())


def _refund(
    payment: Payment, *, actor: Actor, amount: Decimal | None, reason: str, at: datetime
) -> Refund:
    amount = payment.refundable if amount is None else amount
    if amount <= 0 or amount > payment.refundable:
        raise RefundExceedsCaptured(
            captured=str(payment.captured_amount), refundable=str(payment.refundable)
        )
    payment.refunded_amount += amount
    payment.updated_at = at
    payment.save(update_fields=["refunded_amount", "updated_at"])
    refund = Refund.objects.create(
        payment=payment,
        order_id=payment.order_id,
        amount=amount,
        currency=payment.currency,
        reason=reason,
        created_at=at,
        updated_at=at,
    )
    publish(
        RefundRequested(
            refund_id=refund.id,
            payment_id=payment.id,
            order_id=payment.order_id,
            amount=amount,
            currency=payment.currency,
            reason=reason,
        ),
        actor=actor,
        at=at,
    )
    wake_on_commit(DRAIN_TASK)
    return refund


@transaction_required
def refund_or_void(*, actor: Actor, order_id: UUID, reason: str, at: datetime) -> None:
    """Refund what was captured for the order, and void what was authorised or not yet sent.

    A payment whose outcome is open is left to its own: if it captures after all, the order's
    reaction to that gives the money back. The caller holds the order's lock.
    """
    for payment in lock_payments_of_order(order_id):
        if payment.status == PaymentStatus.CAPTURED and payment.refundable:
            _refund(payment, actor=actor, amount=None, reason=reason, at=at)
        elif payment.status == PaymentStatus.AUTHORIZED:
            _want(payment, RequestedAction.VOID, at=at)
        elif payment.status == PaymentStatus.CREATED:
            # Nobody has been called yet: a worker that holds it finds it gone before it calls.
            payment.status = PaymentStatus.VOIDED
            payment.next_attempt_at = None
            payment.updated_at = at
            payment.save(update_fields=["status", "next_attempt_at", "updated_at"])
            publish(PaymentVoided(payment_id=payment.id, order_id=order_id), actor=actor, at=at)


@transaction
def request_capture_for_order(*, actor: Actor, order_id: UUID) -> None:
    """Ask for the capture of what was authorised for the order, if anything was."""
    for payment in lock_payments_of_order(order_id):
        if (
            payment.status == PaymentStatus.AUTHORIZED
            and payment.requested_action == RequestedAction.NONE
        ):
            _want(payment, RequestedAction.CAPTURE, at=clock.now())


@transaction
def request_capture(*, actor: Actor, payment_id: UUID) -> Payment:
    """Ask for the capture of an authorised payment. Raises NotFound and PaymentNotCapturable."""
    payment = lock_payment(payment_id)
    if payment is None:
        raise NotFound
    if (
        payment.status != PaymentStatus.AUTHORIZED
        or payment.requested_action != RequestedAction.NONE
    ):
        raise PaymentNotCapturable(current_status=payment.status)
    _want(payment, RequestedAction.CAPTURE, at=clock.now())
    return payment


@transaction
def request_void(*, actor: Actor, payment_id: UUID) -> Payment:
    """Ask to let an authorised payment go. Raises NotFound and PaymentNotCapturable."""
    payment = lock_payment(payment_id)
    if payment is None:
        raise NotFound
    if (
        payment.status != PaymentStatus.AUTHORIZED
        or payment.requested_action != RequestedAction.NONE
    ):
        raise PaymentNotCapturable(current_status=payment.status)
    _want(payment, RequestedAction.VOID, at=clock.now())
    return payment


def _want(payment: Payment, step: RequestedAction, *, at: datetime) -> None:
    payment.requested_action = step
    payment.updated_at = at
    payment.next_attempt_at = Now()
    payment.attempts = 0
    payment.save(update_fields=["requested_action", "updated_at", "next_attempt_at", "attempts"])
    wake_on_commit(DRAIN_TASK)
