"""Filling tables without their indexes, which are created again at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.raw_sql import rows, run

# Primary keys stay, because foreign keys need them.
_CONSTRAINTS = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname,
              pg_get_constraintdef(oid))
FROM pg_constraint AS made
WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('u', 'f') AND conparentid = 0
  AND NOT EXISTS (SELECT FROM pg_constraint AS other
                  WHERE other.contype = 'f' AND other.conindid = made.conindid
                    AND made.contype = 'u')
ORDER BY contype = 'u', oid
"""
_INDEXES = """
SELECT format('DROP INDEX %%s', indexrelid::regclass),
       replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY indexrelid
"""
_FILLED = (
    *("orders_order", "orders_orderitem", "orders_shipment", "orders_shipmentitem"),
    *("payments_payment", "payments_refund", "inventory_stockmovement", "events_event"),
    "notifications_notification",
)


@contextmanager
def without_indexes() -> Iterator[None]:
    """Drop indexes, unique constraints and foreign keys, and create them again at the end.

    Creating an index of all rows costs a fraction of inserting them one by one.
    """
    run("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    run("SET LOCAL maintenance_work_mem = '512MB'")
    dropped = rows(_CONSTRAINTS, [list(_FILLED)]) + rows(_INDEXES, [list(_FILLED)])
    for drop, _ in dropped:
        run(drop)
    yield
    run("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    for _, create in reversed(dropped):
        run(create)
