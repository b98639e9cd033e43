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
class OrderPlaced(OrderEvent):
    status: str
    total: Decimal
    currency: str


@event("order.edited")
class OrderEdited(OrderEvent):
    """`changes` maps each changed field to its old and its new value."""

    changes: dict[str, list[Any]]


@event("order.internal_note_changed")
class InternalNoteChanged(DomainEvent):
    """No OrderEvent: customers neither see internal notes nor learn that there are any."""

    order_id: UUID
    number: str
    changes: dict[str, list[Any]]


@event("order.confirmed")
class OrderConfirmed(OrderStatusChanged):
    pass


@event("order.processing_started")
class OrderProcessingStarted(OrderStatusChanged):
    pass


@event("order.put_on_hold")
class OrderPutOnHold(OrderStatusChanged):
    pass


@event("order.awaiting_payment")
class OrderAwaitingPayment(OrderStatusChanged):
    """Released from hold without having been confirmed; it can expire again."""


@event("order.shipped")
class OrderShipped(OrderStatusChanged):
    pass


@event("order.delivered")
class OrderDelivered(OrderStatusChanged):
    pass


@event("order.cancelled")
class OrderCancelled(OrderStatusChanged):
    pass


@event("order.expired")
class OrderExpired(OrderStatusChanged):
    pass


@event("order.paid")
class OrderPaid(OrderEvent):
    """The order's total has been captured."""

    payment_id: UUID
    amount: Decimal
    currency: str


@event("order.partially_paid")
class OrderPartiallyPaid(OrderEvent):
    """Less than the order's total has been captured."""

    payment_id: UUID
    amount: Decimal
    currency: str


@event("order.payment_failed")
class OrderPaymentFailed(OrderEvent):
    payment_id: UUID
    code: str


@event("order.refunded")
class OrderRefunded(OrderEvent):
    """Some or all of the order's payment was refunded, or lost in a dispute."""

    refund_id: UUID
    amount: Decimal
    currency: str
    is_dispute: bool = False


@event("order.shipment_sent")
class ShipmentSent(OrderEvent):
    """A shipment was sent; `is_complete` if nothing of the order remains. `pieces` are units."""

    shipment_id: UUID
    carrier: str
    tracking_number: str
    is_complete: bool
    pieces: int


@event("order.items_allocated")
class OrderItemsAllocated(OrderEvent):
    """Quantities that had waited are reserved for the order now, by product."""

    quantities: dict[UUID, int]


@event("order.items_waiting")
class OrderItemsWaiting(OrderEvent):
    """Quantities that had been reserved for the order wait for new stock now, by product."""

    quantities: dict[UUID, int]


@event("order.shipment_corrected")
class ShipmentCorrected(OrderEvent):
    """`changes` maps the carrier and the tracking number to their old and their new value."""

    shipment_id: UUID
    carrier: str
    tracking_number: str
    changes: dict[str, list[Any]]


@event("order.shipment_delivered")
class ShipmentDelivered(OrderEvent):
    shipment_id: UUID


@event("order.items_cancelled")
class ItemsCancelled(OrderEvent):
    """Units that will not be shipped. `amount` is their price, which leaves the order's total.

    `refunded` is what is refunded of it: zero for an order that is not paid. `cancels_order` if
    nothing is left and nothing was shipped.
    """

    cancellation_id: UUID
    pieces: int
    amount: Decimal
    refunded: Decimal
    currency: str
    reason: str
    cancels_order: bool


@event("order.items_returned")
class ItemsReturned(OrderEvent):
    """Units came back to the stock with a refund, without a return."""

    pieces: int


@event("order.deleted")
class OrderDeleted(OrderEvent):
    pass
