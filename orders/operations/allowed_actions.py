"""The actions that an actor may take on an order, for clients that show buttons.

`edit`               change items, address or note                 PATCH /orders/{id}
`pay`                start another payment                         POST /orders/{id}/payments
`cancel`             cancel the order                              PUT /orders/{id}/cancel
`delete`             remove the order from all lists               DELETE /orders/{id}

Staff only:

`set_status:<s>`     change the status to s                        PUT /orders/{id}/status
`ship`               create a shipment                             POST /admin/orders/{id}/shipments
`refund`             refund a payment                              POST /admin/payments/{id}/refunds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from oms.core.actor import Actor
from orders.operations.status_changes import allowed_for_staff
from orders.rules import OrderRules
from orders.states import OrderStatus, PaymentState

_REFUNDABLE = (PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED)


class OwnedOrder(Protocol):
    """An order in any form: an instance, a row, or a new order not saved yet."""

    @property
    def customer_id(self) -> UUID: ...
    @property
    def status(self) -> Any: ...
    @property
    def payment_status(self) -> Any: ...
    @property
    def fulfilment_status(self) -> Any: ...
    @property
    def total(self) -> Any: ...


def allowed_actions(order: OwnedOrder, *, actor: Actor) -> Sequence[str]:
    """The actions that the order's statuses allow the actor, in the order above.

    Depends on the order alone, so it is valid for the order's version. An action can still fail for
    other reasons: backordered items that are not in stock, or refunds in progress.
    """
    if not actor.may_see_of(order.customer_id):
        return ()
    return _actions(
        order.status,
        order.payment_status,
        order.fulfilment_status,
        is_free=order.total <= 0,
        for_staff=actor.is_staff,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _State(OrderRules):
    status: Any
    payment_status: Any
    fulfilment_status: Any
    total: Any


# A few hundred combinations; a list needs the actions of each order.
@cache
def _actions(
    status: str, payment_status: str, fulfilment_status: str, *, is_free: bool, for_staff: bool
) -> tuple[str, ...]:
    order = _State(
        status=status,
        payment_status=payment_status,
        fulfilment_status=fulfilment_status,
        total=0 if is_free else 1,
    )
    offered = {
        "edit": order.is_awaiting_payment,
        "pay": order.is_payable,
        "cancel": OrderStatus.CANCELLED in order.allowed,
        "delete": order.is_deletable,
    }
    if for_staff:
        by_hand = allowed_for_staff(order)
        offered |= {f"set_status:{s.value}": s in by_hand for s in OrderStatus}
        offered["ship"] = order.is_shippable
        offered["refund"] = order.payment_status in _REFUNDABLE and not is_free
    return tuple(action for action, is_offered in offered.items() if is_offered)
