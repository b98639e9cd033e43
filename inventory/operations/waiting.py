"""The rows of the queue that a transaction reads or makes, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from inventory.holdings import Waiting, waiting_for
from inventory.models import WaitingItem
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import Pipeline

_COLUMNS = ("id", "product", "order_id", "place", "quantity", "created_at")
_DELETE = "DELETE FROM inventory_waitingitem WHERE id = ANY(%s)"
_UPDATE = """
    UPDATE inventory_waitingitem AS waiting SET quantity = new.quantity
    FROM unnest(%s::uuid[], %s::int[]) AS new (id, quantity)
    WHERE waiting.id = new.id
"""


class WaitingRows:
    """What is known of the queues of products whose stock levels are locked.

    Callers change the quantities of the rows; `write` writes them.
    """

    def __init__(self) -> None:
        # By product and place, which are unique.
        self._rows: dict[tuple[UUID, UUID], Waiting] = {}
        # By id, as they were read; new ones are not there.
        self._stored: dict[UUID, int] = {}

    def read(self, rows: Iterable[Waiting]) -> list[Waiting]:
        """The rows as known here: those that were read before may have changed since."""
        known = []
        for row in rows:
            key = (row.product_id, row.place)
            if key not in self._rows:
                self._rows[key] = row
                self._stored[row.id] = row.quantity
            known.append(self._rows[key])
        return known

    def add(self, product_id: UUID, quantity: int, *, order_id: UUID, place: UUID) -> None:
        """Queue a quantity, in the row that has this place if one is known."""
        row = self._rows.setdefault(
            (product_id, place),
            Waiting(id=new_id(), product_id=product_id, order_id=order_id, place=place, quantity=0),
        )
        row.quantity += quantity

    def next_for(self, available: Mapping[UUID, int]) -> list[Waiting]:
        """The first of each product's queue, together for at least the quantity available."""
        known = [row.id for row in self._rows.values()]
        self.read(waiting_for(available, besides=known))
        rows = [row for row in self._rows.values() if row.product_id in available and row.quantity]
        return sorted(rows, key=lambda row: (row.product_id, row.place))

    def joined(self) -> set[UUID]:
        """The products of which more waits than before."""
        rows = self._rows.values()
        return {row.product_id for row in rows if row.quantity > self._stored.get(row.id, 0)}

    def savepoint(self) -> int:
        """The present state, for `rollback`; only while nothing was read."""
        return len(self._rows)

    def rollback(self, savepoint: int) -> None:
        """Forget the rows that were added since."""
        while len(self._rows) > savepoint:
            self._rows.popitem()

    def write(self, *, at: datetime, pipeline: Pipeline) -> None:
        """Queue the rows that are new, changed or served, a statement for each."""
        new, changed, served = [], [], []
        for row in self._rows.values():
            stored = self._stored.get(row.id, 0)
            if row.quantity == stored:
                continue
            if not stored:
                new.append((row.id, row.product_id, row.order_id, row.place, row.quantity, at))
            elif row.quantity:
                changed.append(row)
            else:
                served.append(row.id)
        insert_rows(WaitingItem, _COLUMNS, new, pipeline=pipeline)
        if changed:
            values = [[row.id for row in changed], [row.quantity for row in changed]]
            pipeline.write(_UPDATE, values)
        if served:
            pipeline.write(_DELETE, [served])
