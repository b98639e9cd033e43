"""Named reads of customers, with a constant number of statements for any number of them.

Customers are all accounts but those of staff. Orders that were deleted are not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet

from notifications.models import Channel, DeliveryState, Notification
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline
from oms.users.models import User

# Raw: aggregates over the tables of several apps, each by the index of its customers.
_ORDERS = """
    SELECT customer_id, count(*), max(placed_at) FROM orders_order
    WHERE customer_id = ANY(%s) AND deleted_at IS NULL GROUP BY customer_id
"""
# The net sales of docs/reports.md, less what is still owed.
_MONEY = """
    SELECT customer_id, currency, sum(least(total, greatest(captured - refunded, 0)))
    FROM orders_order CROSS JOIN LATERAL (
        SELECT sum(captured_amount) AS captured,
               sum(CASE WHEN refunded_amount > 0 THEN coalesce((
                   SELECT sum(amount) FROM payments_refund AS refund
                   WHERE refund.payment_id = payment.id AND refund.status = 'succeeded'
               ), 0) ELSE 0 END) AS refunded
        FROM payments_payment AS payment
        WHERE order_id = orders_order.id AND currency = orders_order.currency
    ) AS money
    WHERE customer_id = ANY(%s) AND deleted_at IS NULL AND captured > 0
      AND confirmed_at IS NOT NULL AND cancelled_at IS NULL
    GROUP BY customer_id, currency ORDER BY currency
"""
_MAILS = """
    SELECT recipient_id, count(*) FROM notifications_notification
    WHERE recipient_id = ANY(%s) AND channel = %s AND state = %s GROUP BY recipient_id
"""


@dataclass(frozen=True, kw_only=True)
class CustomerFigures:
    """`spent` is the money kept for what is still sold, by currency; `mails` were sent."""

    orders: int = 0
    last_order_at: datetime | None = None
    spent: Sequence[tuple[str, Decimal]] = ()
    mails: int = 0


def customers(*, actor: Actor) -> QuerySet[User]:
    """All customers, unsorted. Raises PermissionDenied."""
    actor.require(Permission.CUSTOMERS_VIEW)
    return User.objects.filter(is_staff=False)


def find_customer(customer_id: UUID, *, actor: Actor) -> User:
    """The customer. Raises PermissionDenied and NotFound."""
    customer = customers(actor=actor).filter(pk=customer_id).first()
    if customer is None:
        raise NotFound
    return customer


def figures_of(customer_ids: Collection[UUID]) -> Mapping[UUID, CustomerFigures]:
    """The figures of each customer, in one round trip."""
    ids = list(customer_ids)
    with Pipeline() as pipeline:
        orders = pipeline.query(_ORDERS, [ids])
        money = pipeline.query(_MONEY, [ids])
        mails = pipeline.query(_MAILS, [ids, Channel.EMAIL.value, DeliveryState.SENT.value])
        placed = {id: (count, last) for id, count, last in orders.rows()}
        sent = dict(mails.rows())
        spent: dict[UUID, list[tuple[str, Decimal]]] = {}
        for id, currency, amount in money.rows():
            spent.setdefault(id, []).append((currency, amount))
    return {
        id: CustomerFigures(
            orders=placed.get(id, (0, None))[0],
            last_order_at=placed.get(id, (0, None))[1],
            spent=spent.get(id, ()),
            mails=sent.get(id, 0),
        )
        for id in ids
    }


def latest_mails_to(customer_id: UUID, *, limit: int) -> Sequence[Notification]:
    """The latest mails to the customer, the newest first, in whatever state."""
    mails = Notification.objects.filter(recipient_id=customer_id, channel=Channel.EMAIL)
    return list(mails.order_by("-id")[:limit])
