"""Why so much of a product is available, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.availability import explain_availability
from oms.backoffice.object_links import object_names, order_link
from oms.core.actor import Actor

# Orders shown of each list; GET /admin/inventory/{id}/availability has more.
_SHOWN = 20


def availability_context(product: Any, *, actor: Actor) -> dict[str, Any]:
    """What is reserved by which orders, and which wait, in the order in which they are served.

    Without the orders for those who may not see them.
    """
    found = explain_availability(actor=actor, product_id=product.pk)
    lists: tuple[Sequence[Any], ...] = (found.reserved_by or (), found.queue or ())
    reserved, queue = (rows[:_SHOWN] for rows in lists)
    numbers = object_names("order", (row.order_id for row in (*reserved, *queue)))
    return {
        "waiting": found.waiting,
        "reserved_by": [(order_link(row.order_id, numbers), row) for row in reserved],
        "queue": [(order_link(row.order_id, numbers), row) for row in queue],
        "orders_shown": _SHOWN if any(len(rows) > _SHOWN for rows in lists) else None,
        "under_way": found.under_way,
    }
