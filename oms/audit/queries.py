"""Queries of the event log as the audit trail."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.db.pipeline import execute
from oms.events.models import Event
from oms.events.types import event_types

# The oldest and the newest id of each type, by one index descent each for every month. The range
# and the order by type keep the planner from scanning along the ids, as it may for an equality.
_SPANS = """
    SELECT oldest.id, newest.id FROM unnest(%s::text[]) AS kind (type)
    CROSS JOIN LATERAL (
        SELECT id FROM events_event WHERE type >= kind.type AND type <= kind.type
        ORDER BY type, id LIMIT 1
    ) AS oldest
    CROSS JOIN LATERAL (
        SELECT id FROM events_event WHERE type >= kind.type AND type <= kind.type
        ORDER BY type DESC, id DESC LIMIT 1
    ) AS newest
"""


def audit_entries(*, actor: Actor) -> QuerySet[Event]:
    """All audit entries, one for each event, unsorted. Raises PermissionDenied."""
    actor.require(Permission.AUDIT_VIEW)
    return Event.objects.all()


def entries_about(entries: QuerySet[Any], *, object_type: str) -> QuerySet[Any]:
    """Those of `entries` about objects of that type, found by the types of their events.

    Several types cannot be read from the index in the order of ids, so the log is scanned; the
    range of ids limits the scan to the months that have any.
    """
    types = [name for name, event in event_types().items() if event.object_type == object_type]
    spans = execute(_SPANS, [types]).rows() if types else []
    if not spans:
        return entries.none()
    return entries.filter(
        type__in=types,
        id__gte=min(oldest for oldest, _ in spans),
        id__lte=max(newest for _, newest in spans),
    )
