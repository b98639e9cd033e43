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
from oms.events.reading import SETTLED, query_in_order
from orders.queries import returns_of
from payments.queries import payments_of, refunds_of

NOTHING = UUID(int=0)


class Place(NamedTuple):
    """A place in the log's order; what comes after it is greater."""

    transaction: int
    position: int


BEGINNING = Place(0, 0)
# Greater than any position.
_LAST = 2**62

# How many rows of the log a page looks through at most: those of rare types are far apart.
_MOST_SCANNED = 5_000

_COLUMNS = """
    id, type, occurred_at, actor_kind, object_id, data->>'order_id' AS order_id,
    data->>'customer_id' AS customer_id, data::text AS data, transaction, position
"""
_AFTER = f"(transaction, position) > (%s::text::xid8, %s) AND {SETTLED}"
_FOUND_COLUMNS = """
    id, type, occurred_at, actor_kind, object_id, order_id, customer_id, data,
    transaction::text::bigint, position
"""

# Those that match among the next rows, and the last of these for the next page.
_ALL = f"""
    WITH batch AS MATERIALIZED (
        SELECT id, type, occurred_at, actor_kind, object_id, data, transaction, position
        FROM events_event
        WHERE {_AFTER} ORDER BY transaction, position LIMIT %s
    ), matching AS (
        SELECT {_COLUMNS}, true AS matches FROM batch
        WHERE type = ANY(%s) ORDER BY batch.transaction, batch.position LIMIT %s
    ), ending AS (
        SELECT {_COLUMNS}, false AS matches FROM batch
        ORDER BY batch.transaction DESC, batch.position DESC LIMIT 1
    )
    SELECT {_FOUND_COLUMNS}, matches, (SELECT count(*) FROM batch)
    FROM (SELECT * FROM matching UNION ALL SELECT * FROM ending) AS found
    ORDER BY matches DESC, found.transaction, found.position
"""  # noqa: S608
# Those that an index leads to.
_FOUND = """
    SELECT {found_columns}, true, 0 FROM (
        SELECT {columns} FROM events_event
        WHERE {conditions} AND type = ANY(%s) AND {after}
        ORDER BY transaction, position LIMIT %s
    ) AS found ORDER BY found.transaction, found.position
"""
_OF_OBJECTS = "object_id = ANY(%s) AND id >= %s"
_OF_CUSTOMER = "data->>'customer_id' = %s"
# Among those of a customer, which are few: no index leads to them.
_OF_ORDER = "data->>'order_id' = %s AND id >= %s"
_SETTLED_UNTIL = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_PLACE = "SELECT transaction::text, position FROM events_event WHERE id = %s"
_OLDEST = f"""
    SELECT id FROM events_event WHERE {SETTLED} ORDER BY transaction, position LIMIT 1
"""  # noqa: S608
_LATEST = """
    SELECT id FROM events_event WHERE {conditions}
    ORDER BY transaction DESC, position DESC LIMIT 1
"""

_END = f"""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text, ({_LATEST.format(conditions=SETTLED)})
"""


class EventsArchived(Gone):
    """The events after this one have been archived; the oldest ones kept begin later."""

    code = "events_archived"


class FeedEvent(NamedTuple):
    """An event of the feed; `data` is JSON."""

    id: UUID
    type: str
    occurred_at: datetime
    actor_kind: str
    object_id: UUID
    order_id: str | None
    customer_id: str | None
    data: str
    transaction: int
    position: int
    matches: bool
    scanned: int

    @property
    def place(self) -> Place:
        """Where it is in the log."""
        return Place(self.transaction, self.position)


@dataclass(frozen=True, kw_only=True)
class FeedPage:
    """Some events in the order of commits.

    `next` is the position after which the next page begins, `until` the place up to which the page
    has all that matches, `is_full` whether more may be there now.
    """

    events: Sequence[FeedEvent]
    next: UUID
    until: Place
    is_full: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
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
    return _page(scope, place_of(after), limit=limit, after=after)


