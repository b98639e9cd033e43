"""Deleting old notifications."""

from __future__ import annotations

from datetime import datetime

from notifications.models import Channel, DeliveryState
from oms.core.ids import first_id_at
from oms.queue.purging import purge_rows

# Ids are UUIDv7, so the oldest rows come first in the primary key.
_PURGE = """
    DELETE FROM notifications_notification
    WHERE id = ANY(ARRAY(
        SELECT id FROM notifications_notification
        WHERE id < %(before)s AND (channel = %(in_app)s OR state = ANY(%(final)s))
        ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def purge_notifications(*, before: datetime, deadline: float) -> int:
    """Delete notifications created before `before`, read or not; returns how many.

    Undelivered e-mails are kept. Stops at `deadline`, a time of `time.monotonic`.
    """
    return purge_rows(
        what="notifications",
        statement=_PURGE,
        parameters={
            "before": first_id_at(before),
            "in_app": Channel.IN_APP.value,
            "final": [DeliveryState.SENT.value, DeliveryState.DEAD.value],
        },
        deadline=deadline,
    )
