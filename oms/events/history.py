"""Reading an object's events without searching all months of the log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from oms.core.ids import creation_time_of, first_id_at

# How much older than an object's id its first event's may be: the clocks of machines differ.
_SLACK = timedelta(days=1)


def earliest_event_of(object_ids: Iterable[UUID]) -> UUID:
    """An id that no event of those objects, at least one, can be below.

    There are none before the object has its id, a UUIDv7. A query with this bound skips the
    partitions of all months before.
    """
    return first_id_at(creation_time_of(min(object_ids)) - _SLACK)
