"""The log after a dump of it was restored on another server.

Each server of PostgreSQL counts its transactions from the beginning. After a restore the events and
the consumers' offsets carry the higher numbers of the old server, so that whatever is appended here
would count as read. A base backup keeps the count and needs nothing.
"""

from __future__ import annotations

from django.db import connection

from oms.db.transactions import transaction

_IS_AHEAD = """
    SELECT EXISTS (
        SELECT FROM events_consumeroffset
        WHERE transaction >= pg_snapshot_xmax(pg_current_snapshot())
    ) OR EXISTS (
        SELECT FROM events_event WHERE transaction >= pg_snapshot_xmax(pg_current_snapshot())
    )
"""
# The new number of an event is one more than the number of consumers that have still to read it; no
# running transaction has one that low. Events with the same number are read by position. What this
# server has appended is unread, although its number is lower than an offset.
_RENUMBER = """
    UPDATE events_event AS event
    SET transaction = (1 + (
        SELECT count(*) FROM events_consumeroffset AS reached
        WHERE (event.transaction, event.position) > (reached.transaction, reached.position)
           OR (event.position > reached.position
               AND event.transaction < pg_snapshot_xmax(pg_current_snapshot()))
    ))::text::xid8
"""
_RESET_OFFSETS = """
    UPDATE events_consumeroffset AS reached
    SET transaction = (1 + ranked.before)::text::xid8,
        position = (SELECT coalesce(max(position), 0) FROM events_event)
    FROM (
        SELECT consumer, rank() OVER (ORDER BY transaction, position) - 1 AS before
        FROM events_consumeroffset
    ) AS ranked
    WHERE ranked.consumer = reached.consumer
"""


@transaction
def renumber_restored_log() -> int | None:
    """Renumber the log, so that consumers go on where they were; returns its events.

    None if the log belongs to this server, and nothing was changed. Takes about ten seconds for a
    million events, and nothing can be appended meanwhile: the shop is to be stopped. To run it
    again changes nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("LOCK TABLE events_event, events_consumeroffset IN ACCESS EXCLUSIVE MODE")
        cursor.execute(_IS_AHEAD)
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER events_event_append_only")
        cursor.execute(_RENUMBER)
        events = cursor.rowcount
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER events_event_append_only")
        cursor.execute(_RESET_OFFSETS)
    return int(events)
