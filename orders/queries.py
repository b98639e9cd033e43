"""Named reads of orders, complete with what their presentation needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from oms.core.actor import Actor, ActorKind
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result
from oms.events.history import earliest_event_of
from orders.models import Cancellation, Order, OrderReturn, Shipment
from orders.rows import ItemRow, OrderRow


class StatusChange(NamedTuple):
    """An event that changed an order's status."""

    status: str
    reason: str
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_label: str


_ORDER = ", ".join(f"orders_order.{name}" for name in OrderRow._fields)

# Raw, like those below: the most frequent reads, each for all callers of a batch.
_ORDERS = f"SELECT {_ORDER} FROM orders_order WHERE id = ANY(%s) AND deleted_at IS NULL"  # noqa: S608

# The most frequent rows: bytes as keys take a tenth of the time of UUIDs, and amounts as text a
# fifth of that of Decimals.
_ITEMS = """
    SELECT id, product_id, sku, name, quantity, unit_price::text, line_total::text,
           quantity_waiting, quantity_shipped, quantity_returned, quantity_cancelled,
           uuid_send(order_id)
    FROM orders_orderitem WHERE order_id = ANY(%s) ORDER BY order_id, position
"""

_STATUS_CHANGES = """
    SELECT data->>'status', COALESCE(data->>'reason', ''), occurred_at, actor_kind, actor_id,
           actor_label, uuid_send(object_id)
    FROM events_event
    WHERE object_id = ANY(%s) AND id >= %s AND object_type = 'order' AND data ? 'status'
    ORDER BY position
"""

# No page has more. The planner does not know a page's size; it would assume a tenth of all orders,
# and compile the statement first.
_LONGEST = 1_000

