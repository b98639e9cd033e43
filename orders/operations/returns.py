"""Returns: requested by customers or staff, approved or rejected by staff, or cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oms.core import clock
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from orders.errors import NothingToReturn
from orders.locks import items_of, lock_order, lock_return
from orders.models import Order, OrderItem, OrderReturn, ReturnItem
from orders.operations.quantities import expected_quantities, quantities_by_item
from orders.operations.transitions import save_new_version
from orders.return_events import (
    ReturnApproved,
    ReturnCancelled,
    ReturnEvent,
    ReturnRejected,
    ReturnRequested,
)
from orders.states import ReturnStatus


@dataclass(frozen=True, kw_only=True)
class ReturnedItem:
    """A quantity of an order item that the customer sends back, and why."""

    order_item_id: UUID
    quantity: int
    reason: str = ""


@transaction
def request_return(
    *,
    actor: Actor,
    order_id: UUID,
    items: Sequence[ReturnedItem],
    expected_version: int | None = None,
) -> OrderReturn:
    """Request the return of shipped units; the order's owner or staff.

    All open returns of an order together never expect more than was shipped and not returned.
    Raises NotFound, PermissionDenied, StaleVersion, Invalid for unknown items, and NothingToReturn
    naming the lines of which fewer are left.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.RETURNS_HANDLE],
        expected_version=expected_version,
    )
    own, now = items_of([order.id])[order.id], clock.now()
    return create_return(order, own, items, actor=actor, at=now)


@transaction_required
def create_return(
    order: Order,
    own: Sequence[OrderItem],
    items: Sequence[ReturnedItem],
    *,
    actor: Actor,
    at: datetime,
    has_arrived: bool = False,
) -> OrderReturn:
    """Create a return of a locked order, all of whose items are `own`. Raises as above.

    What `has_arrived` is received by the caller.
    """
    expected = expected_quantities(order.id)
    quantities = quantities_by_item(
        own,
        ((item.order_item_id, item.quantity) for item in items),
        left=lambda item: item.left_to_return - expected.get(item.id, 0),
        error=NothingToReturn,
    )
    reasons = {item.order_item_id: item.reason for item in items}
    order_return = OrderReturn.objects.create(order=order, created_at=at, updated_at=at)
    ReturnItem.objects.bulk_create(
        ReturnItem(
            order_return=order_return,
            order_item=item,
            quantity=quantity,
            reason=reasons[item.id],
        )
        for item, quantity in quantities.items()
    )
    save_new_version(order, at=at)
    publish(
        ReturnRequested(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            return_id=order_return.id,
            pieces=sum(quantities.values()),
            reason="; ".join(filter(None, reasons.values()))[:500],
            has_arrived=has_arrived,
        ),
        actor=actor,
        at=at,
    )
    return order_return


def approve_return(
    *, actor: Actor, return_id: UUID, expected_version: int | None = None
) -> OrderReturn:
    """Approve a requested return. Raises as `reject_return` does."""
    actor.require(Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    return _change(
        ReturnStatus.APPROVED,
        event=ReturnApproved,
        actor=actor,
        return_id=return_id,
        expected_version=expected_version,
    )


def reject_return(
    *, actor: Actor, return_id: UUID, reason: str, expected_version: int | None = None
) -> OrderReturn:
    """Reject a return of which nothing was received; the customer reads the reason.

    Raises PermissionDenied, NotFound, StaleVersion and InvalidTransition.
    """
    actor.require(Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    return _change(
        ReturnStatus.REJECTED,
        event=ReturnRejected,
        actor=actor,
        return_id=return_id,
        reason=reason,
        expected_version=expected_version,
    )


def cancel_return(
    *, actor: Actor, return_id: UUID, reason: str = "", expected_version: int | None = None
) -> OrderReturn:
    """Cancel a return of which nothing was received; the order's owner or staff.

    Raises NotFound, PermissionDenied, StaleVersion and InvalidTransition.
    """
    return _change(
        ReturnStatus.CANCELLED,
        event=ReturnCancelled,
        actor=actor,
        return_id=return_id,
        reason=reason,
        expected_version=expected_version,
    )


@transaction
def _change(
    status: ReturnStatus,
    *,
    event: type[ReturnEvent],
    actor: Actor,
    return_id: UUID,
    reason: str = "",
    expected_version: int | None,
) -> OrderReturn:
    order, order_return = lock_return(
        return_id,
        actor=actor,
        permissions=[Permission.RETURNS_HANDLE],
        expected_version=expected_version,
    )
    now = clock.now()
    order_return.transition_to(status, at=now)
    order_return.reason = reason
    order_return.save(update_fields=["status", "reason", "updated_at"])
    save_new_version(order, at=now)
    publish(
        event(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            return_id=order_return.id,
            pieces=sum(item.quantity for item in order_return.items.all()),
            reason=reason,
        ),
        actor=actor,
        at=now,
    )
    return order_return
