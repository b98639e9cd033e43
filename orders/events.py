"""Events of orders. Those with a `status` are the order's history."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from oms.events.types import DomainEvent, event


@dataclass(frozen=True, kw_only=True)
class OrderEvent(DomainEvent):
    """Any event of an order."""

    order_id: UUID
    number: str
    customer_id: UUID


@dataclass(frozen=True, kw_only=True)
class OrderStatusChanged(OrderEvent):
    """The order's status changed from `previous_status` to `status`."""

    previous_status: str
    status: str
    reason: str = ""


@event("order.placed")
@dataclass(frozen=True, kw_only=True)
class OrderPlaced(OrderEvent):
    status: str
    total: Decimal
    currency: str


@event("order.edited")
@dataclass(frozen=True, kw_only=True)
class OrderEdited(OrderEvent):
    """`changes` maps each changed field to its old and its new value."""

    changes: dict[str, list[Any]]


@event("order.confirmed")
@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(OrderStatusChanged):
    pass


@event("order.processing_started")
@dataclass(frozen=True, kw_only=True)
class OrderProcessingStarted(OrderStatusChanged):
    pass


@event("order.put_on_hold")
@dataclass(frozen=True, kw_only=True)
class OrderPutOnHold(OrderStatusChanged):
    pass


@event("order.shipped")
@dataclass(frozen=True, kw_only=True)
class OrderShipped(OrderStatusChanged):
    pass


@event("order.delivered")
@dataclass(frozen=True, kw_only=True)
class OrderDelivered(OrderStatusChanged):
    pass


@event("order.cancelled")
@dataclass(frozen=True, kw_only=True)
class OrderCancelled(OrderStatusChanged):
    pass


@event("order.expired")
@dataclass(frozen=True, kw_only=True)
class OrderExpired(OrderStatusChanged):
    pass


@event("order.paid")
@dataclass(frozen=True, kw_only=True)
class OrderPaid(OrderEvent):
    """The order's total has been captured."""

    payment_id: UUID
    amount: Decimal
    currency: str


@event("order.payment_failed")
@dataclass(frozen=True, kw_only=True)
class OrderPaymentFailed(OrderEvent):
    payment_id: UUID
    code: str


@event("order.refunded")
@dataclass(frozen=True, kw_only=True)
class OrderRefunded(OrderEvent):
    """Some or all of the order's payment was refunded."""

    refund_id: UUID
    amount: Decimal
    currency: str


@event("order.shipment_sent")
@dataclass(frozen=True, kw_only=True)
class ShipmentSent(OrderEvent):
    """A shipment was sent; `is_complete` if nothing of the order remains. `pieces` are units."""

    shipment_id: UUID
    carrier: str
    tracking_number: str
    is_complete: bool
    pieces: int


@event("order.items_returned")
@dataclass(frozen=True, kw_only=True)
class ItemsReturned(OrderEvent):
    pieces: int


@event("order.deleted")
@dataclass(frozen=True, kw_only=True)
class OrderDeleted(OrderEvent):
    pass
