"""Named reads of payments."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.ids import as_uuid
from oms.core.money import ZERO
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result, execute
from oms.queue import leases
from payments.models import Payment, Refund
from payments.states import IN_PROGRESS, PaymentStatus, RefundStatus


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


_STATUSES = "SELECT id, status, captured_amount FROM payments_payment WHERE id = ANY(%s)"


def query_statuses(
    payment_ids: Collection[UUID], *, pipeline: Pipeline
) -> Result[tuple[UUID, str, Decimal]]:
    """The ids, statuses and captured amounts of those of the payments that exist."""
    return pipeline.query(_STATUSES, [list(payment_ids)])


def payments_of_refunds(refund_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The payment of each of the refunds that exist."""
    return dict(Refund.objects.filter(pk__in=refund_ids).values_list("pk", "payment_id"))


def payments_of_references(charges: Collection[tuple[str, str]]) -> set[UUID]:
    """The payments that providers know by these references, each given with its provider."""
    references = {reference for _, reference in charges}
    if not references:
        return set()
    # Phrased so that the partial index of the references is used.
    found = Payment.objects.filter(provider_reference__in=references)
    rows = found.exclude(provider_reference="").values_list("pk", "provider", "provider_reference")
    return {id for id, provider, reference in rows if (provider, reference) in charges}


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentTotals:
    """The money of an order in its currency, and the newest payment that the shop requested.

    `refunded` is what has left, `kept` what is captured less all refunds that have not failed.
    """

    captured: Decimal = ZERO
    refunded: Decimal = ZERO
    kept: Decimal = ZERO
    newest_id: UUID | None = None
    newest_status: str = ""


_TOTALS = """
    SELECT payment.order_id, payment.currency, sum(payment.captured_amount),
           sum(CASE WHEN payment.refunded_amount > 0 THEN coalesce((
               SELECT sum(refund.amount) FROM payments_refund AS refund
               WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'
           ), 0) ELSE 0 END),
           sum(greatest(payment.captured_amount - payment.refunded_amount, 0)),
           (array_agg(payment.id ORDER BY payment.id DESC)
               FILTER (WHERE payment.origin = 'shop'))[1],
           (array_agg(payment.status ORDER BY payment.id DESC)
               FILTER (WHERE payment.origin = 'shop'))[1]
    FROM payments_payment AS payment
    WHERE payment.order_id = ANY(%s) GROUP BY payment.order_id, payment.currency
"""


def totals_of_orders(order_ids: Collection[UUID]) -> dict[tuple[UUID, str], PaymentTotals]:
    """The totals of the orders' payments, by order and currency."""
    if not order_ids:
        return {}
    return {
        (order_id, currency): PaymentTotals(
            captured=captured,
            refunded=refunded,
            kept=kept,
            newest_id=newest_id,
            newest_status=status or "",
        )
        for order_id, currency, captured, refunded, kept, newest_id, status in execute(
            _TOTALS, [list(order_ids)]
        ).rows()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeTotals:
    """What we have recorded of a charge at the provider, in one currency."""

    captured: Decimal = ZERO
    refunded: Decimal = ZERO


_CHARGES = """
    SELECT charge.key, payment.currency, sum(payment.captured_amount),
           sum(coalesce((
               SELECT sum(refund.amount) FROM payments_refund AS refund
               WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'), 0))
    FROM (
        SELECT id, id::text AS key FROM payments_payment WHERE id = ANY(%s)
        UNION ALL
        SELECT id, charge_key FROM payments_payment
        WHERE charge_key = ANY(%s) AND charge_key <> ''
    ) AS charge
    JOIN payments_payment AS payment ON payment.id = charge.id AND payment.provider = %s
    GROUP BY charge.key, payment.currency
"""


def totals_of_charges(
    keys: Collection[str], *, provider: str
) -> dict[tuple[str, str], ChargeTotals]:
    """What we have recorded of the charges with these keys, by key and currency."""
    ids = [id for key in keys if (id := as_uuid(key)) is not None]  # the others' are no UUIDs
    rows = execute(_CHARGES, [ids, list(keys), provider]).rows()
    return {
        (key, currency): ChargeTotals(captured=captured, refunded=refunded)
        for key, currency, captured, refunded in rows
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundState:
    """Where the refunds of an order have got to, in one currency.

    `left` is what is left to refund. `by_shop` is what the shop has refunded of its own payments
    and of the one that was asked about, but not of other money that others had charged.
    """

    left: Decimal
    by_shop: Decimal
    is_paying: bool


_REFUND_STATE = """
    SELECT coalesce(sum(greatest(captured_amount - refunded_amount, 0))
                        FILTER (WHERE currency = %s), 0),
           coalesce(sum(refunds.amount) FILTER (
               WHERE currency = %s AND (origin = 'shop' OR id = %s)), 0),
           coalesce(bool_or(status = ANY(%s)), false)
    FROM payments_payment AS payment CROSS JOIN LATERAL (
        SELECT sum(amount) AS amount FROM payments_refund AS refund
        WHERE payment.refunded_amount > 0 AND refund.payment_id = payment.id
          AND refund.origin = 'shop' AND refund.status <> 'failed'
    ) AS refunds
    WHERE order_id = %s
"""


def refund_state(order_id: UUID, *, payment_id: UUID, currency: str) -> RefundState:
    """The state of the order's refunds after one of that payment."""
    in_progress = [status.value for status in IN_PROGRESS]
    parameters = [currency, currency, payment_id, in_progress, order_id]
    [(left, by_shop, is_paying)] = execute(_REFUND_STATE, parameters).rows()
    return RefundState(left=left, by_shop=by_shop, is_paying=is_paying)


def amounts_of_refunds(refund_ids: Collection[UUID]) -> dict[UUID, Decimal]:
    """The amounts of those of the refunds that have not failed, with all parts of each.

    One of which only some parts have failed counts with the others.
    """
    if not refund_ids:
        return {}
    # By the index of the orders.
    orders = Refund.objects.filter(pk__in=refund_ids).values("order_id")
    parts = Refund.objects.filter(
        Q(pk__in=refund_ids) | Q(part_of__in=refund_ids), order_id__in=orders
    )
    amounts = parts.exclude(status=RefundStatus.FAILED).values_list(Coalesce("part_of", "id"))
    return dict(amounts.annotate(Sum("amount")).order_by())


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
