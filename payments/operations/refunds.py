"""Requests refunds of captured payments, and captures and voids of authorized ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models.functions import Now

from oms.core import clock
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.errors import NotFound
from oms.core.money import ZERO, formatted, in_currency
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from oms.queue.wakeups import wake_on_commit
from payments.errors import PaymentNotCapturable, RefundExceedsCaptured
from payments.events import (
    PaymentCaptureRequested,
    PaymentVoided,
    PaymentVoidRequested,
    RefundRequested,
)
from payments.locks import lock_payment, lock_payments_of_order, lock_payments_of_orders
from payments.models import Payment, Refund, RequestedAction
from payments.operations.attempts import PROCESS_TASK
from payments.states import PaymentStatus


@transaction
def request_refund(
    *,
    actor: Actor,
    payment_id: UUID,
    order_id: UUID | None = None,
    amount: Decimal | None = None,
    reason: str = "",
) -> Refund:
    """Create a refund of `amount`, or of the remaining amount; a worker sends it.

    Locks all payments of the order with that id, if one is given, to which it belongs. Raises
    PermissionDenied, NotFound, Invalid for more decimals than the currency has, and
    RefundExceedsCaptured if less is left or nothing.
    """
    actor.require(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND)
    if order_id is None:
        payment = lock_payment(payment_id)
    else:
        of_order = {each.id: each for each in lock_payments_of_orders([order_id])}
        payment = of_order.get(payment_id)
    if payment is None:
        raise NotFound
    return _create_refund(payment, actor=actor, amount=amount, reason=reason, at=clock.now())


def _create_refund(
    payment: Payment,
    *,
    actor: Actor,
    amount: Decimal | None,
    reason: str,
    at: datetime,
    part_of: UUID | None = None,
) -> Refund:
    amount = payment.refundable if amount is None else amount
    amount = in_currency(amount, payment.currency, pointer="/amount")
    if amount <= 0 or amount > payment.refundable:
        raise RefundExceedsCaptured(
            captured=formatted(payment.captured_amount, payment.currency),
            refundable=formatted(payment.refundable, payment.currency),
        )
    if (run := current_dry_run()) is not None:
        run.refund(amount, payment.currency)
    payment.refunded_amount += amount
    payment.updated_at = at
    payment.save(update_fields=["refunded_amount", "updated_at"])
    refund = Refund.objects.create(
        payment=payment,
        order_id=payment.order_id,
        part_of=part_of,
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
    wake_on_commit(PROCESS_TASK)
    return refund


@transaction_required
def refund_captured(
    payments: Sequence[Payment], *, actor: Actor, amount: Decimal, reason: str, at: datetime
) -> Sequence[Refund]:
    """Refund `amount` of the locked captured payments, the first ones first.

    Less than that if less is left to refund; none if nothing is. Of several refunds the others
    refer to the first one, so that they count as one.
    """
    refunds: list[Refund] = []
    for payment in payments:
        part = min(amount, payment.refundable)
        if part > 0:
            refunds.append(
                _create_refund(
                    payment,
                    actor=actor,
                    amount=part,
                    reason=reason,
                    at=at,
                    part_of=refunds[0].id if refunds else None,
                )
            )
            amount -= part
    return refunds


@transaction_required
def refund_exactly(
    payments: Sequence[Payment],
    *,
    actor: Actor,
    amount: Decimal,
    currency: str,
    reason: str,
    at: datetime,
) -> Sequence[Refund]:
    """Refund `amount` as `refund_captured` does. Raises RefundExceedsCaptured if less is left."""
    refundable = sum((payment.refundable for payment in payments), ZERO)
    if not 0 < amount <= refundable:
        captured = sum((payment.captured_amount for payment in payments), ZERO)
        raise RefundExceedsCaptured(
            requested=formatted(amount, currency),
            captured=formatted(captured, currency),
            refundable=formatted(refundable, currency),
        )
    return refund_captured(payments, actor=actor, amount=amount, reason=reason, at=at)


@transaction_required
def refund_or_void(*, actor: Actor, order_id: UUID, reason: str, at: datetime) -> bool:
    """Refund the order's captured payments, and void those authorized or not yet sent.

    Returns whether anything is refunded: the caller knows who may. A payment without a known
    outcome is left alone: if it is captured later, the order's handler of that event refunds it.
    The caller holds the order's lock.
    """
    refunds = False
    for payment in lock_payments_of_order(order_id):
        if payment.status == PaymentStatus.CAPTURED and payment.refundable:
            _create_refund(payment, actor=actor, amount=None, reason=reason, at=at)
            refunds = True
        elif payment.status == PaymentStatus.AUTHORIZED:
            _request_action(payment, RequestedAction.VOID, actor=actor, at=at)
        elif payment.status == PaymentStatus.CREATED:
            _void_unsent(payment, actor=actor, at=at)
    return refunds


@transaction_required
def void_unsent(*, actor: Actor, order_ids: Collection[UUID], at: datetime) -> set[UUID | None]:
    """Void the payments of the orders that were never sent.

    Returns the orders that have a captured or authorized payment. The caller holds the orders'
    locks.
    """
    paid = set()
    for payment in lock_payments_of_orders(order_ids):
        if payment.status in (PaymentStatus.CAPTURED, PaymentStatus.AUTHORIZED):
            paid.add(payment.order_id)
        elif payment.status == PaymentStatus.CREATED:
            _void_unsent(payment, actor=actor, at=at)
    return paid


def _void_unsent(payment: Payment, *, actor: Actor, at: datetime) -> None:
    """Void a locked payment that was never sent: no worker can claim it any more."""
    payment.status = PaymentStatus.VOIDED
    payment.next_attempt_at = None
    payment.updated_at = at
    payment.save(update_fields=["status", "next_attempt_at", "updated_at"])
    publish(PaymentVoided(payment_id=payment.id, order_id=payment.order_id), actor=actor, at=at)


@transaction
def request_capture_for_order(*, actor: Actor, order_id: UUID) -> None:
    """Request the capture of the order's authorized payment, if there is one."""
    for payment in lock_payments_of_order(order_id):
        if _is_capturable(payment):
            _request_action(payment, RequestedAction.CAPTURE, actor=actor, at=clock.now())