# Each page scans an index from its position: the orders of its customer or, without one, all.
_PLACE = f"""
    SELECT * FROM (
        SELECT {_ORDER} FROM orders_order
        WHERE %s AND deleted_at IS NULL AND id < page.before_id ORDER BY id DESC LIMIT {_LONGEST}
    ) AS place
    LIMIT page.size
"""  # noqa: S608
_NEWEST = f"""
    SELECT page.number, {_ORDER.replace("orders_order.", "found.")}
    FROM unnest(%s::uuid[], %s::uuid[], %s::int[])
        WITH ORDINALITY AS page (customer_id, before_id, size, number)
    CROSS JOIN LATERAL (
        ({_PLACE % "customer_id = page.customer_id"})
        UNION ALL
        ({_PLACE % "page.customer_id IS NULL"})
    ) AS found
    ORDER BY page.number, found.id DESC
"""  # noqa: S608
_FIRST = UUID(int=2**128 - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewestPage:
    """A page of orders, newest first: `size` of them, older than `before_id`.

    Those of the customer `customer_id`, or of all customers if it is None.
    """

    size: int
    customer_id: UUID | None
    before_id: UUID = _FIRST


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One change of an order's status.

    `by` is the actor: shown to staff by label, to the customer by kind, unless it was the customer.
    """

    status: str
    at: datetime
    by: str
    reason: str


class _ByOrder:
    """Rows of many orders, queried with one statement of the pipeline; with none for no orders.

    The last column of the statement is the order's id as bytes.
    """

    def __init__(
        self,
        order_ids: Collection[UUID],
        *,
        statement: str,
        parameters: Sequence[Any],
        row: Any,
        pipeline: Pipeline,
    ) -> None:
        self._ids, self._row = order_ids, row
        self._result: Result[Any] | None = None
        if order_ids:
            self._result = pipeline.query(statement, [list(order_ids), *parameters])

    def rows(self) -> dict[UUID, list[Any]]:
        """The rows of each of the orders, in the order of the statement."""
        rows: dict[bytes, list[Any]] = {id.bytes: [] for id in self._ids}
        make = self._row._make
        for values in self._result.rows() if self._result is not None else ():
            rows[values[-1]].append(make(values[:-1]))
        return {id: rows[id.bytes] for id in self._ids}


def query_items(order_ids: Collection[UUID], *, pipeline: Pipeline) -> _ByOrder:
    """The items of each order, in their order."""
    return _ByOrder(order_ids, statement=_ITEMS, parameters=(), row=ItemRow, pipeline=pipeline)


def query_status_changes(order_ids: Collection[UUID], *, pipeline: Pipeline) -> _ByOrder:
    """The status changes of each order, oldest first, from the event log."""
    return _ByOrder(
        order_ids,
        statement=_STATUS_CHANGES,
        parameters=[earliest_event_of(order_ids)] if order_ids else (),
        row=StatusChange,
        pipeline=pipeline,
    )


def query_orders(order_ids: Collection[UUID], *, pipeline: Pipeline) -> Result[OrderRow]:
    """The existing orders with those ids that are not deleted, regardless of visibility."""
    return pipeline.query(_ORDERS, [list(order_ids)], make=OrderRow._make)


def query_pages(
    pages: Sequence[NewestPage | QuerySet[Any]], *, pipeline: Pipeline
) -> list[list[OrderRow]]:
    """The orders of many pages with one round trip; the lists are in the order of `pages`.

    All newest pages share one statement. A page that a queryset selects is planned for its values.
    """
    newest = [page for page in pages if isinstance(page, NewestPage)]
    columns = [
        [page.customer_id for page in newest],
        [page.before_id for page in newest],
        [page.size for page in newest],
    ]
    numbered = pipeline.query(_NEWEST, columns) if newest else None
    selected = iter(
        [pipeline.query_set(p, OrderRow) for p in pages if not isinstance(p, NewestPage)]
    )
    by_number: list[list[OrderRow]] = [[] for _ in newest]
    for number, *order in numbered.rows() if numbered is not None else ():
        by_number[number - 1].append(OrderRow._make(order))
    found = iter(by_number)
    return [
        next(found) if isinstance(page, NewestPage) else next(selected).rows() for page in pages
    ]


def all_orders() -> QuerySet[Order]:
    """Every order that is not deleted."""
    return Order.objects.filter(deleted_at=None)


def orders_of(customer_id: UUID) -> QuerySet[Order]:
    """The customer's orders that are not deleted."""
    return all_orders().filter(customer_id=customer_id)


def visible_order(
    order: OrderRow | None, *, actor: Actor, permissions: Sequence[Permission] = ()
) -> OrderRow:
    """The order; `permissions` are what staff need besides that to view orders.

    Customers need none for their own orders. Raises NotFound if there is none or it is another
    customer's, and PermissionDenied.
    """
    customer_id = None if order is None else order.customer_id
    actor.require_for(customer_id, Permission.ORDERS_VIEW, *permissions)
    if order is None:
        raise NotFound
    return order


def find_order(order_id: UUID, *, actor: Actor, permissions: Sequence[Permission] = ()) -> OrderRow:
    """The order with that id, if it is a `visible_order`."""
    with Pipeline() as pipeline:
        orders = query_orders([order_id], pipeline=pipeline).rows()
    return visible_order(orders[0] if orders else None, actor=actor, permissions=permissions)


def items_of(order_ids: Collection[UUID]) -> Mapping[UUID, Sequence[ItemRow]]:
    """The items of each order, in their order."""
    with Pipeline() as pipeline:
        return query_items(order_ids, pipeline=pipeline).rows()


def shipments_of(order_id: UUID) -> QuerySet[Shipment]:
    """The order's shipments with their items, oldest first."""
    return Shipment.objects.filter(order_id=order_id).prefetch_related("items").order_by("id")


def find_shipments(order_id: UUID, *, actor: Actor) -> QuerySet[Shipment]:
    """The shipments of an order that `actor` may see. Raises NotFound and PermissionDenied."""
    return shipments_of(find_order(order_id, actor=actor).id)


def find_cancellations(order_id: UUID, *, actor: Actor) -> QuerySet[Cancellation]:
    """The cancelled quantities of an order that `actor` may see; raises as above."""
    order = find_order(order_id, actor=actor)
    return Cancellation.objects.filter(order_id=order.id).prefetch_related("items")


def _complete_returns() -> QuerySet[OrderReturn]:
    """Returns of orders that are not deleted, with all that belongs to them."""
    return (
        OrderReturn.objects.filter(order__deleted_at=None)
        .select_related("order")
        .prefetch_related("items", "receipts__items__return_item")
    )


def all_returns(*, actor: Actor) -> QuerySet[OrderReturn]:
    """All returns, for staff. Raises PermissionDenied."""
    actor.require(Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    return _complete_returns()


def find_returns(order_id: UUID, *, actor: Actor) -> QuerySet[OrderReturn]:
    """The returns of an order that `actor` may see. Raises NotFound and PermissionDenied."""
    order = find_order(order_id, actor=actor, permissions=[Permission.RETURNS_HANDLE])
    return _complete_returns().filter(order_id=order.id)


def returns_of(order_id: UUID) -> QuerySet[OrderReturn]:
    """The returns of the order."""
    return OrderReturn.objects.filter(order_id=order_id)


def find_return(return_id: UUID, *, actor: Actor) -> OrderReturn:
    """The return, if `actor` may see it. Raises NotFound and PermissionDenied."""
    order_return = _complete_returns().filter(pk=return_id).first()
    customer_id = None if order_return is None else order_return.order.customer_id
    actor.require_for(customer_id, Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    if order_return is None:
        raise NotFound
    return order_return


def history_of(order_id: UUID, *, actor: Actor) -> Sequence[HistoryEntry]:
    """The order's status changes from the event log, oldest first, as `actor` may see them."""
    with Pipeline() as pipeline:
        changes = query_status_changes([order_id], pipeline=pipeline).rows()
    return history_visible_to(actor, changes[order_id])


def history_visible_to(actor: Actor, changes: Iterable[StatusChange]) -> Sequence[HistoryEntry]:
    """The status changes of one order as `actor` may see them."""
    sees_labels = actor.kind in (ActorKind.STAFF, ActorKind.SYSTEM)
    return [
        HistoryEntry(
            status=change.status,
            at=change.at,
            by=change.actor_label
            if sees_labels or actor.id == change.actor_id
            else change.actor_kind,
            reason=change.reason,
        )
        for change in changes
    ]
