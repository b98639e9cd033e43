"""Rules of an order's current state, for saved and for new orders."""

from __future__ import annotations

from typing import Any

from orders.states import ALLOWED, ENDED, HOLDS_STOCK, FulfilmentState, OrderStatus, PaymentState


class OrderRules:
    """Predicates of an order's statuses and total."""

    __slots__ = ()

    # Fields of a model or of a dataclass.
    status: Any
    payment_status: Any
    fulfilment_status: Any
    total: Any
    confirmed_at: Any

    @property
    def allowed(self) -> frozenset[OrderStatus]:
        """The statuses to which the order may change."""
        if self.has_shipped_anything:
            return ALLOWED[self.status] - {OrderStatus.CANCELLED}
        return ALLOWED[self.status]

    @property
    def was_confirmed(self) -> bool:
        """Whether it is, or was before it was put on hold; it doesn't wait for a payment again."""
        return self.confirmed_at is not None

    @property
    def holds_stock(self) -> bool:
        """Whether its unshipped items are reserved."""
        return self.status in HOLDS_STOCK

    @property
    def has_shipped_anything(self) -> bool:
        return self.fulfilment_status != FulfilmentState.UNFULFILLED

    @property
    def has_shipped_everything(self) -> bool:
        return self.fulfilment_status in (FulfilmentState.SHIPPED, FulfilmentState.DELIVERED)

    @property
    def is_awaiting_payment(self) -> bool:
        """Whether it is pending without a payment in progress."""
        return self.status == OrderStatus.PENDING and self.payment_status in (
            PaymentState.UNPAID,
            PaymentState.FAILED,
        )

    @property
    def is_payable(self) -> bool:
        """Whether anything is owed without a payment in progress; not of what was refunded."""
        waiting = (PaymentState.UNPAID, PaymentState.FAILED, PaymentState.PARTIALLY_PAID)
        return self.status not in ENDED and self.payment_status in waiting and self.total > 0

    @property
    def is_deletable(self) -> bool:
        return self.status in ENDED or self.is_awaiting_payment

    @property
    def is_shippable(self) -> bool:
        to_ship = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
        return self.status in to_ship and not self.is_fully_refunded

    @property
    def is_fully_refunded(self) -> bool:
        """Whether all was refunded of what still costs something: it is not shipped any more."""
        return self.payment_status == PaymentState.REFUNDED and self.total > 0
