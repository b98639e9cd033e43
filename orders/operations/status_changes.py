"""Status changes by staff; each allowed one has its own operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from oms.core import clock
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from orders.errors import InvalidTransition
from orders.locks import lock_order
from orders.models import Order
from orders.operations.cancelling import cancel_locked
from orders.operations.fulfilling import deliver_locked, ship_locked
from orders.operations.transitions import transition_order
from orders.rules import OrderRules
from orders.states import OrderStatus, PaymentState

# Orders expire after a time, and late payments confirm them again; staff do neither.
_NOT_FOR_STAFF = frozenset({OrderStatus.EXPIRED})
_TO_SHIP = frozenset({OrderStatus.PROCESSING, OrderStatus.SHIPPED})
_UNPAID = (PaymentState.UNPAID, PaymentState.FAILED)
# The payments that confirm a pending order by themselves; something may be refunded since.
_CONFIRMS = (PaymentState.AUTHORIZED, PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED)


def allowed_for_staff(order: OrderRules) -> frozenset[OrderStatus]:
    """The statuses to which staff may change the order.

    What was fully refunded is not shipped, and only what is unpaid and was not confirmed yet waits
    for a payment again.
    """
    if order.status == OrderStatus.EXPIRED:
        return frozenset()
    allowed = order.allowed - _NOT_FOR_STAFF
    if order.is_fully_refunded:
        allowed -= _TO_SHIP
    if order.payment_status not in _UNPAID or order.was_confirmed:
        allowed -= {OrderStatus.PENDING}
    return allowed


_PERMISSIONS: Mapping[OrderStatus, Permission] = {
    OrderStatus.PROCESSING: Permission.ORDERS_SHIP,
    OrderStatus.ON_HOLD: Permission.ORDERS_HOLD,
    OrderStatus.SHIPPED: Permission.ORDERS_SHIP,
    OrderStatus.DELIVERED: Permission.ORDERS_SHIP,
    OrderStatus.CANCELLED: Permission.ORDERS_CANCEL,
}
_CONFIRMED = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
_AFTER_HOLD = (OrderStatus.PENDING, *_CONFIRMED)


def permissions_for(order: OrderRules, status: OrderStatus) -> Sequence[Permission]:
    """What staff need to change the order to `status`; to confirm it, to edit orders.

    The release of a hold confirms without that only what was confirmed before or is paid.
    """
    if order.status != OrderStatus.ON_HOLD or status not in _AFTER_HOLD:
        return (_PERMISSIONS.get(status, Permission.ORDERS_EDIT),)
    if status in _CONFIRMED and not (order.was_confirmed or order.payment_status in _CONFIRMS):
        return (Permission.ORDERS_HOLD, Permission.ORDERS_EDIT)
    return (Permission.ORDERS_HOLD,)


def status_after_hold(order: OrderRules) -> OrderStatus:
    """The status of the order once its hold is released: an unpaid one waits for payment again."""
    allowed = allowed_for_staff(order)
    return OrderStatus.PENDING if OrderStatus.PENDING in allowed else OrderStatus.CONFIRMED


@transaction
def set_order_status(
    *,
    actor: Actor,
    order_id: UUID,
    status: OrderStatus,
    reason: str = "",
    carrier: str = "",
    tracking_number: str = "",
    expected_version: int | None = None,
) -> Order:
    """Change the order's status with all effects; the current status changes nothing.

    Shipping ships all remaining items with `carrier` and `tracking_number`; cancelling releases
    stock and refunds payments. Raises PermissionDenied, NotFound, StaleVersion, InvalidTransition,
    and NothingToShip while items wait for stock.
    """
    actor.require(Permission.ORDERS_VIEW)
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    actor.require(*permissions_for(order, status))
    if order.status == status:
        return order
    if status not in allowed_for_staff(order):
        raise InvalidTransition(
            f"The order is {order.status} and can't be changed to {status}.",
            status=order.status,
            allowed=allowed_for_staff(order),
        )
    now = clock.now()
    if status is OrderStatus.CANCELLED:
        cancel_locked(order, actor=actor, at=now, reason=reason)
    elif status is OrderStatus.SHIPPED:
        ship_locked(
            order,
            actor=actor,
            items=None,
            carrier=carrier,
            tracking_number=tracking_number,
            reason=reason,
            at=now,
            completely=True,
        )
    elif status is OrderStatus.DELIVERED:
        deliver_locked(order, actor=actor, at=now, reason=reason)
    else:
        transition_order(order, status, actor=actor, at=now, reason=reason)
    return order
