"""What an actor may do with an order now, for clients that show buttons.

`edit`               the items, the address or the note            PATCH /orders/{id}
`pay`                make another attempt at paying                POST /orders/{id}/payments
`cancel`             cancel it                                     PUT /orders/{id}/cancel
`delete`             take it out of every list                     DELETE /orders/{id}

and staff also:

`set_status:<s>`     let it go to the status s by hand             PUT /orders/{id}/status
`ship`               send a parcel                                 POST /admin/orders/{id}/shipments
`refund`             give money of a payment back                  POST /admin/payments/{id}/refunds
"""

from __future__ import annotations

from oms.core.actor import Actor
from orders.models import Order
from orders.operations.recording import NewOrder
from orders.operations.steering import allowed_by_hand
from orders.states import OrderStatus, PaymentState

_REFUNDABLE = (PaymentState.PAID, PaymentState.PARTIALLY_REFUNDED)


def allowed_actions(order: Order | NewOrder, *, actor: Actor) -> list[str]:
    """The actions above that the order's statuses allow the actor now, in that order.

    It reads nothing but the order itself, so it follows from the order's version. What depends on
    more can still be refused: a parcel of backordered pieces, a refund of what is on its way back.
    """
    if not actor.may_see_of(order.customer_id):
        return []
    offered = {
        "edit": order.is_awaiting_payment,
        "pay": order.is_payable,
        "cancel": OrderStatus.CANCELLED in order.allowed,
        "delete": order.is_deletable,
    }
    if actor.is_staff:
        by_hand = allowed_by_hand(order)
        offered |= {f"set_status:{s.value}": s in by_hand for s in OrderStatus}
        offered["ship"] = order.is_shippable
        offered["refund"] = order.payment_status in _REFUNDABLE and order.total > 0
    return [action for action, is_offered in offered.items() if is_offered]
