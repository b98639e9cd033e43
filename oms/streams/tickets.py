"""Single-use tickets, for browsers, which cannot send a header when they open a stream."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from oms.core import clock
from oms.db.pipeline import execute
from oms.db.transactions import transaction
from oms.queue.purging import purge_rows
from oms.streams.models import Ticket

TICKET_SECONDS = 30
# Longer ones are none of ours.
LONGEST = 64

_REDEEM = """
    DELETE FROM streams_ticket WHERE digest = %s RETURNING user_id, session_id, expires_at
"""
_PURGE = """
    DELETE FROM streams_ticket
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM streams_ticket WHERE expires_at < %(before)s
        ORDER BY expires_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


class Redeemed(NamedTuple):
    """Whose ticket it was; `session_id` is None for the back office."""

    user_id: UUID
    session_id: UUID | None


@transaction
def issue_ticket(*, user_id: UUID, session_id: UUID | None) -> str:
    """A ticket for the user's session, valid for one connection within 30 seconds."""
    ticket = secrets.token_urlsafe(24)
    Ticket.objects.create(
        digest=_digest(ticket),
        user_id=user_id,
        session_id=session_id,
        expires_at=clock.now() + timedelta(seconds=TICKET_SECONDS),
    )
    return ticket


@transaction
def redeem_ticket(ticket: str) -> Redeemed | None:
    """Use the ticket up; None if there is no such one, or it is too old."""
    rows = execute(_REDEEM, [_digest(ticket)]).rows()
    if not rows:
        return None
    [(user_id, session_id, expires_at)] = rows
    return Redeemed(user_id, session_id) if expires_at >= clock.now() else None


def purge_tickets(*, before: datetime, deadline: float) -> int:
    """Delete tickets that expired before `before`; returns how many."""
    return purge_rows(
        what="tickets", statement=_PURGE, parameters={"before": before}, deadline=deadline
    )


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
