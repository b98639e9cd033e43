"""The actions that an actor may take on an order, for clients that show buttons.

`edit`               change items, address or note                 PATCH /orders/{id}
`pay`                start another payment                         POST /orders/{id}/payments
`cancel`             cancel the order                              PUT /orders/{id}/cancel
`delete`             remove the order from all lists               DELETE /orders/{id}
`return`             request the return of shipped items           POST /orders/{id}/returns

Staff only:

`set_status:<s>`     change the status to s                        PUT /orders/{id}/status
`edit_address`       correct the address                           PATCH /orders/{id}
`ship`               create a shipment                             POST /admin/orders/{id}/shipments
`cancel_items`       cancel quantities       POST /admin/orders/{id}/cancellations
`refund`             refund a payment                              POST /admin/payments/{id}/refunds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from oms.core.actor import Actor
from oms.core.permissions import NO_PERMISSIONS, Permission
from orders.operations.status_changes import allowed_for_staff, permissions_for
from orders.rules import OrderRules
from orders.states import OrderStatus, PaymentState

_REFUNDABLE = (
    PaymentState.PAID,
    PaymentState.PARTIALLY_PAID,
    PaymentState.PARTIALLY_REFUNDED,
)


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
    @property
    def confirmed_at(self) -> Any: ...


def allowed_actions(order: OwnedOrder, *, actor: Actor) -> Sequence[str]:
    """The actions that the order's statuses and the actor's permissions allow, as above.

    Depends on the order and the permissions alone, so it is valid for the order's version. An
    action can still fail for other reasons: items that wait for stock, or refunds in
    progress.
    """
    is_own = actor.owns(order.customer_id)
    if not (is_own or actor.may(Permission.ORDERS_VIEW)):
        return ()
    return _actions(
        order.status,
        order.payment_status,
        order.fulfilment_status,
        is_free=order.total <= 0,
        was_confirmed=order.confirmed_at is not None,
        is_own=is_own,
        held=actor.held,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _State(OrderRules):
    status: Any
    payment_status: Any
    fulfilment_status: Any
    total: Any
    confirmed_at: Any


# A few hundred combinations for each set of permissions; a list needs the actions of each order.
@lru_cache(maxsize=20_000)
def _actions(
    status: str,
    payment_status: str,
    fulfilment_status: str,
    *,
    is_free: bool,
    was_confirmed: bool,
    is_own: bool,
    held: frozenset[Permission],
) -> tuple[str, ...]:
    order = _State(
        status=status,
        payment_status=payment_status,
        fulfilment_status=fulfilment_status,
        total=0 if is_free else 1,
        confirmed_at=was_confirmed or None,
    )
    is_refundable = order.payment_status in _REFUNDABLE and not is_free
    refund = {Permission.PAYMENTS_REFUND} if is_refundable else NO_PERMISSIONS
    # Each with what staff need for the order of another.
    own = {
        "edit": (order.is_awaiting_payment, {Permission.ORDERS_EDIT}),
        "pay": (order.is_payable, {Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY}),
        "cancel": (OrderStatus.CANCELLED in order.allowed, {Permission.ORDERS_CANCEL, *refund}),
        "delete": (order.is_deletable, {Permission.ORDERS_CANCEL}),
        "return": (order.has_shipped_anything, {Permission.RETURNS_HANDLE}),
    }
    actions = [
        action
        for action, (is_offered, needed) in own.items()
        if is_offered and (is_own or needed <= held)
    ]
    by_hand = allowed_for_staff(order)
    of_staff = {
        f"set_status:{status.value}": (
            status in by_hand,
            {*permissions_for(order, status)}
            | (refund if status is OrderStatus.CANCELLED and not is_own else NO_PERMISSIONS),
        )
        for status in OrderStatus
    }
    of_staff["edit_address"] = (order.holds_stock, {Permission.ORDERS_EDIT})
    of_staff["ship"] = (order.is_shippable, {Permission.ORDERS_SHIP})
    of_staff["cancel_items"] = (order.holds_stock, {Permission.ORDERS_CANCEL, *refund})
    of_staff["refund"] = (is_refundable, {Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND})
    if Permission.ORDERS_VIEW in held:
        actions += [
            action
            for action, (is_offered, needed) in of_staff.items()
            if is_offered and needed <= held
        ]
    return tuple(actions)
