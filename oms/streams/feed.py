"""Reading the event log from a position on, in the order of commits.

Only what is settled is returned: every transaction that began earlier has ended, so nothing appears
later before what was returned. A position is the id of an event; NOTHING is that before the first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from oms.core.errors import Gone
from oms.core.ids import first_id_at
from oms.db.pipeline import Pipeline, execute
from oms.events.archiving import archived_until
from oms.events.history import earliest_event_of
from payments.queries import payments_of, refunds_of

NOTHING = UUID(int=0)
_BEGINNING = ("0", 0)

# How many rows of the log a page looks through at most: those of rare types are far apart.
_MOST_SCANNED = 5_000

_COLUMNS = "id, type, occurred_at, actor_kind, data"
_SETTLED = "transaction < pg_snapshot_xmin(pg_current_snapshot())"
_AFTER = f"(transaction, position) > (%s::text::xid8, %s) AND {_SETTLED}"

# Those that match among the next rows, and the last of these for the next page.
_ALL = f"""
    WITH batch AS MATERIALIZED (
        SELECT {_COLUMNS}, transaction, position FROM events_event
        WHERE {_AFTER} ORDER BY transaction, position LIMIT %s
    ), matching AS (
        SELECT * FROM batch WHERE type = ANY(%s) ORDER BY transaction, position LIMIT %s
    ), ending AS (
        SELECT * FROM batch ORDER BY transaction DESC, position DESC LIMIT 1
    )
    SELECT {_COLUMNS}, matches FROM (
        SELECT *, true AS matches FROM matching UNION ALL SELECT *, false FROM ending
    ) AS found ORDER BY matches DESC, found.transaction, found.position
"""  # noqa: S608
_OF_OBJECTS = f"""
    SELECT {_COLUMNS}, true FROM events_event
    WHERE object_id = ANY(%s) AND id >= %s AND type = ANY(%s) AND {_AFTER}
    ORDER BY events_event.transaction, events_event.position LIMIT %s
"""  # noqa: S608
_OF_ORDER_OF_CUSTOMER = f"""
    SELECT {_COLUMNS}, true FROM events_event
    WHERE object_id = %s AND id >= %s AND data->>'customer_id' = %s AND type = ANY(%s) AND {_AFTER}
    ORDER BY events_event.transaction, events_event.position LIMIT %s
"""  # noqa: S608
_OF_CUSTOMER = f"""
    SELECT {_COLUMNS}, true FROM events_event
    WHERE object_type = 'order' AND data->>'customer_id' = %s AND type = ANY(%s) AND {_AFTER}
    ORDER BY events_event.transaction, events_event.position LIMIT %s
"""  # noqa: S608
_PLACE = "SELECT transaction::text, position FROM events_event WHERE id = %s"
_OLDEST = f"""
    SELECT id FROM events_event WHERE {_SETTLED}
    ORDER BY events_event.transaction, events_event.position LIMIT 1
"""  # noqa: S608
_LATEST = f"""
    SELECT id FROM events_event WHERE {_SETTLED}
    ORDER BY events_event.transaction DESC, events_event.position DESC LIMIT 1
"""  # noqa: S608
_LATEST_OF_CUSTOMER = f"""
    SELECT id FROM events_event
    WHERE object_type = 'order' AND data->>'customer_id' = %s AND {_SETTLED}
    ORDER BY events_event.transaction DESC, events_event.position DESC LIMIT 1
"""  # noqa: S608


class EventsArchived(Gone):
    """The events after this one have been archived; the oldest ones kept begin later."""

    code = "events_archived"


class FeedEvent(NamedTuple):
    """An event of the feed."""

    id: UUID
    type: str
    occurred_at: datetime
    actor_kind: str
    data: dict[str, object]
    matches: bool


@dataclass(frozen=True, kw_only=True)
class FeedPage:
    """Some events in the order of commits, and the position after which the next page begins."""

    events: Sequence[FeedEvent]
    next: UUID


@dataclass(frozen=True, kw_only=True)
class FeedScope:
    """Events of these types, and of the customer or the order if one is named."""

    types: Collection[str]
    customer_id: UUID | None = None
    order_id: UUID | None = None


def read_feed(scope: FeedScope, *, after: UUID, limit: int) -> FeedPage:
    """The next events after that position, `limit` at most.

    A page may be empty although there are more: rare events are looked for in 5,000 rows at a time.
    Raises EventsArchived, and LookupError for an id that no event has.
    """
    statement, parameters = _statement(scope, place=_place_of(after), limit=limit)
    rows = _rows(statement, parameters)
    events = [row for row in rows if row.matches]
    # A page that is not full ends with all that was looked through.
    ends = events[-1:] if len(events) == limit else rows[-1:]
    return FeedPage(events=events, next=ends[0].id if ends else after)


def _statement(
    scope: FeedScope, *, place: tuple[str, int], limit: int
) -> tuple[str, Sequence[object]]:
    types, order, customer = list(scope.types), scope.order_id, scope.customer_id
    if order is not None and customer is not None:
        earliest = earliest_event_of([order])
        return _OF_ORDER_OF_CUSTOMER, [order, earliest, str(customer), types, *place, limit]
    if order is not None:
        ids = _objects_of(order)
        return _OF_OBJECTS, [ids, earliest_event_of(ids), types, *place, limit]
    if customer is not None:
        return _OF_CUSTOMER, [str(customer), types, *place, limit]
    return _ALL, [*place, _MOST_SCANNED, types, limit]


def _objects_of(order_id: UUID) -> list[UUID]:
    """The order, its payments and their refunds."""
    payments = list(payments_of(order_id).values_list("id", flat=True))
    refunds = [id for each in payments for id in refunds_of(each).values_list("id", flat=True)]
    return [order_id, *payments, *refunds]


def latest_position(scope: FeedScope) -> UUID:
    """The position of the last event that is settled now."""
    if scope.customer_id is not None:
        found = execute(_LATEST_OF_CUSTOMER, [str(scope.customer_id)], prepared=False).rows()
    else:
        found = execute(_LATEST, prepared=False).rows()
    return found[0][0] if found else NOTHING


def _rows(statement: str, parameters: Sequence[object]) -> list[FeedEvent]:
    # As in oms/events/relay.py: the statistics of a growing log mislead the planner.
    with transaction.atomic(), Pipeline() as pipeline:
        pipeline.query("SET LOCAL enable_sort = off", prepared=False)
        found = pipeline.query(statement, parameters, make=FeedEvent._make, prepared=False)
        return found.rows()


def _place_of(after: UUID) -> tuple[str, int]:
    if after == NOTHING:
        return _BEGINNING
    found = execute(_PLACE, [after]).rows()
    if found:
        [(written_by, position)] = found
        return written_by, position
    archived = archived_until()
    if archived is not None and after < first_id_at(archived):
        [(oldest,)] = execute(_OLDEST, prepared=False).rows() or [(None,)]
        raise EventsArchived(oldest=str(oldest))
    raise LookupError(after)
