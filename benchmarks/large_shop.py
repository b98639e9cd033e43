"""`python -m benchmarks.large_shop`: a shop of up to millions of orders, for measuring long tables.

It seeds the demo shop and copies its finished orders, with all that belongs to them, back into the
past until there are enough. The copies are made by PostgreSQL, a statement for each table, which
names only the columns that differ: ids, times, numbers, and whose customers and products they are.
`reconcile` finds nothing in the result.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import django
from django.conf import settings
from django.db import connection, transaction

from benchmarks.index_rebuild import without_indexes
from benchmarks.large_shop_stock import copy_stock
from benchmarks.raw_sql import rows, run

_PATTERN_ORDERS, _PATTERN_DAYS = 300, 30
# The oldest events of the pattern: the shop opens 15 days before its first order.
_PATTERN_AGE = timedelta(days=_PATTERN_DAYS + 16)
# Every copy of the pattern uses one of these sets of products and of customers.
_ORDERS_PER_PRODUCT, _ORDERS_PER_CUSTOMER = 1_000, 20
# From so many orders on, tables are filled without their indexes.
_LARGE = 20_000
_NOTIFICATIONS_KEPT_DAYS = 365

# A copy of an id: the same for the same salt, with its time moved back (UUIDv7, RFC 9562).
_FUNCTIONS = """
CREATE FUNCTION pg_temp.copied(id uuid, salt text, shift interval DEFAULT '0') RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(
                ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
                - (extract(epoch FROM shift) * 1000)::bigint), 12, '0')
            || substr(replace(id::text, '-', ''), 13, 5) || right(md5(id::text || salt), 15))::uuid
$$;
-- Six digits of Crockford's base 32, different for all numbers below 2^30.
CREATE FUNCTION pg_temp.suffix(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ',
        ((number * 623541689 % 1073741824) >> (5 * digit) & 31)::int + 1, 1), '' ORDER BY digit)
    FROM generate_series(0, 5) AS digit
