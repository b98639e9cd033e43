"""Reading an object's events without searching all months of the log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from oms.core.ids import creation_time_of, first_id_at

# How much older than the object's id its first event may be, because clocks of machines differ.
_SLACK = timedelta(days=1)


def earliest_event_of(object_ids: Iterable[UUID]) -> UUID:
    """A lower bound for the ids of all events of those objects (at least one).

    An object has no events before it has its id, a UUIDv7. A query with this bound skips the
    partitions of all earlier months.
    """
    return first_id_at(creation_time_of(min(object_ids)) - _SLACK)
