"""Named reads that explain the stock of a product: what holds it, and how it was at some time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q, Sum

from inventory.models import MovementKind, StockDocumentItem, StockMovement, WaitingItem
from inventory.queries import (
    LocationStock,
    ProductStock,
    find_product,
    stock_of_product,
    summed_stock,
)
from oms.core.actor import Actor, ActorKind
from oms.core.errors import NotAuthenticated
from oms.core.ids import first_id_at
from oms.core.permissions import Permission
from oms.db.pipeline import execute

# Rows of each list.
MOST = 200
# How much earlier or later than its `created_at` the id of a movement may be.
_SLACK = timedelta(hours=1)
# Before all movements.
_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """What an order has reserved at a location."""

    order_id: UUID
    location: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class QueuedOrder:
    """What an order waits for, and since when."""

    order_id: UUID
    quantity: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class UnbookedItem:
    """What a receipt that is not finished is yet to bring."""

    receipt_id: UUID
    reference: str
    location: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Why so much of a product is available: the stock and all that it is promised to.

    `reserved_by` has the oldest orders first, `queue` is in the order in which it is served; both
    are None for those who may not see orders. `is_truncated` if a list has more than `MOST` rows.
    """

    stock: ProductStock
    waiting: int
    reserved_by: Sequence[Reservation] | None
    queue: Sequence[QueuedOrder] | None
    under_way: Sequence[UnbookedItem]
    is_truncated: bool


def explain_availability(*, actor: Actor, product_id: UUID) -> Availability:
    """What is on hand of a product, reserved, waiting, and in receipts that are not finished.

    Raises PermissionDenied and NotFound.
    """
    actor.require(Permission.STOCK_VIEW)
    stock = stock_of_product(actor=actor, product_id=product_id)
    waiting = WaitingItem.objects.filter(product=product_id)
    total = waiting.aggregate(total=Sum("quantity"))["total"] or 0
    reserved_by, queue = None, None
    if actor.may(Permission.ORDERS_VIEW):
        # Its statement reads the whole ledger of the product.
        reserved_by = _reservations(product_id) if stock.reserved else []
        queue = [
            QueuedOrder(order_id=order_id, quantity=quantity, since=since)
            for order_id, quantity, since in waiting.order_by("place").values_list(
                "order_id", "quantity", "created_at"
            )[: MOST + 1]
        ]
    under_way = _unbooked_items(product_id)
    lists = (reserved_by or [], queue or [], under_way)
    return Availability(
        stock=stock,
        waiting=total,
        reserved_by=None if reserved_by is None else reserved_by[:MOST],
        queue=None if queue is None else queue[:MOST],
        under_way=under_way[:MOST],
        is_truncated=any(len(rows) > MOST for rows in lists),
    )


def _reservations(product_id: UUID) -> list[Reservation]:
    rows = (
        StockMovement.objects.filter(product=product_id, order_id__isnull=False)
        .values_list("order_id", "location__code")
        .annotate(quantity=Sum("reserved_delta"))
        .filter(quantity__gt=0)
        .order_by("order_id", "location__code")[: MOST + 1]
    )
    return [
        Reservation(order_id=order_id, location=location, quantity=quantity)
        for order_id, location, quantity in rows
        if order_id is not None
    ]


def _unbooked_items(product_id: UUID) -> list[UnbookedItem]:
    items = StockDocumentItem.objects.filter(product=product_id, on_hand_delta__isnull=True)
    return [
        UnbookedItem(receipt_id=id, reference=reference, location=location, quantity=quantity)
        for id, reference, location, quantity in items.order_by("document").values_list(
            "document", "document__reference", "document__location__code", "quantity"
        )[: MOST + 1]
    ]


# From the present levels backwards, so that recent times, which are asked for most, read least.
# The range of ids is read from the index; the column decides.
_AS_OF = """
    SELECT location.code, level.on_hand - coalesce(later.on_hand, 0),
           level.reserved - coalesce(later.reserved, 0)
    FROM inventory_stocklevel AS level
    JOIN inventory_location AS location ON location.id = level.location_id
    LEFT JOIN (
        SELECT location_id, sum(on_hand_delta)::int AS on_hand, sum(reserved_delta)::int AS reserved
        FROM inventory_stockmovement
        WHERE product_id = %s AND id >= %s AND created_at > %s
        GROUP BY location_id
    ) AS later ON later.location_id = level.location_id
    WHERE level.product_id = %s
    ORDER BY location.priority, location.code
"""


def stock_of_product_at(*, actor: Actor, product_id: UUID, at: datetime) -> ProductStock:
    """The stock of a product as of a past time, by the ledger; its threshold is the present one.

    Raises NotAuthenticated, PermissionDenied and NotFound.
    """
    if actor.kind is ActorKind.ANONYMOUS:
        raise NotAuthenticated
    actor.require(Permission.STOCK_VIEW)
    product = find_product(actor=actor, product_id=product_id)
    at = max(at, _BEGINNING)
    first_id = first_id_at(at - _SLACK)
    rows = execute(_AS_OF, [product_id, first_id, at, product_id], prepared=False).rows()
    earlier = StockMovement.objects.filter(
        product=product_id, id__lt=first_id_at(at + _SLACK), created_at__lte=at
    )
    last = earlier.order_by("-id").values_list("created_at", flat=True).first()
    locations = [
        LocationStock(
            code=code,
            on_hand=on_hand,
            reserved=reserved,
            available=on_hand - reserved,
        )
        for code, on_hand, reserved in rows
    ]
    return summed_stock(product, locations, updated_at=last or product.created_at)


@dataclass(frozen=True, kw_only=True)
class OrderStock:
    """Of a product: the quantities reserved for an order, shipped, and restocked after that."""

    reserved: int
    shipped: int
    restocked: int


def stock_of_order_at(*, order_id: UUID, at: datetime) -> dict[UUID, OrderStock]:
    """The stock of an order by product as of a past time, by the ledger."""
    moved = StockMovement.objects.filter(order_id=order_id, created_at__lte=at)
    rows = (
        moved.values_list("product_id")
        .annotate(
            reserved=Sum("reserved_delta"),
            shipped=-Sum("on_hand_delta", filter=Q(kind=MovementKind.SHIP), default=0),
            restocked=Sum("on_hand_delta", filter=Q(kind=MovementKind.RETURN), default=0),
        )
        .order_by("product_id")
    )
    return {
        product_id: OrderStock(reserved=reserved, shipped=shipped, restocked=restocked)
        for product_id, reserved, shipped, restocked in rows
    }
