"""Rows on their way into the database: gathered by table, written by COPY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

from inventory.models import StockMovement
from oms.events.models import Event
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from payments.models import Payment, Refund

_AT_ONCE = 20_000

# The columns in the order in which rows are given, by their field names.
COLUMNS: Mapping[type[models.Model], tuple[str, ...]] = {
    Order: (
        *("id", "number", "customer", "status", "payment_status", "fulfilment_status"),
        *("currency", "total", "shipping_address", "note", "placed_at", "expires_at"),
        *("confirmed_at", "cancelled_at", "updated_at", "version"),
    ),
    OrderItem: (
        *("id", "order", "product", "position", "sku", "name", "quantity", "unit_price"),
        *("line_total", "quantity_shipped", "quantity_returned"),
    ),
    Shipment: (
        *("id", "order", "status", "carrier", "tracking_number", "created_at", "shipped_at"),
        "delivered_at",
    ),
    ShipmentItem: ("id", "shipment", "order_item", "quantity"),
    Payment: (
        *("id", "order_id", "provider", "token", "capture_method", "wanted", "amount"),
        *("currency", "status", "captured_amount", "refunded_amount", "provider_reference"),
        *("failure_code", "failure_message", "created_at", "updated_at", "captured_at"),
        *("attempts", "next_attempt_at", "fencing_token", "last_error"),
    ),
    Refund: (
        *("id", "payment", "order_id", "amount", "currency", "reason", "status"),
        *("provider_reference", "failure_code", "created_at", "updated_at", "succeeded_at"),
        *("attempts", "next_attempt_at", "fencing_token", "last_error"),
    ),
    StockMovement: (
        *("id", "product", "location", "kind", "on_hand_delta", "reserved_delta"),
        *("on_hand_after", "reserved_after", "reference", "reason", "note", "order_id"),
        *("actor_id", "actor_label", "created_at"),
    ),
    Event: (
        *("id", "type", "object_type", "object_id", "data", "actor_kind", "actor_id"),
        *("actor_label", "request_id", "ip", "occurred_at"),
    ),
}


class Rows:
    """Gathers rows, and copies a table's whenever there are many; `flush` copies the rest.

    All of it is one transaction with deferred foreign keys, so tables may go in any order.
    """

    def __init__(self) -> None:
        self._waiting: dict[type[models.Model], list[Sequence[Any]]] = {}

    def add(self, model: type[models.Model], row: Sequence[Any]) -> None:
        """One more row of `model`, in the order of COLUMNS."""
        rows = self._waiting.setdefault(model, [])
        rows.append(row)
        if len(rows) >= _AT_ONCE:
            self._copy(model)

    def flush(self) -> None:
        """Write whatever is still waiting."""
        for model in self._waiting:
            self._copy(model)

    def _copy(self, model: type[models.Model]) -> None:
        rows = self._waiting[model]
        quote = connection.ops.quote_name
        fields: list[Any] = [model._meta.get_field(name) for name in COLUMNS[model]]
        names = ", ".join(quote(field.column) for field in fields)
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {quote(model._meta.db_table)} ({names}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
        rows.clear()
