"""Forgetting what providers told long ago."""

from __future__ import annotations

from datetime import datetime

from oms.queue.purging import purge_rows

# Ids are drawn as messages come, so the oldest have the smallest: no index by time is needed.
_PURGE = """
    DELETE FROM payments_providermessage
    WHERE received_at < %(before)s AND id = ANY(ARRAY(
        SELECT id FROM payments_providermessage ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def purge_provider_messages(*, before: datetime, deadline: float) -> int:
    """Delete the webhooks that came before that moment; returns how many.

    One that is told again after that takes effect again, which changes nothing: outcomes only lead
    forward. Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="provider messages",
        statement=_PURGE,
        parameters={"before": before},
        deadline=deadline,
    )
