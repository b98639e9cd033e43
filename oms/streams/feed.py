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
from oms.db.pipeline import execute
from oms.events.archiving import archived_until
from oms.events.history import earliest_event_of
from oms.events.reading import SETTLED, read_in_order
from payments.queries import payments_of, refunds_of

NOTHING = UUID(int=0)
_BEGINNING = ("0", 0)

# How many rows of the log a page looks through at most: those of rare types are far apart.
_MOST_SCANNED = 5_000

_COLUMNS = "id, type, occurred_at, actor_kind, data"
_AFTER = f"(transaction, position) > (%s::text::xid8, %s) AND {SETTLED}"

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
    ) AS found ORDER BY matches DESC, transaction, position
"""  # noqa: S608
# Those that an index leads to.
_FOUND = """
    SELECT {columns}, true FROM events_event
    WHERE {conditions} AND type = ANY(%s) AND {after}
    ORDER BY transaction, position LIMIT %s
"""
_OF_OBJECTS = "object_id = ANY(%s) AND id >= %s"
_OF_CUSTOMER = "object_type = 'order' AND data->>'customer_id' = %s"
_PLACE = "SELECT transaction::text, position FROM events_event WHERE id = %s"
_OLDEST = f"""
    SELECT id FROM events_event WHERE {SETTLED} ORDER BY transaction, position LIMIT 1
"""  # noqa: S608
_LATEST = """
    SELECT id FROM events_event WHERE {conditions}
    ORDER BY transaction DESC, position DESC LIMIT 1
"""


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
    with transaction.atomic():
        rows = read_in_order(statement, parameters, make=FeedEvent._make)
    events = [row for row in rows if row.matches]
    # A page that is not full ends with all that was looked through.
    ends = events[-1:] if len(events) == limit else rows[-1:]
    return FeedPage(events=events, next=ends[0].id if ends else after)


def _statement(
    scope: FeedScope, *, place: tuple[str, int], limit: int
) -> tuple[str, Sequence[object]]:
    conditions: list[str] = []
    parameters: list[object] = []
    if scope.order_id is not None:
        # A customer follows nothing of payments.
        ids = _objects_of(scope.order_id) if scope.customer_id is None else [scope.order_id]
        conditions.append(_OF_OBJECTS)
        parameters += [ids, earliest_event_of(ids)]
    if scope.customer_id is not None:
        conditions.append(_OF_CUSTOMER)
        parameters.append(str(scope.customer_id))
    types = list(scope.types)
    if not conditions:
        return _ALL, [*place, _MOST_SCANNED, types, limit]
    found = _FOUND.format(columns=_COLUMNS, conditions=" AND ".join(conditions), after=_AFTER)
    return found, [*parameters, types, *place, limit]


def _objects_of(order_id: UUID) -> list[UUID]:
    """The order, its payments and their refunds."""
    payments = list(payments_of(order_id).values_list("id", flat=True))
    refunds = [id for each in payments for id in refunds_of(each).values_list("id", flat=True)]
    return [order_id, *payments, *refunds]


def latest_position(scope: FeedScope) -> UUID:
    """The position of the last event that is settled now."""
    conditions, parameters = [SETTLED], []
    if scope.customer_id is not None:
        conditions.append(_OF_CUSTOMER)
        parameters.append(str(scope.customer_id))
    statement = _LATEST.format(conditions=" AND ".join(conditions))
    found = execute(statement, parameters, prepared=False).rows()
    return found[0][0] if found else NOTHING


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
