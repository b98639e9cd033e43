"""The only place that locks the rows of orders, always sorted and in one statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from django.db.models import Q

from oms.core.actor import Actor
from oms.core.errors import NotFound, StaleVersion
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result, execute
from oms.db.transactions import transaction_required
from orders.models import Order, OrderItem, OrderReturn, Shipment
from orders.placements import Reference
from orders.states import OrderStatus, PaymentState


@transaction_required
def lock_order(
    order_id: UUID,
    *,
    actor: Actor,
    permissions: Sequence[Permission] = (),
    expected_version: int | None = None,
) -> Order:
    """The order, locked; `permissions` are what staff need besides that to view orders.

    Customers need none for their own orders. Raises NotFound if there is none, it is deleted, or it
    is another customer's, PermissionDenied, and StaleVersion if its version is not
    `expected_version`.
    """
    order = (
        Order.objects.select_for_update(no_key=True).filter(pk=order_id, deleted_at=None).first()
    )
    customer_id = None if order is None else order.customer_id
    actor.require_for(customer_id, Permission.ORDERS_VIEW, *permissions)
    if order is None:
        raise NotFound
    check_version(order, expected_version)
    return order


def check_version(order: Order, expected_version: int | None) -> None:
    """Raise StaleVersion unless the locked order has that version; None is any."""
    if expected_version is not None and order.version != expected_version:
        raise StaleVersion(current_version=order.version)


@transaction_required
def lock_return(
    return_id: UUID,
    *,
    actor: Actor,
    permissions: Sequence[Permission] = (),
    expected_version: int | None = None,
) -> tuple[Order, OrderReturn]:
    """The order, locked, and its return, which that lock protects; `lock_order` has the rest."""
    order_id = OrderReturn.objects.filter(pk=return_id).values_list("order_id", flat=True).first()
    order = lock_order(
        order_id or return_id,
        actor=actor,
        permissions=permissions,
        expected_version=expected_version,
    )
    order_return = OrderReturn.objects.prefetch_related("items").filter(pk=return_id).first()
    if order_return is None:
        raise NotFound
    order_return.order = order
    return order, order_return


@transaction_required
def lock_shipment(
    shipment_id: UUID, *, actor: Actor, expected_version: int | None = None
) -> tuple[Order, Shipment]:
    """The order, locked, and its shipment, which that lock protects; `lock_order` has the rest."""
    order_id = Shipment.objects.filter(pk=shipment_id).values_list("order_id", flat=True).first()
    order = lock_order(order_id or shipment_id, actor=actor, expected_version=expected_version)
    shipment = Shipment.objects.prefetch_related("items").filter(pk=shipment_id).first()
    if shipment is None:
        raise NotFound
    return order, shipment


@transaction_required
def lock_orders(order_ids: Iterable[UUID]) -> dict[UUID, Order]:
    """The orders by their ids, locked in the order of the ids, deleted ones too."""
    orders = Order.objects.select_for_update(no_key=True).filter(pk__in=set(order_ids))
    return {order.id: order for order in orders.order_by("id")}


# Every operation that sets a reference locks it. The orders are read by a statement of its own,
# which sees what was committed before the lock was free.
_LOCK_REFERENCES = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
_REFERENCED = """
    SELECT orders_order.customer_id, orders_order.reference
    FROM orders_order
    JOIN unnest(%s::uuid[], %s::text[]) AS wanted (customer_id, reference)
        USING (reference, customer_id)
"""


@transaction_required
def lock_references(
    wanted: Collection[Reference], *, pipeline: Pipeline | None = None
) -> Result[Reference] | None:
    """Those of the references that orders have, deleted ones too, all locked; None for none.

    Two statements, none without references. In a `pipeline` they are locked when it is sent.
    """
    if not wanted:
        return None
    numbers = sorted({_lock_number(reference) for reference in wanted})
    execute(_LOCK_REFERENCES, [numbers], pipeline=pipeline)
    customers, references = zip(*wanted, strict=True)
    columns = [list(customers), list(references)]
    return execute(_REFERENCED, columns, make=Reference._make, pipeline=pipeline)


def _lock_number(reference: Reference) -> int:
    text = f"order reference {reference.customer_id} {reference.text}"
    return int.from_bytes(sha256(text.encode()).digest()[:8], signed=True)


def overdue_order_ids(
    *, at: datetime, paying_since: datetime, before: UUID | None, limit: int
) -> Sequence[UUID]:
    """At most `limit` overdue orders with ids below `before`, the newest first, not locked."""
    orders = Order.objects.filter(_is_overdue(at, paying_since))
    if before is not None:
        orders = orders.filter(pk__lt=before)
    return list(orders.order_by("-id").values_list("pk", flat=True)[:limit])


@transaction_required
def lock_overdue_orders(
    order_ids: Iterable[UUID], *, at: datetime, paying_since: datetime
) -> Sequence[Order]:
    """Those of the orders that are overdue, locked; those locked by others are left out."""
    orders = Order.objects.select_for_update(no_key=True, skip_locked=True)
    return list(orders.filter(_is_overdue(at, paying_since), pk__in=order_ids).order_by("id"))


def _is_overdue(at: datetime, paying_since: datetime) -> Q:
    """Pending orders that expired by `at`; with a payment in progress, by `paying_since`."""
    unpaid = Q(payment_status__in=(PaymentState.UNPAID, PaymentState.FAILED))
    return Q(status=OrderStatus.PENDING) & (
        Q(expires_at__lte=at) & unpaid | Q(expires_at__lte=paying_since)
    )


def items_of(order_ids: Iterable[UUID]) -> dict[UUID, list[OrderItem]]:
    """The items of each of the orders, which their orders' locks protect."""
    items: dict[UUID, list[OrderItem]] = {id: [] for id in order_ids}
    for item in OrderItem.objects.filter(order_id__in=items).order_by("position"):
        items[item.order_id].append(item)
    return items
