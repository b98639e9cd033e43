"""One order of the demo shop while it goes its way, and the rows that it leaves in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from oms.core.actor import Actor
from oms.core.money import ZERO
from oms.demo.copy import Rows
from oms.demo.plans import Plan
from oms.demo.stock import Pieces
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from orders.states import ALLOWED, FulfilmentState, OrderStatus, PaymentState, ShipmentStatus
from payments.models import Payment, Refund
from payments.states import PaymentStatus, RefundStatus


@dataclass(slots=True, kw_only=True)
class Line:
    """One line of the order; `product` is the product's index."""

    id: UUID
    product: int
    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    total: Decimal
    shipped: int = 0
    returned: int = 0


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One payment."""

    id: UUID
    token: str
    at: datetime
    status: PaymentStatus = PaymentStatus.PROCESSING
    reference: str = ""
    failure_code: str = ""
    failure_message: str = ""
    captured: Decimal = ZERO
    captured_at: datetime | None = None
    refunded: Decimal = ZERO
    updated_at: datetime
    tries: int = 1
    due_at: datetime | None = None
    last_error: str = ""


@dataclass(slots=True, kw_only=True)
class MoneyBack:
    """One refund."""

    id: UUID
    payment_id: UUID
    amount: Decimal
    reason: str
    at: datetime
    updated_at: datetime
    status: RefundStatus = RefundStatus.REQUESTED
    reference: str = ""
    succeeded_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Parcel:
    """One shipment: pieces by order item."""

    id: UUID
    items: list[tuple[UUID, UUID, int]]
    carrier: str
    tracking_number: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class Life:
    """An order with all that belongs to it.

    `random` is its own, so that what chance decides does not depend on when others do something.
    """

    id: UUID
    number: str
    customer: Actor
    address: dict[str, str]
    plan: Plan
    random: Random
    lines: list[Line]
    total: Decimal
    currency: str
    placed_at: datetime
    expires_at: datetime | None
    updated_at: datetime
    status: OrderStatus = OrderStatus.PENDING
    payment_status: PaymentState = PaymentState.UNPAID
    fulfilment: FulfilmentState = FulfilmentState.UNFULFILLED
    resumes_to: OrderStatus = OrderStatus.CONFIRMED
    version: int = 1
    confirmed_at: datetime | None = None
    cancelled_at: datetime | None = None
    delivered_at: datetime | None = None
    reserved: Pieces = field(default_factory=dict)
    shipped: Pieces = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    refunds: list[MoneyBack] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def touch(self, *, at: datetime) -> None:
        """As Order.touch."""
        self.version += 1
        self.updated_at = at

    def move_to(self, status: OrderStatus, *, at: datetime) -> str:
        """As Order.move_to: returns the previous status, refuses what is not allowed."""
        if status not in ALLOWED[self.status]:
            raise ValueError(f"The plan of {self.number} leads from {self.status} to {status}.")
        previous, self.status = self.status, status
        if status is OrderStatus.CONFIRMED and self.confirmed_at is None:
            self.confirmed_at = at
        if status is OrderStatus.CANCELLED:
            self.cancelled_at = at
        self.expires_at = None
        self.touch(at=at)
        return previous.value

    def fact(self) -> dict[str, Any]:
        """What every fact about the order says."""
        return {"order_id": self.id, "number": self.number, "customer_id": self.customer.id}

    def save(self, rows: Rows) -> None:
        """Write the order as it is now, with everything that belongs to it."""
        rows.add(
            Order,
            (
                self.id,
                self.number,
                self.customer.id,
                self.status.value,
                self.payment_status.value,
                self.fulfilment.value,
                self.currency,
                self.total,
                msgspec.json.encode(self.address).decode(),
                self.plan.note,
                self.placed_at,
                self.expires_at,
                self.confirmed_at,
                self.cancelled_at,
                self.updated_at,
                self.version,
            ),
        )
        for position, line in enumerate(self.lines):
            rows.add(
                OrderItem,
                (
                    *(line.id, self.id, line.product_id, position, line.sku, line.name),
                    *(line.quantity, line.unit_price, line.total, line.shipped, line.returned),
                ),
            )
        self._save_money(rows)
        self._save_parcels(rows)

    def _save_money(self, rows: Rows) -> None:
        for attempt in self.attempts:
            rows.add(
                Payment,
                (
                    *(attempt.id, self.id, "sandbox", attempt.token, "automatic", ""),
                    *(self.total, self.currency, attempt.status.value),
                    *(attempt.captured, attempt.refunded, attempt.reference),
                    *(attempt.failure_code, attempt.failure_message),
                    *(attempt.at, attempt.updated_at, attempt.captured_at),
                    *(attempt.tries if attempt.due_at else 0, attempt.due_at, attempt.tries),
                    attempt.last_error,
                ),
            )
        for refund in self.refunds:
            rows.add(
                Refund,
                (
                    *(refund.id, refund.payment_id, self.id, refund.amount, self.currency),
                    *(refund.reason, refund.status.value, refund.reference, ""),
                    *(refund.at, refund.updated_at, refund.succeeded_at),
                    *(0, refund.due_at, 0 if refund.due_at else 1, ""),
                ),
            )

    def _save_parcels(self, rows: Rows) -> None:
        status = ShipmentStatus.DELIVERED if self.delivered_at else ShipmentStatus.SHIPPED
        for parcel in self.parcels:
            rows.add(
                Shipment,
                (
                    *(parcel.id, self.id, status.value, parcel.carrier, parcel.tracking_number),
                    *(parcel.at, parcel.at, self.delivered_at),
                ),
            )
            for id, order_item_id, quantity in parcel.items:
                rows.add(ShipmentItem, (id, parcel.id, order_item_id, quantity))
