"""A model of orders, stock, payments and returns: what each call does, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from uuid import UUID

# Of each product; products are numbered. The second may be ordered beyond its stock.
PRICES, BACKORDERABLE = (Decimal("10.00"), Decimal("25.50")), 1
Place = tuple[UUID, int]  # in a queue: an order's own, or after those of all orders up to it

OPEN = ("pending", "confirmed", "processing")
ENDED, PAYABLE = ("cancelled", "expired"), ("", "failed")
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
    queue: Counter[Place] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """What is still to be shipped."""
        return self.quantity - self.cancelled - self.shipped

    @property
    def reserved(self) -> int:
        return self.left - self.queue.total()

    def take_off(self, quantity: int) -> None:
        """Hold that much less: first of what waits, from the end of the queue."""
        for place in sorted(self.queue, reverse=True):
            less = min(self.queue[place], quantity)
            self.queue[place] -= less
            quantity -= less

    def cancel(self, quantity: int) -> None:
        self.take_off(quantity)
        self.cancelled += quantity


@dataclass
class ModelOrder:
    """An order with its latest payment, since which `unpaid` was cancelled and not refunded."""

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
        return self.status in (*OPEN, "on_hold")

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
        if not any(line.left for line in self.lines.values()):
            if self.has_shipped:
                self.status = "shipped"
            else:
                self.end("cancelled")

    def end(self, status: str) -> None:
        self.status = status
        self.refund(self.refundable)
        for line in self.lines.values():
            line.queue.clear()

    def view(self) -> tuple[object, ...]:
        lines = tuple(
            (product, line.cancelled, line.shipped, line.returned, line.queue.total())
            for product, line in sorted(self.lines.items())
        )
        return self.status, self.total, self.captured, self.refunded, lines


@dataclass
class Model:
    """The shop. Each method is a call, and raises Refused where the shop refuses it.

    `captures` are the orders that have not handled what was captured; `joined` counts what joined
    the end of a queue.
    """

    on_hand: list[int]
    orders: dict[UUID, ModelOrder] = field(default_factory=dict)
    captures: list[UUID] = field(default_factory=list)
    joined: int = 0

    def holders(self, product: int) -> Iterator[tuple[UUID, Line]]:
        """The lines of a product that hold stock or wait for it, the oldest order first."""
        for id, order in sorted(self.orders.items()):
            if order.holds and product in order.lines:
                yield id, order.lines[product]

    def settle_books(self) -> None:
        """The latest orders lose what is not there; who waits gets what is, the oldest first."""
        for product in range(len(self.on_hand)):
            holders = list(self.holders(product))
            short = -self.spare(product)
            for id, line in reversed(holders):
                lost = max(min(short, line.reserved), 0)
                line.queue[id, 0] += lost
                short -= lost
            spare = self.spare(product)
            queue = [(place, line) for _, line in holders for place in line.queue]
            for place, line in sorted(queue, key=itemgetter(0)):
                given = max(min(spare, line.queue[place]), 0)
                line.queue[place] -= given
                spare -= given

    def spare(self, product: int) -> int:
        return self.on_hand[product] - sum(line.reserved for _, line in self.holders(product))

    def may_take(self, product: int, quantity: int) -> bool:
        return product == BACKORDERABLE or quantity <= self.spare(product)

    def end_of_queue(self) -> Place:
        self.joined += 1
        return max(self.orders), self.joined

    def place(self, id: UUID, quantities: Mapping[int, int], pays: bool) -> None:
        require(all(self.may_take(*line) for line in quantities.items()))
        lines = {
            product: Line(PRICES[product], quantity, queue=Counter({(id, 0): quantity}))
            for product, quantity in quantities.items()
        }
        self.orders[id] = ModelOrder(lines)
        if pays:
            self.pay(id)

    def edit(self, id: UUID, quantities: Mapping[int, int]) -> None:
        order = self.orders[id]
        require(order.status == "pending" and order.payment in PAYABLE)
        more = {product: n - order.lines[product].quantity for product, n in quantities.items()}
        has_cancelled = any(line.cancelled for line in order.lines.values())
        require(not (has_cancelled and any(more.values())))
        require(all(n <= 0 or self.may_take(product, n) for product, n in more.items()))
        for product, number in more.items():
            line = order.lines[product]
            line.quantity += number
            line.queue[self.end_of_queue()] += max(number, 0)
            line.take_off(max(-number, 0))

    def pay(self, id: UUID) -> None:
        order = self.orders[id]
        require(order.status not in ENDED and order.payment in PAYABLE and order.total > 0)
        order.payment, order.amount, order.unpaid = "processing", order.total, NOTHING

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
        line.cancel(quantity)
        value = quantity * line.price
        if not order.refund(min(value, order.captured - order.total)):
            order.unpaid += value
        order.complete()

    def ship(self, id: UUID, *line: int) -> None:
        """Ship a quantity of a product, by default everything that is reserved."""
        order = self.orders[id]
        reserved = {product: each.reserved for product, each in order.lines.items()}
        quantities = {line[0]: line[1]} if line else reserved
        require(order.status in ("confirmed", "processing") and any(quantities.values()))
        require(all(quantity <= reserved[product] for product, quantity in quantities.items()))
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
                line.cancel(line.left)
            order.complete()

    def charge(self, succeeds: bool, id: UUID) -> None:
        """The provider reports the outcome of the payment; a second one changes nothing."""
        order = self.orders[id]
        if order.payment == "processing":
            order.payment = "captured" if succeeds else "declined"
            order.captured = order.amount if succeeds else NOTHING
            self.captures += [id] if succeeds else []

    def adjust(self, delta: int, product: int) -> None:
        self.on_hand[product] += delta

    def expire(self) -> None:
        """Everything that waited for its payment has waited too long."""
        for order in self.orders.values():
            if order.status == "pending":
                order.end("expired")

    def handle_captures(self) -> None:
        """The orders learn of what was declined, and captured, in the order in which it was."""
        for order in self.orders.values():
            order.payment = order.payment.replace("declined", "failed")
        while self.captures:
            order = self.orders[self.captures.pop(0)]
            if order.status != "cancelled":
                order.refund(min(order.refundable - order.total, order.unpaid))
            # What was refunded is not owed again, but does not confirm what has ended.
            is_short = order.status in ENDED and order.refundable < order.total
            if order.refundable > order.total or is_short:
                if order.status in OPEN:
                    order.status = "on_hold"
            elif order.status == "pending" or self._comes_back(order):
                order.status = "confirmed"
                self.settle_books()
            if order.status in ENDED:
                order.refund(order.refundable)

    def _comes_back(self, order: ModelOrder) -> bool:
        """Whether an expired order can be served again: at the end of the queue."""
        lines = order.lines.items()
        is_served = order.status == "expired" and all(self.may_take(p, x.left) for p, x in lines)
        for _, line in lines if is_served else ():
            line.queue[self.end_of_queue()] += line.left
        return is_served

    def view(self) -> tuple[object, ...]:
        """All that can be compared with the shop."""
        stock = tuple((number, number - self.spare(p)) for p, number in enumerate(self.on_hand))
        return stock, {id: order.view() for id, order in self.orders.items()}
