"""Receiving returns: what arrived is restocked or not, and may be refunded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.operations.returning import ReturnedUnits, return_units
from inventory.operations.stock import Cause
from oms.core import clock
from oms.core.actor import Actor
from oms.core.money import ZERO, rounded
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import InvalidTransition, NothingToRefund, NothingToReturn
from orders.locks import items_of, lock_order, lock_return
from orders.models import (
    Order,
    OrderItem,
    OrderReturn,
    RefundItem,
    ReturnItem,
    ReturnReceipt,
    ReturnReceiptItem,
)
from orders.operations.quantities import (
    check_locations,
    price_of,
    quantities_by_item,
    refunded_quantities,
    refuse_too_many,
)
from orders.operations.returns import ReturnedItem, create_return
from orders.return_events import ReturnReceived
from orders.states import ReturnOutcome, ReturnStatus
from payments.locks import lock_captured_payments
from payments.operations.refunds import refund_exactly
from payments.queries import Requested


@dataclass(frozen=True, kw_only=True)
class ReceivedItem:
    """Units of an order item that arrived; `location` is a code, "" for where they came from."""

    order_item_id: UUID
    quantity: int
    outcome: ReturnOutcome
    location: str = ""


@transaction
def receive_return(
    *,
    actor: Actor,
    return_id: UUID,
    items: Sequence[ReceivedItem],
    refund: bool = False,
    is_last: bool = False,
    expected_version: int | None = None,
) -> OrderReturn:
    """Record what arrived of a return; restocked units are on hand again.

    Approved or not: what arrived is recorded. The return is received once nothing more is expected:
    all has arrived, or this receipt, which may be empty, `is_last`. With `refund` the price of the
    units is refunded. Raises PermissionDenied, NotFound, StaleVersion, InvalidTransition, Invalid
    for unknown items and locations, NothingToReturn and NothingToRefund naming the lines of which
    fewer are left, and RefundExceedsCaptured.
    """
    _require(actor, refund=refund)
    order, order_return = lock_return(return_id, actor=actor, expected_version=expected_version)
    if not items and order_return.status != ReturnStatus.PARTIALLY_RECEIVED:
        raise InvalidTransition(
            "Nothing of the return has arrived: reject it instead.",
            status=order_return.status,
            allowed=order_return.allowed,
        )
    own, now = items_of([order.id])[order.id], clock.now()
    order.touch(at=now)
    return _receive(
        order, own, order_return, items, actor=actor, refund=refund, is_last=is_last, at=now
    )


@transaction
def record_return(
    *,
    actor: Actor,
    order_id: UUID,
    items: Sequence[ReceivedItem],
    reason: str = "",
    refund: bool = False,
    expected_version: int | None = None,
) -> OrderReturn:
    """Create a return and receive all of it at once, without a request or an approval.

    Raises as `receive_return` does.
    """
    _require(actor, refund=refund)
    order = lock_order(order_id, actor=actor, expected_version=expected_version)
    own, now = items_of([order.id])[order.id], clock.now()
    order_return = create_return(
        order,
        own,
        [
            ReturnedItem(order_item_id=item.order_item_id, quantity=item.quantity, reason=reason)
            for item in items
        ],
        actor=actor,
        at=now,
        has_arrived=True,
    )
    return _receive(
        order, own, order_return, items, actor=actor, refund=refund, is_last=True, at=now
    )


def _require(actor: Actor, *, refund: bool) -> None:
    actor.require(Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    if refund:
        actor.require(Permission.PAYMENTS_REFUND)


@transaction_required
def _receive(
    order: Order,
    own: Sequence[OrderItem],
    order_return: OrderReturn,
    items: Sequence[ReceivedItem],
    *,
    actor: Actor,
    refund: bool,
    is_last: bool,
    at: datetime,
) -> OrderReturn:
    check_locations([item.location for item in items])
    returned = {item.order_item_id: item for item in order_return.items.all()}
    quantities = quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=lambda item: returned[item.id].left_to_receive if item.id in returned else 0,
        error=NothingToReturn,
    )
    for item, quantity in quantities.items():
        item.quantity_returned += quantity
        returned[item.id].quantity_received += quantity
    is_complete = is_last or all(item.left_to_receive == 0 for item in returned.values())
    order_return.transition_to(
        ReturnStatus.RECEIVED if is_complete else ReturnStatus.PARTIALLY_RECEIVED, at=at
    )
    refunds: Sequence[Requested] = ()
    if refund:
        refunds = _refund(order, own, quantities, actor=actor, at=at)
    receipt = _save(order, order_return, quantities, returned, items=items, refunds=refunds, at=at)
    restocked = [item for item in items if item.outcome == ReturnOutcome.RESTOCK]
    products = {item.id: item.product_id for item in quantities}
    if restocked:
        return_units(
            [
                ReturnedUnits(
                    product_id=products[item.order_item_id],
                    quantity=item.quantity,
                    location=item.location,
                )
                for item in restocked
            ],
            cause=Cause(actor=actor, reference=f"return:{receipt.id}", order_id=order.id),
            at=at,
        )
    publish(
        ReturnReceived(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            return_id=order_return.id,
            receipt_id=receipt.id,
            pieces=sum(quantities.values()),
            restocked=sum(item.quantity for item in restocked),
            is_complete=is_complete,
            refund_id=receipt.refund_id,
            amount=rounded(sum((one.amount for one in refunds), ZERO), order.currency),
            currency=order.currency,
        ),
        actor=actor,
        at=at,
    )
    return order_return


def _refund(
    order: Order,
    own: Sequence[OrderItem],
    quantities: Mapping[OrderItem, int],
    *,
    actor: Actor,
    at: datetime,
) -> Sequence[Requested]:
    """Refund the price of the units. Raises NothingToRefund and RefundExceedsCaptured."""
    refunded = refunded_quantities(own)
    refuse_too_many(
        quantities,
        left=lambda item: item.quantity_shipped - refunded.get(item.id, 0),
        error=NothingToRefund,
    )
    amount = price_of(quantities, order.currency)
    if not amount:
        return ()
    refunds = refund_exactly(
        lock_captured_payments(order.id, currency=order.currency),
        actor=actor,
        amount=amount,
        currency=order.currency,
        reason="Items were returned.",
        at=at,
    )
    RefundItem.objects.bulk_create(
        RefundItem(refund_id=refunds[0].id, order_item=item, quantity=quantity)
        for item, quantity in quantities.items()
    )
    return refunds


def _save(
    order: Order,
    order_return: OrderReturn,
    quantities: Mapping[OrderItem, int],
    returned: Mapping[UUID, ReturnItem],
    *,
    items: Sequence[ReceivedItem],
    refunds: Sequence[Requested],
    at: datetime,
) -> ReturnReceipt:
    OrderItem.objects.bulk_update(quantities, ["quantity_returned"])
    ReturnItem.objects.bulk_update(
        [returned[item.id] for item in quantities], ["quantity_received"]
    )
    order_return.save(update_fields=["status", "updated_at"])
    order.save(update_fields=["version", "updated_at"])
    receipt = ReturnReceipt.objects.create(
        order_return=order_return,
        refund_id=refunds[0].id if refunds else None,
        created_at=at,
    )
    ReturnReceiptItem.objects.bulk_create(
        ReturnReceiptItem(
            receipt=receipt,
            return_item=returned[item.order_item_id],
            quantity=item.quantity,
            outcome=item.outcome,
            location=item.location,
        )
        for item in items
    )
    return receipt
