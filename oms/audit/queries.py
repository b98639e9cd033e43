"""Named reads of the event log as the audit trail that it is."""

from __future__ import annotations

from django.db.models import QuerySet

from oms.events.models import Event


def audit_entries() -> QuerySet[Event]:
    """Everything that anyone ever changed, one entry for each event; in no order yet."""
    return Event.objects.all()
