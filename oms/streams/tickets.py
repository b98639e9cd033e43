"""Single-use tickets, for browsers, which cannot send a header when they open a stream."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
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
    DELETE FROM streams_ticket WHERE digest = %s RETURNING session_id, session_key, expires_at
"""
_PURGE = """
    DELETE FROM streams_ticket
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM streams_ticket WHERE expires_at < %(before)s
        ORDER BY expires_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


@transaction
def issue_ticket(*, user_id: UUID, session_id: UUID | None = None, session_key: str = "") -> str:
    """A ticket for the user's session, valid for one connection within 30 seconds.

    The session is one of the API, or with a `session_key` one of the back office.
    """
    ticket = secrets.token_urlsafe(24)
    Ticket.objects.create(
        digest=_digest(ticket),
        user_id=user_id,
        session_id=session_id,
        session_key=session_key,
        expires_at=clock.now() + timedelta(seconds=TICKET_SECONDS),
    )
    return ticket


@transaction
def redeem_ticket(ticket: str) -> UUID | str | None:
    """Use the ticket up: the session's id, or its key in the back office.

    None if there is no such ticket, or it is too old.
    """
    rows = execute(_REDEEM, [_digest(ticket)]).rows()
    if not rows:
        return None
    [(session_id, session_key, expires_at)] = rows
    return (session_id or session_key or None) if expires_at >= clock.now() else None


def purge_tickets(*, before: datetime, deadline: float) -> int:
    """Delete tickets that expired before `before`; returns how many."""
    return purge_rows(
        what="tickets", statement=_PURGE, parameters={"before": before}, deadline=deadline
    )


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
