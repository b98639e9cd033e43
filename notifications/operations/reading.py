"""Marking notifications as read."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models.functions import Coalesce

from notifications.models import Notification
from notifications.queries import notifications_of
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.transactions import transaction


@transaction
def mark_read(*, actor: Actor, notification_id: UUID, at: datetime) -> Notification:
    """Mark one of the actor's own notifications as read; the first time is kept.

    Raises NotFound, also for those of other users.
    """
    own = notifications_of(actor).filter(pk=notification_id)
    if not own.update(read_at=Coalesce("read_at", at)):
        raise NotFound
    return own.get()