def place_of(position: UUID) -> Place:
    """The place of that position. Raises EventsArchived, and LookupError for no event's id."""
    if position == NOTHING:
        return BEGINNING
    found = execute(_PLACE, [position]).rows()
    if not found:
        raise _unknown(position)
    [(transaction_id, number)] = found
    return Place(int(transaction_id), number)


def read_on(scope: FeedScope, *, last: FeedPage, limit: int) -> FeedPage:
    """The events after that page."""
    return _page(scope, last.until, limit=limit, after=last.next)


def end_of_log() -> FeedPage:
    """The empty page at the end of what is settled now."""
    # Of one snapshot, so that nothing is between the position and the place where reading begins.
    [[until, position]] = execute(_END, prepared=False).rows()
    return FeedPage(events=[], next=position or NOTHING, until=_before(until))


def _page(scope: FeedScope, begins: Place, *, limit: int, after: UUID) -> FeedPage:
    statement, parameters = _statement(
        scope, place=[str(begins.transaction), begins.position], limit=limit
    )
    with transaction.atomic(), Pipeline() as pipeline:
        # First, so that the page has at least all until there.
        settled = pipeline.query(_SETTLED_UNTIL)
        found = query_in_order(pipeline, statement, parameters, make=FeedEvent._make)
    rows = found.rows()
    events = [row for row in rows if row.matches]
    until = _before(settled.rows()[0][0])
    # A page with too few events ends with all that was looked through.
    ends = events[-1:] if len(events) == limit else rows[-1:]
    is_full = len(events) == limit or any(row.scanned == _MOST_SCANNED for row in ends)
    return FeedPage(
        events=events,
        next=ends[0].id if ends else after,
        until=ends[0].place if is_full else max(begins, until, *(row.place for row in ends)),
        is_full=is_full,
    )


def _before(settled_until: str) -> Place:
    """The end of all that transactions before that one have written."""
    return Place(int(settled_until) - 1, _LAST)


def _statement(
    scope: FeedScope, *, place: Sequence[object], limit: int
) -> tuple[str, Sequence[object]]:
    conditions: list[str] = []
    parameters: list[object] = []
    if scope.customer_id is not None:
        conditions.append(_OF_CUSTOMER)
        parameters.append(str(scope.customer_id))
        if scope.order_id is not None:
            conditions.append(_OF_ORDER)
            parameters += [str(scope.order_id), earliest_event_of([scope.order_id])]
    elif scope.order_id is not None:
        ids = _objects_of(scope.order_id)
        conditions.append(_OF_OBJECTS)
        parameters += [ids, earliest_event_of(ids)]
    types = list(scope.types)
    if not conditions:
        return _ALL, [*place, _MOST_SCANNED, types, limit]
    found = _FOUND.format(
        columns=_COLUMNS,
        found_columns=_FOUND_COLUMNS,
        conditions=" AND ".join(conditions),
        after=_AFTER,
    )
    return found, [*parameters, types, *place, limit]


def _objects_of(order_id: UUID) -> list[UUID]:
    """The order, its returns, its payments and their refunds."""
    returns = returns_of(order_id).values_list("id", flat=True)
    payments = list(payments_of(order_id).values_list("id", flat=True))
    refunds = [id for each in payments for id in refunds_of(each).values_list("id", flat=True)]
    return [order_id, *returns, *payments, *refunds]


def latest_position(scope: FeedScope) -> UUID:
    """The position of the last event that is settled now."""
    conditions, parameters = [SETTLED], []
    if scope.customer_id is not None:
        conditions.append(_OF_CUSTOMER)
        parameters.append(str(scope.customer_id))
    found = execute(
        _LATEST.format(conditions=" AND ".join(conditions)), parameters, prepared=False
    ).rows()
    return found[0][0] if found else NOTHING


def _unknown(after: UUID) -> Exception:
    archived = archived_until()
    if archived is not None and after < first_id_at(archived):
        [(oldest,)] = execute(_OLDEST, prepared=False).rows() or [(None,)]
        return EventsArchived(oldest=str(oldest))
    return LookupError(after)
