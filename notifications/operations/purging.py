"""Forgetting what people were told long ago."""

from __future__ import annotations

from datetime import datetime

from notifications.models import Channel, DeliveryState
from oms.core.ids import first_id_at
from oms.queue.purging import purge_rows

# Ids are UUIDv7, so the oldest stand at the beginning of the primary key.
_PURGE = """
    DELETE FROM notifications_notification
    WHERE id = ANY(ARRAY(
        SELECT id FROM notifications_notification
        WHERE id < %(before)s AND (channel = %(in_app)s OR state = ANY(%(ended)s))
        ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def purge_notifications(*, before: datetime, deadline: float) -> int:
    """Delete what was written before that moment, read or not; returns how many.

    An e-mail that is not delivered yet stays. Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="notifications",
        statement=_PURGE,
        parameters={
            "before": first_id_at(before),
            "in_app": Channel.IN_APP.value,
            "ended": [DeliveryState.SENT.value, DeliveryState.DEAD.value],
        },
        deadline=deadline,
    )
