"""Rows on their way into the database: gathered by table, written by COPY."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, models

from inventory.models import StockMovement
from oms.events.models import Event
from orders.models import Order, OrderItem, Shipment, ShipmentItem
from payments.models import Payment, Refund

_AT_ONCE = 10_000
_MOST_WAITING = 2

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
        *("id", "order_id", "provider", "token", "capture_method", "requested_action", "amount"),
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

    All of it is one transaction with deferred foreign keys, so tables may go in any order. Copying
    goes on in a thread while further rows are made, so nothing else may use the connection before
    `flush`; at most two tables' rows wait for it.
    """

    def __init__(self) -> None:
        self._waiting: dict[type[models.Model], list[Sequence[Any]]] = {}
        self._thread = ThreadPoolExecutor(1)
        self._copies: deque[Future[None]] = deque()

    def add(self, model: type[models.Model], row: Sequence[Any]) -> None:
        """One more row of `model`, in the order of COLUMNS."""
        rows = self._waiting.setdefault(model, [])
        rows.append(row)
        if len(rows) >= _AT_ONCE:
            self._copy(model)

    def flush(self) -> None:
        """Write whatever is still waiting. Raises what a copy has raised."""
        for model in list(self._waiting):
            self._copy(model)
        while self._copies:
            self._copies.popleft().result()

    def _copy(self, model: type[models.Model]) -> None:
        rows = self._waiting.pop(model)
        fields: list[Any] = [model._meta.get_field(name) for name in COLUMNS[model]]
        quote = connection.ops.quote_name
        names = ", ".join(quote(field.column) for field in fields)
        statement = f"COPY {quote(model._meta.db_table)} ({names}) FROM STDIN"
        # Django's connections belong to their threads; the driver's own may be handed on.
        driver = connection.connection
        self._copies.append(self._thread.submit(_copy_rows, driver, statement, rows))
        while len(self._copies) > _MOST_WAITING:
            self._copies.popleft().result()

    def close(self) -> None:
        """Wait until no copy is running any more, so that the connection is free again."""
        self._thread.shutdown(cancel_futures=True)


def _copy_rows(driver: Any, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
