"""A model of orders, stock, payments and returns: what each call does, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

PRICES = (Decimal("10.00"), Decimal("25.50"))
"""The price of each product; products are numbered."""

OPEN = ("pending", "confirmed", "processing")
HOLDING = (*OPEN, "on_hold")
ENDED = ("cancelled", "expired")
NOTHING = Decimal(0)


class Refused(Exception):
    """The call changes nothing."""


def require(condition: bool) -> None:
    if not condition:
        raise Refused


@dataclass
class Line:
    """Units of one product; `paid_back` are those whose price was refunded when they returned."""

    price: Decimal
    quantity: int
    cancelled: int = 0
    shipped: int = 0
    returned: int = 0
    paid_back: int = 0
    waiting: int = 0

    @property
    def left(self) -> int:
        """What is still to be shipped."""
        return self.quantity - self.cancelled - self.shipped

    @property
    def reserved(self) -> int:
        return self.left - self.waiting


@dataclass
class ModelOrder:
    """An order with one payment at most; `unpaid` is what was cancelled without a refund."""

    lines: Mapping[int, Line]
    payment: str = ""
    status: str = "pending"
    amount: Decimal = NOTHING
    captured: Decimal = NOTHING
    refunded: Decimal = NOTHING
    unpaid: Decimal = NOTHING

    @property
    def total(self) -> Decimal:
        sold = (line.price * (line.quantity - line.cancelled) for line in self.lines.values())
        return sum(sold, NOTHING)

    @property
    def holds(self) -> bool:
        return self.status in HOLDING

    @property
    def has_shipped(self) -> bool:
        return any(line.shipped for line in self.lines.values())

    @property
    def refundable(self) -> Decimal:
        return self.captured - self.refunded

    def refund(self, amount: Decimal) -> Decimal:
        """Refund as much of the amount as is left; returns how much."""
        given = max(min(amount, self.refundable), NOTHING)
        self.refunded += given
        return given

    def complete(self) -> None:
        """Nothing is left to ship: the order ends by what has left."""
        if any(line.left for line in self.lines.values()):
            return
        if self.has_shipped:
            self.status = "shipped"
        else:
            self.end("cancelled")

    def end(self, status: str) -> None:
        self.status = status
        self.refund(self.refundable)
        for line in self.lines.values():
            line.waiting = 0

    def take_off(self, line: Line, quantity: int) -> None:
        """Cancel units of a line: first those that wait."""
        line.waiting -= min(line.waiting, quantity)
        line.cancelled += quantity


@dataclass
class Model:
    """The shop. Each method is a call, and raises Refused where the shop refuses it.

    `captures` are the orders whose captured payments they have not handled yet.
    """

    on_hand: list[int]
    orders: dict[UUID, ModelOrder] = field(default_factory=dict)
    captures: list[UUID] = field(default_factory=list)

    def reserved(self, product: int) -> int:
        return sum(line.reserved for _, line in self.holders(product))

    def holders(self, product: int) -> Iterator[tuple[UUID, Line]]:
        """The lines of a product that hold stock or wait for it, the oldest order first."""
        for id, order in sorted(self.orders.items()):
            if order.holds and product in order.lines:
                yield id, order.lines[product]

    def settle_books(self) -> None:
        """The latest orders lose what is not there; who waits gets what is, the oldest first."""
        for product, on_hand in enumerate(self.on_hand):
            lines = [line for _, line in self.holders(product)]
            short = self.reserved(product) - on_hand
            for line in reversed(lines):
                lost = max(min(short, line.reserved), 0)
                line.waiting += lost
                short -= lost
            spare = on_hand - self.reserved(product)
            for line in lines:
                given = max(min(spare, line.waiting), 0)
                line.waiting -= given
                spare -= given

    def place(self, id: UUID, quantities: Mapping[int, int], pays: bool) -> None:
        for product, quantity in quantities.items():
            require(quantity <= self.on_hand[product] - self.reserved(product))
        lines = {product: Line(PRICES[product], number) for product, number in quantities.items()}
        order = self.orders[id] = ModelOrder(lines)
        if pays:
            order.payment, order.amount = "processing", order.total

    def confirm(self, id: UUID) -> None:
        order = self.orders[id]
        require(order.status in ("pending", "confirmed", "on_hold"))
        order.status = "confirmed"

    def cancel(self, id: UUID) -> None:
        order = self.orders[id]
        if order.status != "cancelled":
            require(order.holds and not order.has_shipped)
            order.end("cancelled")

    def cancel_some(self, id: UUID, product: int, quantity: int) -> None:
        order = self.orders[id]
        line = order.lines[product]
        require(order.holds and quantity <= line.left)
        order.take_off(line, quantity)
        value = quantity * line.price
        if not order.refund(min(value, order.captured - order.total)):
            order.unpaid += value
        order.complete()

    def ship_some(self, id: UUID, product: int, quantity: int) -> None:
        order = self.orders[id]
        line = order.lines[product]
        require(order.status in ("confirmed", "processing") and quantity <= line.reserved)
        self._ship(order, {product: quantity})

    def ship(self, id: UUID) -> None:
        order = self.orders[id]
        require(order.status in ("confirmed", "processing"))
        reserved = {product: line.reserved for product, line in order.lines.items()}
        require(any(reserved.values()))
        self._ship(order, reserved)

    def _ship(self, order: ModelOrder, quantities: Mapping[int, int]) -> None:
        for product, quantity in quantities.items():
            order.lines[product].shipped += quantity
            self.on_hand[product] -= quantity
        order.status = "processing"
        order.complete()

    def deliver(self, id: UUID) -> None:
        order = self.orders[id]
        require(order.status in ("shipped", "delivered"))
        order.status = "delivered"

    def take_back(self, id: UUID, product: int, restock: bool, refund: bool) -> None:
        order = self.orders[id]
        line = order.lines[product]
        require(line.shipped > line.returned)
        if refund:
            require(line.shipped > line.paid_back and line.price <= order.refundable)
            order.refund(line.price)
            line.paid_back += 1
        line.returned += 1
        self.on_hand[product] += restock

    def refund(self, id: UUID, amount: Decimal | None) -> None:
        order = self.orders[id]
        amount = order.refundable if amount is None else amount
        require(0 < amount <= order.refundable)
        order.refund(amount)
        if not order.refundable and order.holds:
            for line in order.lines.values():
                order.take_off(line, line.left)
            order.complete()

    def charge(self, id: UUID, succeeds: bool) -> None:
        """The provider reports the outcome of the payment; a second one changes nothing."""
        order = self.orders[id]
        if order.payment == "processing":
            order.payment = "captured" if succeeds else "failed"
            if succeeds:
                order.captured = order.amount
                self.captures.append(id)

    def adjust(self, product: int, delta: int) -> None:
        require(self.on_hand[product] + delta >= 0)
        self.on_hand[product] += delta

    def expire(self) -> None:
        """Everything that waited for its payment has waited too long."""
        for order in self.orders.values():
            if order.status == "pending":
                order.end("expired")

    def handle_captures(self) -> None:
        """The orders learn of what was captured, in the order in which it was."""
        while self.captures:
            order = self.orders[self.captures.pop(0)]
            if order.status not in ENDED and order.unpaid and order.captured > order.total:
                order.refund(min(order.captured - order.total, order.unpaid))
                order.unpaid = NOTHING
            if order.refundable != order.total:
                # Too much or too little: staff decide.
                if order.status in OPEN:
                    order.status = "on_hold"
            elif order.status == "pending" or self._can_come_back(order):
                order.status = "confirmed"
            if order.status in ENDED:
                order.refund(order.refundable)

    def _can_come_back(self, order: ModelOrder) -> bool:
        return order.status == "expired" and all(
            line.left <= self.on_hand[product] - self.reserved(product)
            for product, line in order.lines.items()
        )

    def view(self) -> tuple[object, ...]:
        """All that can be compared with the shop."""
        return (
            tuple((number, self.reserved(product)) for product, number in enumerate(self.on_hand)),
            {
                id: (
                    order.status,
                    order.total,
                    order.captured,
                    order.refunded,
                    tuple(
                        (product, line.cancelled, line.shipped, line.returned, line.waiting)
                        for product, line in sorted(order.lines.items())
                    ),
                )
                for id, order in self.orders.items()
            },
        )
