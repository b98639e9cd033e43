"""Deletes old webhooks of providers."""

from __future__ import annotations

from datetime import datetime

from oms.queue.purging import purge_rows

# Ids grow with the time of receipt, so no index by time is needed.
_PURGE = """
    DELETE FROM payments_providermessage
    WHERE received_at < %(before)s AND id = ANY(ARRAY(
        SELECT id FROM payments_providermessage ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def purge_provider_messages(*, before: datetime, deadline: float) -> int:
    """Delete the webhooks received before that time; the number of rows.

    A webhook that is delivered again after that is processed again, which changes nothing, since
    outcomes are final. Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="provider messages",
        statement=_PURGE,
        parameters={"before": before},
        deadline=deadline,
    )
