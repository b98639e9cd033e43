"""Checks of the event log's consumers."""

from __future__ import annotations

from collections.abc import Sequence

from oms.events.reading import SETTLED
from oms.reconcile.checks import Check

# How many seconds an event may wait before its consumer counts as stuck.
_MAX_WAIT = 120


def consumer_checks(consumers: Sequence[str]) -> tuple[Check, ...]:
    """The checks of the consumers of those names."""
    return (
        Check(
            name="consumers_up_to_date",
            promise="No consumer leaves an event unread for more than two minutes.",
            # Only readable events count: they wait for every transaction that began before theirs.
            sql=f"""
                SELECT name AS id,
                       format('%%s events are unread, the oldest since %%s', unread.number,
                              unread.since) AS detail
                FROM unnest(%(consumers)s::text[]) AS name
                LEFT JOIN events_consumeroffset AS reached ON reached.consumer = name
                CROSS JOIN LATERAL (
                    SELECT count(*) AS number, min(occurred_at) AS since
                    FROM events_event
                    WHERE (transaction, position) > (coalesce(reached.transaction, '0'::xid8),
                                                     coalesce(reached.position, 0))
                      AND {SETTLED}
                ) AS unread
                WHERE unread.since < now() - make_interval(secs => %(max_wait)s)
            """,  # noqa: S608
            parameters=lambda: {"consumers": list(consumers), "max_wait": _MAX_WAIT},
        ),
        Check(
            name="consumer_offsets_of_this_server",
            promise="No consumer is ahead of the transactions of this server.",
            # After a dump was restored on another server new events would not be read at all.
            sql="""
                SELECT consumer AS id,
                       format('has read up to transaction %%s, and the server is at %%s: stop the'
                              ' shop, and run manage.py event_log renumber', transaction, next)
                           AS detail
                FROM events_consumeroffset, pg_snapshot_xmax(pg_current_snapshot()) AS next
                WHERE transaction > next
            """,
        ),
        Check(
            name="no_dead_letters",
            promise="No consumer has given up an event.",
            sql="""
                SELECT event.id::text AS id,
                       format('%%s failed to handle %%s in %%s attempts: %%s',
                              dead_letter.consumer, event.type, dead_letter.attempts,
                              left(dead_letter.last_error, 200)) AS detail
                FROM events_parkedevent AS dead_letter
                JOIN events_event AS event ON event.id = dead_letter.event_id
                WHERE dead_letter.next_attempt_at IS NULL
            """,
        ),
    )
