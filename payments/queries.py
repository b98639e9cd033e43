"""Named reads of payments."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Prefetch, QuerySet, Sum

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.money import ZERO
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result
from oms.queue import leases
from payments.models import Payment, Refund
from payments.states import PaymentStatus, RefundStatus


class Requested(Protocol):
    """A payment or refund as other apps see it when they have requested it."""

    @property
    def id(self) -> UUID: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...


class RequestedRefund(Requested, Protocol):
    """A refund; `payment_left` is what is left to refund of its payment after it."""

    @property
    def payment_left(self) -> Decimal: ...


def all_payments(*, actor: Actor) -> QuerySet[Payment]:
    """Every payment with its refunds, for staff. Raises PermissionDenied."""
    actor.require(Permission.PAYMENTS_VIEW)
    return _with_refunds()


def _with_refunds() -> QuerySet[Payment]:
    refunds = Prefetch("refunds", Refund.objects.order_by("id"))
    return Payment.objects.prefetch_related(refunds)


def payments_of(order_id: UUID) -> QuerySet[Payment]:
    """The payments of the order with their refunds, oldest first."""
    return _with_refunds().filter(order_id=order_id).order_by("id")


def refunds_of(payment_id: UUID) -> QuerySet[Refund]:
    """The refunds of the payment, oldest first."""
    return Refund.objects.filter(payment_id=payment_id).order_by("id")


def find_refunds(payment_id: UUID, *, actor: Actor) -> QuerySet[Refund]:
    """The refunds of the payment, for staff. Raises PermissionDenied and NotFound."""
    actor.require(Permission.PAYMENTS_VIEW)
    if not Payment.objects.filter(pk=payment_id).exists():
        raise NotFound
    return refunds_of(payment_id)


def order_of_payment(payment_id: UUID) -> UUID | None:
    """The order of the payment; None if there is no such payment."""
    return Payment.objects.filter(pk=payment_id).values_list("order_id", flat=True).first()


_STATUSES = "SELECT id, status FROM payments_payment WHERE id = ANY(%s)"


def query_statuses(
    payment_ids: Collection[UUID], *, pipeline: Pipeline
) -> Result[tuple[UUID, str]]:
    """The ids and statuses of those of the payments that exist."""
    return pipeline.query(_STATUSES, [list(payment_ids)])


def payments_of_refunds(refund_ids: Collection[UUID]) -> set[UUID]:
    """The payments of the refunds."""
    refunds = Refund.objects.filter(pk__in=refund_ids)
    return set(refunds.values_list("payment_id", flat=True))


def superseded_payments(payment_ids: Collection[UUID]) -> set[UUID]:
    """Those of the payments whose orders have a newer payment."""
    if not payment_ids:
        return set()
    newer = Payment.objects.filter(order_id=OuterRef("order_id"), id__gt=OuterRef("id"))
    superseded = Payment.objects.filter(Exists(newer), pk__in=payment_ids)
    return set(superseded.values_list("pk", flat=True))


def succeeded_refunds(order_ids: Collection[UUID]) -> dict[UUID, Decimal]:
    """The refunded amount of each of the orders that has succeeded refunds."""
    if not order_ids:
        return {}
    refunds = Refund.objects.filter(order_id__in=order_ids, status=RefundStatus.SUCCEEDED)
    return dict(refunds.values_list("order_id").annotate(Sum("amount")).order_by())


def captured_amounts(order_ids: Collection[UUID]) -> dict[UUID, Decimal]:
    """The captured amount of each of the orders that has captured payments."""
    if not order_ids:
        return {}
    payments = Payment.objects.filter(order_id__in=order_ids, status=PaymentStatus.CAPTURED)
    return dict(payments.values_list("order_id").annotate(Sum("captured_amount")).order_by())


def refundable_of_order(order_id: UUID) -> Decimal:
    """What is left to refund of the order's payments together."""
    refundable = Sum(F("captured_amount") - F("refunded_amount"))
    payments = Payment.objects.filter(order_id=order_id)
    left: Decimal | None = payments.aggregate(left=refundable)["left"]
    return left or ZERO


def failed_refunds(refund_ids: Collection[UUID]) -> set[UUID]:
    """Those of the refunds that have failed."""
    if not refund_ids:
        return set()
    failed = Refund.objects.filter(pk__in=refund_ids, status=RefundStatus.FAILED)
    return set(failed.values_list("pk", flat=True))


def rejected_captures_and_voids() -> QuerySet[Payment]:
    """The authorized payments of which the provider rejected the last capture or void."""
    authorized = Payment.objects.filter(status=PaymentStatus.AUTHORIZED, requested_action="")
    return authorized.exclude(last_error="")


def seconds_overdue() -> dict[str, float]:
    """How many seconds the most overdue payment and refund have been due."""
    return {
        "payments": leases.seconds_overdue(Payment),
        "refunds": leases.seconds_overdue(Refund),
    }
