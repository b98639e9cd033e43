"""Stock alerts: customers who want one message when a product is back in stock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from inventory.errors import InStock
from inventory.models import StockAlert
from inventory.operations.stock import open_stock_allocator
from inventory.queries import find_product
from oms.core.actor import Actor
from oms.core.errors import NotAuthenticated
from oms.db.pipeline import execute
from oms.db.transactions import transaction, transaction_required
from oms.queue.purging import purge_rows

# One statement deletes the alerts and returns for whom, so that no two transactions get the same
# ones. Those of products that are gone again, or not on sale, stay.
_TAKE = """
    DELETE FROM inventory_stockalert AS alert
    USING inventory_product AS product
    WHERE product.id = alert.product_id AND product.is_active
      AND product.id = ANY(%s)
      AND (SELECT sum(on_hand - reserved) FROM inventory_stocklevel
           WHERE product_id = product.id) > 0
    RETURNING alert.product_id, alert.customer_id
"""
# Ids grow with the time of creation, so no index by time is needed.
_PURGE = """
    DELETE FROM inventory_stockalert
    WHERE created_at < %(before)s AND id = ANY(ARRAY(
        SELECT id FROM inventory_stockalert ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


@transaction
def add_stock_alert(*, actor: Actor, product_id: UUID) -> StockAlert:
    """The actor's alert for the product, which may exist already.

    Raises NotAuthenticated, NotFound, and InStock if the product is available now.
    """
    if actor.id is None:
        raise NotAuthenticated
    find_product(actor=actor, product_id=product_id)
    # Locked, because stock that arrives now must either be seen here or see the alert.
    stock = open_stock_allocator([product_id])
    if stock.available(product_id) > 0:
        raise InStock
    stock.require_complete([product_id])
    alert, _ = StockAlert.objects.get_or_create(product_id=product_id, customer_id=actor.id)
    return alert


@transaction
def remove_stock_alert(*, actor: Actor, product_id: UUID) -> None:
    """Remove the actor's alert for the product, if there is one.

    Raises NotAuthenticated, and NotFound if there is neither an alert nor a product for the actor.
    """
    if actor.id is None:
        raise NotAuthenticated
    alerts = StockAlert.objects.filter(product=product_id, customer=actor.id)
    deleted, _ = alerts.delete()
    if not deleted:
        find_product(actor=actor, product_id=product_id)


@transaction_required
def take_stock_alerts(product_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Delete the alerts of those products that are available; the ids of the customers by product.

    The caller writes the messages in the same transaction.
    """
    customers: dict[UUID, list[UUID]] = {}
    for product_id, customer_id in execute(_TAKE, [list(product_ids)]).rows():
        customers.setdefault(product_id, []).append(customer_id)
    return customers


def purge_stock_alerts(*, before: datetime, deadline: float) -> int:
    """Delete alerts created before that time; the number of rows.

    Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="stock alerts", statement=_PURGE, parameters={"before": before}, deadline=deadline
    )
