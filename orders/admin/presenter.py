"""All that a step or a page has to know of an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orders.models import Order, OrderItem
from payments.queries import payments_of
from payments.states import PaymentStatus


@dataclass(frozen=True)
class OrderPresenter:
    """An order with its items and payments, each read once when somebody asks.

    The payments are as `payments.queries` hands them out.
    """

    order: Order

    def __str__(self) -> str:
        return self.order.number

    @cached_property
    def items(self) -> Sequence[OrderItem]:
        return list(self.order.items.order_by("position"))

    @cached_property
    def payments(self) -> Sequence[Any]:
        return list(payments_of(self.order.id))

    @property
    def authorised(self) -> Any:
        """The payment that waits to be captured or let go; None if there is none."""
        waiting = (
            payment
            for payment in self.payments
            if payment.status == PaymentStatus.AUTHORIZED and not payment.requested_action
        )
        return next(waiting, None)

    @property
    def refundable(self) -> Sequence[Any]:
        """The payments of which something can be given back."""
        return [payment for payment in self.payments if payment.refundable > 0]

    @property
    def pieces_left(self) -> int:
        return sum(item.left_to_ship for item in self.items)