$$;
CREATE FUNCTION pg_temp.copied_data(
    data jsonb, number text, salt text, shift interval, customer uuid
) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, CASE
        WHEN key = 'number' THEN to_jsonb(number)
        WHEN jsonb_typeof(value) <> 'string' OR key NOT LIKE '%_id' THEN value
        WHEN key = 'customer_id' THEN to_jsonb(customer)
        ELSE to_jsonb(pg_temp.copied((value #>> '{}')::uuid, salt, shift)) END)
    FROM jsonb_each(data)
$$;
"""
# The finished orders, and one row for each copy of one.
_COPIES = """
CREATE TEMP TABLE pattern ON COMMIT DROP AS
    SELECT id, customer_id, placed_at, number AS old_number,
           row_number() OVER (ORDER BY id) - 1 AS index, count(*) OVER () AS size
    FROM orders_order
    WHERE status IN ('delivered', 'cancelled', 'expired') AND deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM payments_payment AS payment WHERE order_id = orders_order.id
                      AND status NOT IN ('captured', 'failed', 'voided'))
      AND NOT EXISTS (SELECT FROM payments_refund AS refund WHERE order_id = orders_order.id
                      AND status <> 'succeeded');
CREATE TEMP TABLE copy ON COMMIT DROP AS
    SELECT pattern.id AS old_id, old_number, shift, copy::text AS salt,
           pg_temp.copied(pattern.id, copy::text, shift) AS order_id,
           to_char((placed_at - shift) AT TIME ZONE {zone}, 'YYYYMMDD') || '-'
               || pg_temp.suffix(copy * size + index) AS number,
           'customers' || copy % {customer_sets} AS customers,
           CASE WHEN copy % 2 = 0 AND customer_id = demo.id THEN demo.id
               ELSE pg_temp.copied(customer_id, 'customers' || copy % {customer_sets}) END
               AS customer_id,
           'products' || copy % {product_sets} AS products,
           '-' || copy % {product_sets} + 2 AS sku_suffix
    FROM pattern
    -- Half of the demo customer's orders stay with it, so that one customer has very many.
    JOIN users_user AS demo ON demo.email = '{demo_customer}'
    CROSS JOIN generate_series(1, ceil({copies} / size::numeric)::int) AS copy
    CROSS JOIN LATERAL (
        SELECT make_interval(secs => copy * {span} / ceil({copies} / size::numeric)) AS shift
    ) AS moved
    ORDER BY copy, index LIMIT {copies};
ANALYZE copy;
"""
_COPY = """
INSERT INTO {table} ({columns}) SELECT {columns} FROM (
    SELECT row.* FROM {source}
    CROSS JOIN LATERAL jsonb_populate_record(original, jsonb_build_object({changes})) AS row
    ORDER BY {order}
) AS ordered
"""
_OF_ORDER = "copy JOIN {table} AS original ON original.order_id = copy.old_id"
_PRODUCT = "pg_temp.copied(original.{column}, copy.products)"
# What columns of these names get in every table.
_BY_COLUMN = {
    "customer_id": "copy.customer_id",
    "recipient_id": "CASE WHEN original.recipient_id IS NOT NULL THEN copy.customer_id END",
    "product_id": _PRODUCT,
    "location_id": "original.{column}",
    "number": "copy.number",
    # Of the staff and the customers that did it.
    "actor_id": "original.{column}",
}


def main() -> int:
    """Create the shop in the database of the settings, which must be empty."""
    options = _options()
    os.environ.setdefault("DEBUG", "1")
    os.environ["DB_STATEMENT_TIMEOUT_MS"] = "0"
    os.environ["DB_IDLE_IN_TRANSACTION_TIMEOUT_MS"] = "0"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms.settings")
    django.setup()
    ledger = options.ledger or Path(settings.VAR_DIR) / "sandbox" / "ledger.sqlite3"
    began = time.monotonic()
    create_large_shop(orders=options.orders, days=options.days, ledger=ledger)
    sys.stdout.write(f"{options.orders:,} orders in {time.monotonic() - began:.0f} s.\n")
    return 0


def create_large_shop(*, orders: int, days: int, ledger: Path) -> None:
    """Create a shop with so many orders of the last `days`, more than the demo shop has.

    Raises RuntimeError without DEBUG, and ShopNotEmpty.
    """
    from oms.core import clock
    from oms.demo.notifications import skip_seeded_events
    from oms.demo.provider_ledger import write_provider_ledger
    from oms.demo.seed import seed_shop
    from oms.events.partitions import make_partitions

    if not settings.DEBUG:
        raise RuntimeError("The demo shop has well-known passwords, so it requires DEBUG.")
    now = clock.now()
    make_partitions(first=now - timedelta(days=days) - _PATTERN_AGE, last=now)
    with transaction.atomic():
        seed_shop(orders=_PATTERN_ORDERS, days=_PATTERN_DAYS, seed=7, now=now, ledger=ledger)
        with without_indexes() if orders >= _LARGE else nullcontext():
            _copy_orders(orders - _PATTERN_ORDERS, days=days, now=now)
        skip_seeded_events()
        write_provider_ledger(ledger)
    if not connection.in_atomic_block:
        run("VACUUM ANALYZE")


def _copy_orders(copies: int, *, days: int, now: datetime) -> None:
    from oms.demo.accounts import CUSTOMER_EMAIL

    run("SET LOCAL work_mem = '256MB'")
    run(_FUNCTIONS)
    run(
        _COPIES.format(
            copies=copies,
            span=(days - _PATTERN_DAYS) * 86_400.0,
            zone=f"'{settings.BUSINESS_TIME_ZONE}'",
            product_sets=1 + copies // _ORDERS_PER_PRODUCT // 50,
            demo_customer=CUSTOMER_EMAIL,
            customer_sets=1 + copies // _ORDERS_PER_CUSTOMER // 40,
        )
    )
    _copy_customers()
    _copy_products()
    item = {"sku": "original.sku || copy.sku_suffix"}
    _copy("orders_order", source="copy JOIN orders_order AS original ON original.id = copy.old_id")
    _copy("orders_orderitem", changes=item)
    _copy("orders_shipment")
    _copy(
        "orders_shipmentitem",
        source="copy JOIN orders_shipment AS parent ON parent.order_id = copy.old_id"
        " JOIN orders_shipmentitem AS original ON original.shipment_id = parent.id",
    )
    for table, kind in (("payments_payment", "ch"), ("payments_refund", "re")):
        unique = f"'{kind}_' || left(md5(original.id || copy.salt), 24)"
        reference = f"CASE original.provider_reference WHEN '' THEN '' ELSE {unique} END"
        _copy(table, changes={"provider_reference": reference})
    _copy(
        "events_event",
        source="copy JOIN events_event AS original"
        " ON (original.data->>'order_id')::uuid = copy.old_id",
        changes={
            "data": "pg_temp.copied_data(original.data, copy.number, copy.salt, copy.shift,"
            " copy.customer_id)",
            "request_id": "'demo-shop'",
        },
        # By default these are of this transaction, in the order of the rows.
        omit=("transaction", "position"),
        order="original.occurred_at - copy.shift, copy.salt, original.position",
    )
    kept_since = now - timedelta(days=_NOTIFICATIONS_KEPT_DAYS)
    _copy(
        "notifications_notification",
        source=f"{_OF_ORDER.format(table='notifications_notification')}"
        f" AND original.created_at - copy.shift > '{kept_since.isoformat()}'",
        changes={
            "subject": "replace(original.subject, copy.old_number, copy.number)",
            "body": "replace(original.subject, copy.old_number, copy.number) || '.'",
            "body_html": "''",
            "message_id": "replace(original.message_id, original.id::text,"
            " pg_temp.copied(original.id, copy.salt, copy.shift)::text)",
        },
    )
    copy_stock()


def _copy_customers() -> None:
    _copy(
        "users_user",
        source="(SELECT DISTINCT customers AS salt, customers FROM copy) AS copy"
        " JOIN users_user AS original"
        " ON original.id IN (SELECT customer_id FROM pattern)",
        changes={
            "id": "pg_temp.copied(original.id, copy.customers)",
            "email": "replace(original.email, '@', '.' || copy.customers || '@')",
        },
        shifts=False,
    )


def _copy_products() -> None:
    _copy(
        "inventory_product",
        source="(SELECT DISTINCT products, sku_suffix FROM copy) AS copy"
        " CROSS JOIN inventory_product AS original",
        changes={
            "id": _PRODUCT.format(column="id"),
            "sku": "original.sku || copy.sku_suffix",
            "name": "original.name || ', series ' || right(copy.sku_suffix, -1)",
        },
        shifts=False,
    )


def _copy(
    table: str,
    *,
    source: str = "",
    changes: Mapping[str, str] | None = None,
    shifts: bool = True,
    omit: Sequence[str] = (),
    order: str = "1",
) -> None:
    """Copy the rows of `source`, which joins `copy` and the table as `original`.

    Ids and times follow from the types of the columns, what else differs is in `changes`; columns
    to `omit` get their defaults.
    """
    expressions = dict(changes or {})
    columns = [(column, type) for column, type in _columns(table) if column not in omit]
    for column, type in columns:
        if column in expressions:
            continue
        if column == "order_id":
            expressions[column] = "copy.order_id"
        elif column in _BY_COLUMN:
            expressions[column] = _BY_COLUMN[column].format(column=column)
        elif type == "uuid" and shifts:
            expressions[column] = f"pg_temp.copied(original.{column}, copy.salt, copy.shift)"
        elif type == "timestamp with time zone" and shifts:
            expressions[column] = f"original.{column} - copy.shift"
    run(
        _COPY.format(
            table=table,
            columns=", ".join(column for column, _ in columns),
            order=order,
            source=source or _OF_ORDER.format(table=table),
            changes=", ".join(f"'{column}', {value}" for column, value in expressions.items()),
        )
    )


def _columns(table: str) -> list[tuple[str, str]]:
    return rows(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s",
        [table],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_shop", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000, help="how many (1000000)")
    parser.add_argument("--days", type=int, default=1_095, help="over how many days (1095)")
    parser.add_argument("--ledger", type=Path, help="the sandbox provider's ledger file")
    options = parser.parse_args()
    if options.orders <= _PATTERN_ORDERS or options.days <= _PATTERN_DAYS:
        parser.error(f"--orders is above {_PATTERN_ORDERS}, --days above {_PATTERN_DAYS}")
    return options


if __name__ == "__main__":
    sys.exit(main())
