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
_MONEY = """
    SELECT orders_order.customer_id, payment.currency,
           sum(payment.captured_amount - payment.refunded_amount)
    FROM orders_order CROSS JOIN LATERAL (
        SELECT currency, captured_amount, refunded_amount FROM payments_payment
        WHERE order_id = orders_order.id AND captured_amount > 0
        OFFSET 0  -- by the index of each order
    ) AS payment
    WHERE orders_order.customer_id = ANY(%s) AND orders_order.deleted_at IS NULL
    GROUP BY orders_order.customer_id, payment.currency ORDER BY payment.currency
"""
_MAILS = """
    SELECT recipient_id, count(*) FROM notifications_notification
    WHERE recipient_id = ANY(%s) AND channel = %s AND state = %s GROUP BY recipient_id
"""


@dataclass(frozen=True, kw_only=True)
class CustomerFigures:
    """`spent` is what was captured and not refunded, by currency; `mails` were sent."""

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
