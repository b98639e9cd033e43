"""What an order allows in its present state, for saved orders and for those about to be saved."""

from __future__ import annotations

from typing import Any

from orders.states import ALLOWED, HOLDS_STOCK, FulfilmentState, OrderStatus, PaymentState


class OrderRules:
    """Pure predicates of an order's statuses and total."""

    __slots__ = ()

    # Fields of the model in one subclass, of a dataclass in another.
    status: Any
    payment_status: Any
    fulfilment_status: Any
    total: Any

    @property
    def allowed(self) -> frozenset[OrderStatus]:
        """The statuses that the order may go to."""
        if self.has_shipped_anything:
            return ALLOWED[self.status] - {OrderStatus.CANCELLED}
        return ALLOWED[self.status]

    @property
    def holds_stock(self) -> bool:
        """Whether what has not been shipped of it is reserved."""
        return self.status in HOLDS_STOCK

    @property
    def has_shipped_anything(self) -> bool:
        return self.fulfilment_status != FulfilmentState.UNFULFILLED

    @property
    def is_awaiting_payment(self) -> bool:
        """Whether it is pending and no payment of it is under way."""
        return self.status == OrderStatus.PENDING and self.payment_status in (
            PaymentState.UNPAID,
            PaymentState.FAILED,
        )

    @property
    def is_payable(self) -> bool:
        """Whether money is owed for it, and no payment of it is under way."""
        owed = (OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
        waiting = (PaymentState.UNPAID, PaymentState.FAILED)
        return self.status in owed and self.payment_status in waiting and self.total > 0

    @property
    def is_deletable(self) -> bool:
        return (
            self.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED) or self.is_awaiting_payment
        )

    @property
    def is_shippable(self) -> bool:
        return self.status in (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
