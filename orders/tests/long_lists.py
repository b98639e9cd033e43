"""A long list of orders."""

from __future__ import annotations

from django.db import connection

# One order a minute until now, of 200 customers in turn; what is rare lies in the middle.
_FILL = """
    INSERT INTO users_user (id, email, password, full_name, phone, is_superuser, is_staff,
                            is_active, created_at, updated_at)
    SELECT gen_random_uuid(), 'customer-' || n || '@example.com', '', 'Person N' || n || 'N', '',
           false, false, true, now(), now()
    FROM generate_series(0, 199) AS n;
    CREATE TEMPORARY TABLE customer ON COMMIT DROP AS
    SELECT id, split_part(split_part(email, '-', 2), '@', 1)::int AS n FROM users_user;
    INSERT INTO orders_order (id, number, customer_id, status, payment_status, fulfilment_status,
                              currency, total, shipping_address, note, placed_at, confirmed_at,
                              updated_at, version)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
            || lpad(to_hex(i), 15, '0'))::uuid,
           to_char(at, 'YYYYMMDD') || '-' || lpad(upper(to_hex(i * 7919 % 16777213)), 6, '0'),
           customer.id,
           CASE WHEN i = 10000 THEN 'on_hold' ELSE 'delivered' END,
           CASE WHEN i = 10000 THEN 'unknown' ELSE 'paid' END,
           CASE WHEN i = 10000 THEN 'partially_shipped' ELSE 'delivered' END,
           'EUR', 10, '{}', '', at, at, at, 1
    FROM generate_series(1, 20000) AS i
    CROSS JOIN LATERAL (SELECT now() - make_interval(mins => i) AS at) AS moment
    JOIN customer ON customer.n = i % 200;
    ANALYZE users_user;
    ANALYZE orders_order
"""


def fill() -> None:
    """Write 20,000 orders of 200 customers."""
    with connection.cursor() as cursor:
        # It takes longer than any statement of the shop may.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_FILL)
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