@transaction
def request_capture(*, actor: Actor, payment_id: UUID) -> Payment:
    """Request the capture of an authorized payment.

    Raises PermissionDenied, NotFound and PaymentNotCapturable.
    """
    return _request_action_of(payment_id, RequestedAction.CAPTURE, actor=actor)


@transaction
def request_void(*, actor: Actor, payment_id: UUID) -> Payment:
    """Request the void of an authorized payment.

    Raises PermissionDenied, NotFound and PaymentNotCapturable.
    """
    return _request_action_of(payment_id, RequestedAction.VOID, actor=actor)


@transaction_required
def _request_action_of(payment_id: UUID, action: RequestedAction, *, actor: Actor) -> Payment:
    actor.require(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY)
    payment = lock_payment(payment_id)
    if payment is None:
        raise NotFound
    if not _is_capturable(payment):
        raise PaymentNotCapturable(current_status=payment.status)
    _request_action(payment, action, actor=actor, at=clock.now())
    return payment


def _is_capturable(payment: Payment) -> bool:
    return (
        payment.status == PaymentStatus.AUTHORIZED
        and payment.requested_action == RequestedAction.NONE
    )


def _request_action(
    payment: Payment, action: RequestedAction, *, actor: Actor, at: datetime
) -> None:
    payment.requested_action = action
    payment.updated_at = at
    payment.next_attempt_at = Now()
    payment.attempts = 0
    payment.save(update_fields=["requested_action", "updated_at", "next_attempt_at", "attempts"])
    requested = (
        PaymentCaptureRequested if action is RequestedAction.CAPTURE else PaymentVoidRequested
    )
    publish(requested(payment_id=payment.id, order_id=payment.order_id), actor=actor, at=at)
    wake_on_commit(PROCESS_TASK)
