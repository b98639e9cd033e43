"""Named reads of orders, complete with what their presentation needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from oms.core.actor import Actor, ActorKind
from oms.core.errors import NotFound
from oms.db.pipeline import ask, pipelined
from oms.db.raw_queries import asking_rows, asking_rows_of
from oms.events.history import earliest_event_of
from orders.models import Order, Shipment
from orders.rules import OrderRules


class _OrderColumns(NamedTuple):
    id: UUID
    number: str
    customer_id: UUID
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    total: Decimal
    shipping_address: dict[str, str]
    note: str
    placed_at: datetime
    expires_at: datetime | None
    updated_at: datetime
    version: int


class OrderRow(OrderRules, _OrderColumns):
    """What is shown of an order itself, as a plain row."""

    __slots__ = ()


class ItemRow(NamedTuple):
    """An item of an order, as a plain row; amounts are texts with two decimals."""

    order_id: bytes
    id: UUID
    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: str
    line_total: str
    quantity_shipped: int
    quantity_returned: int


class StatusChangeRow(NamedTuple):
    """An event that told of an order's status."""

    order_id: UUID
    status: str
    reason: str
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_label: str


_ORDER = ", ".join(f"orders_order.{name}" for name in OrderRow._fields)

# Raw, like those below: the hot reads of the project, each for as many callers as ask at once.
_ORDERS = f"SELECT {_ORDER} FROM orders_order WHERE id = ANY(%s) AND deleted_at IS NULL"  # noqa: S608

# A page has most of these: looking up an order by bytes takes a tenth of what it takes by UUID, and
# an amount a fifth as text of what it takes as Decimal.
_ITEMS = """
    SELECT uuid_send(order_id), id, product_id, sku, name, quantity, unit_price::text,
           line_total::text, quantity_shipped, quantity_returned
    FROM orders_orderitem WHERE order_id = ANY(%s) ORDER BY order_id, position
"""

_STEPS = """
    SELECT object_id, data->>'status', COALESCE(data->>'reason', ''), occurred_at,
           actor_kind, actor_id, actor_label
    FROM events_event
    WHERE object_id = ANY(%s) AND id >= %s AND object_type = 'order' AND data ? 'status'
    ORDER BY position
"""

# No page has more; the planner, which cannot know a page's size, would think of a tenth of all
# orders, and compile such a statement first.
_LONGEST = 1_000

# Each page walks along an index from its place on, wherever that is: along the orders of its
# customer or, without one, along all.
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

    Those of the customer `customer_id`; everybody's if it is None.
    """

    size: int
    customer_id: UUID | None
    before_id: UUID = _FIRST


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One step of an order's status.

    `by` is who took it: to staff by label, to the customer by kind, unless it was the customer.
    """

    status: str
    at: datetime
    by: str
    reason: str


def all_orders() -> QuerySet[Order]:
    """Every order that is not deleted, with its items."""
    return Order.objects.filter(deleted_at=None).prefetch_related("items")


def orders_of(customer_id: UUID) -> QuerySet[Order]:
    """The customer's orders that are not deleted, with their items."""
    return all_orders().filter(customer_id=customer_id)


def find_order(order_id: UUID, *, actor: Actor) -> Order:
    """The order with its items. Raises NotFound if there is none that the actor may see."""
    order = all_orders().filter(pk=order_id).first()
    if order is None or not actor.may_see_of(order.customer_id):
        raise NotFound
    return order


def shipments_of(order_id: UUID) -> QuerySet[Shipment]:
    """The order's parcels with what is in them, oldest first."""
    return Shipment.objects.filter(order_id=order_id).prefetch_related("items").order_by("id")


def history_of(order_id: UUID, *, actor: Actor) -> Sequence[HistoryEntry]:
    """The steps of the order's status out of the event log, oldest first, as `actor` may see it."""
    return history_seen_by(actor, status_changes_of([order_id])[order_id])


def status_changes_of(order_ids: Iterable[UUID]) -> Mapping[UUID, Sequence[StatusChangeRow]]:
    """For each order the events that tell of its status, oldest first."""
    return asking_status_changes(order_ids)()


def asking_status_changes(
    order_ids: Iterable[UUID],
) -> Callable[[], Mapping[UUID, Sequence[StatusChangeRow]]]:
    """Ask for them; they are fetched by calling what is returned."""
    steps: dict[UUID, list[StatusChangeRow]] = {id: [] for id in order_ids}
    if not steps:
        return dict
    asked = asking_rows(StatusChangeRow, _STEPS, [list(steps), earliest_event_of(steps)])

    def fetched() -> Mapping[UUID, Sequence[StatusChangeRow]]:
        for step in asked():
            steps[step.order_id].append(step)
        return steps

    return fetched


def history_seen_by(actor: Actor, steps: Iterable[StatusChangeRow]) -> Sequence[HistoryEntry]:
    """The steps of one order as `actor` may see them."""
    return [
        HistoryEntry(status=step.status, at=step.at, by=_seen_by(actor, step), reason=step.reason)
        for step in steps
    ]


def asking_orders(order_ids: Iterable[UUID]) -> Callable[[], dict[UUID, OrderRow]]:
    """Ask for those of the orders that are there and not deleted; fetched by calling the answer."""
    ids = list(order_ids)
    if not ids:
        return dict
    asked = asking_rows(OrderRow, _ORDERS, [ids])
    return lambda: {row.id: row for row in asked()}


def items_of(order_ids: Iterable[UUID]) -> Mapping[UUID, Sequence[ItemRow]]:
    """For each order its items in their order."""
    return asking_items(order_ids)()


def asking_items(order_ids: Iterable[UUID]) -> Callable[[], Mapping[UUID, Sequence[ItemRow]]]:
    """Ask for them; they are fetched by calling what is returned."""
    ids = list(order_ids)
    if not ids:
        return dict
    asked = asking_rows(ItemRow, _ITEMS, [ids])

    def fetched() -> Mapping[UUID, Sequence[ItemRow]]:
        items: dict[bytes, list[ItemRow]] = {id.bytes: [] for id in ids}
        for item in asked():
            items[item.order_id].append(item)
        return {id: items[id.bytes] for id in ids}

    return fetched


def orders_on(pages: Sequence[NewestPage | QuerySet[Any]]) -> list[list[OrderRow]]:
    """The orders of many pages with one round trip; the lists are in the order of `pages`.

    All newest pages share one statement. One that a queryset selects is planned for its values.
    """
    newest = [page for page in pages if isinstance(page, NewestPage)]
    others = [page for page in pages if not isinstance(page, NewestPage)]
    columns = [
        [page.customer_id for page in newest],
        [page.before_id for page in newest],
        [page.size for page in newest],
    ]
    with pipelined():
        asked = ask(_NEWEST, columns) if newest else None
        selected = iter([asking_rows_of(OrderRow, page) for page in others])
    by_number: list[list[OrderRow]] = [[] for _ in newest]
    for number, *order in asked.rows() if asked is not None else ():
        by_number[number - 1].append(OrderRow._make(order))
    found = iter(by_number)
    return [next(found) if isinstance(page, NewestPage) else next(selected)() for page in pages]


def _seen_by(actor: Actor, step: StatusChangeRow) -> str:
    if actor.kind in (ActorKind.STAFF, ActorKind.SYSTEM) or actor.id == step.actor_id:
        return step.actor_label
    return step.actor_kind
