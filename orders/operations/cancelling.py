"""Cancelling, expiring and deleting orders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from uuid import UUID

import structlog
from django.conf import settings
from django.db import OperationalError

from oms.core import clock
from oms.core.actor import Actor, system
from oms.core.dry_runs import current_dry_run
from oms.core.ids import new_id
from oms.core.money import ZERO
from oms.core.permissions import Permission
from oms.db.transactions import durable, transaction
from oms.events.publishing import publish, publish_all
from orders.errors import OrderNotDeletable
from orders.events import OrderDeleted
from orders.locks import lock_order, lock_overdue_orders, overdue_order_ids
from orders.models import Order
from orders.operations.transitions import (
    apply_transition,
    release_reserved,
    save_transitions,
    transition_order,
)
from orders.states import OrderStatus
from payments.operations.refunds import refund_or_void, void_unsent

log = structlog.get_logger(__name__)

# How long after its expiry time an order still waits for a payment in progress.
PAYING_GRACE = timedelta(minutes=30)
# How long after its expiry time a pending order counts as one that cannot be expired.
OVERDUE_AFTER = PAYING_GRACE + timedelta(minutes=10)
_EXPIRY_BATCH = 100


@transaction
def cancel_order(
    *, actor: Actor, order_id: UUID, reason: str = "", expected_version: int | None = None
) -> Order:
    """Cancel the order, release its stock and refund what was paid. Idempotent.

    Raises NotFound, PermissionDenied, StaleVersion, and InvalidTransition once anything is shipped.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.ORDERS_CANCEL],
        expected_version=expected_version,
    )
    if order.status == OrderStatus.CANCELLED:
        return order
    cancel_locked(order, actor=actor, at=clock.now(), reason=reason)
    return order


def cancel_locked(order: Order, *, actor: Actor, at: datetime, reason: str) -> None:
    """Cancel an order that the caller has locked.

    Staff who may not refund cancel only what gives no money back. Raises InvalidTransition and
    PermissionDenied.
    """
    held_stock = order.holds_stock
    if (run := current_dry_run()) is not None:
        run.change_total(ZERO, order.currency)
    transition_order(order, OrderStatus.CANCELLED, actor=actor, at=at, reason=reason)
    refunds = refund_or_void(
        actor=actor, order_id=order.id, reason=reason or "The order was cancelled.", at=at
    )
    # The payments decide, for the order's own payment status may be behind.
    if refunds:
        actor.require_for(order.customer_id, Permission.PAYMENTS_REFUND)
    if held_stock:
        release_reserved([order], actor=actor, at=at)


@durable
def expire_orders(*, at: datetime, deadline: float = inf) -> int:
    """Expire the orders that were not paid in time, and release their stock; returns how many.

    In batches, the newest orders first, until `deadline` of `time.monotonic`. An order that fails
    is retried alone, logged, and retried by the next run, after all that became overdue since;
    `manage.py reconcile` reports it.
    """
    expired, before = 0, None
    while time.monotonic() < deadline and (
        ids := overdue_order_ids(
            at=at, paying_since=at - PAYING_GRACE, before=before, limit=_EXPIRY_BATCH
        )
    ):
        before = ids[-1]
        try:
            expired += expire_overdue(ids, at=at)
        except OperationalError:  # no fault of an order
            raise
        except Exception:
            expired += _expire_one_by_one(ids, at=at, deadline=deadline)
    return expired


def _expire_one_by_one(order_ids: Sequence[UUID], *, at: datetime, deadline: float) -> int:
    expired = 0
    for id in order_ids:
        if time.monotonic() >= deadline:
            break
        try:
            expired += expire_overdue([id], at=at)
        except OperationalError:
            raise
        except Exception:  # an error in one order must not stop the others
            log.exception("order_expiry_failed", order_id=str(id))
    return expired


@transaction
def expire_overdue(order_ids: Sequence[UUID], *, at: datetime) -> int:
    """Expire those of the orders that are overdue at that time; returns how many.

    The payments decide, for the orders' own payment status may be behind: what is paid waits for
    its confirmation, and a payment that was never sent is voided.
    """
    # Followers of changes rely on times that are not older than the transaction.
    now = clock.now()
    actor = system("expiry", request_id=f"expiry-{new_id()}")
    orders = lock_overdue_orders(order_ids, at=at, paying_since=at - PAYING_GRACE)
    paid = void_unsent(actor=actor, order_ids=[order.id for order in orders], at=now)
    orders = [order for order in orders if order.id not in paid]
    minutes = settings.ORDER_EXPIRY.total_seconds() / 60
    reason = f"not paid within {minutes:.0f} minutes"
    events = [
        (apply_transition(order, OrderStatus.EXPIRED, at=now, reason=reason), actor)
        for order in orders
    ]
    save_transitions(orders)
    publish_all(events, at=now)
    release_reserved(orders, actor=actor, at=now)
    return len(orders)


@transaction
def delete_order(*, actor: Actor, order_id: UUID, expected_version: int | None = None) -> None:
    """Remove the order from every list; ledgers and event log are not changed.

    One that is pending and unpaid is cancelled first. Raises NotFound, PermissionDenied,
    StaleVersion and OrderNotDeletable.
    """
    order = lock_order(
        order_id,
        actor=actor,
        permissions=[Permission.ORDERS_CANCEL],
        expected_version=expected_version,
    )
    if not order.is_deletable:
        raise OrderNotDeletable(current_status=order.status)
    now = clock.now()
    if order.status == OrderStatus.PENDING:
        cancel_locked(order, actor=actor, at=now, reason="deleted")
    order.deleted_at = now
    order.touch(at=now)
    order.save(update_fields=["deleted_at", "updated_at", "version"])
    publish(
        OrderDeleted(order_id=order.id, number=order.number, customer_id=order.customer_id),
        actor=actor,
        at=now,
    )
