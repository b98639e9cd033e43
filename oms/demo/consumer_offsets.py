"""Moving the log's consumers past the made-up past: nobody is to get mail about it."""

from __future__ import annotations

from django.db import connection

from oms.subscriptions import CONSUMERS

_STEP_OVER = """
    INSERT INTO events_consumeroffset (consumer, transaction, position, updated_at)
    SELECT name, last.transaction, last.position, now()
    FROM unnest(%s::text[]) AS name,
         (SELECT transaction, position FROM events_event
          WHERE transaction = pg_current_xact_id()
          ORDER BY position DESC LIMIT 1) AS last
    ON CONFLICT (consumer) DO UPDATE
    SET transaction = excluded.transaction, position = excluded.position,
        updated_at = excluded.updated_at
"""


def step_over_the_past() -> None:
    """Let every consumer go on behind the last event of this transaction.

    While the transaction is open no consumer can have read anything of it or after it. What was
    told before, in a shop without products and orders, is of no interest to any of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STEP_OVER, [[consumer.name for consumer in CONSUMERS]])
