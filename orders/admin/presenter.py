"""An order with its items and payments, for its page and its actions."""

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
    """The items and the payments are each read once, when first used."""

    order: Order

    @cached_property
    def items(self) -> Sequence[OrderItem]:
        return list(self.order.items.order_by("position"))

    @cached_property
    def payments(self) -> Sequence[Any]:
        return list(payments_of(self.order.id))

    @property
    def authorised_payment(self) -> Any:
        """The payment to capture or void; None if there is none or one of them is requested."""
        authorised = (
            payment
            for payment in self.payments
            if payment.status == PaymentStatus.AUTHORIZED and not payment.requested_action
        )
        return next(authorised, None)

    @property
    def refundable_payments(self) -> Sequence[Any]:
        return [payment for payment in self.payments if payment.refundable > 0]

    @property
    def payments_for_items(self) -> Sequence[Any]:
        """Those that items can be refunded from, which have prices in the order's currency."""
        currency = self.order.currency
        return [payment for payment in self.refundable_payments if payment.currency == currency]

    @property
    def items_to_ship(self) -> Sequence[OrderItem]:
        return [item for item in self.items if item.left_to_ship]

    @property
    def is_shippable(self) -> bool:
        """Whether anything can be shipped now."""
        return self.order.is_shippable and any(item.allocated for item in self.items)
