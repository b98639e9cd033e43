"""The addresses from which accounts have logged in.

Attempts to log in from there are counted apart, so that those of strangers do not lock the owner of
an account out; see docs/decisions/0007-rate-limits.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from oms.core import clock
from oms.db.transactions import transaction_required
from oms.http.addresses import address_group
from oms.queue.purging import purge_rows
from oms.users.models import KnownAddress, User

KNOWN_FOR = timedelta(days=30)

# One write a day for each address: a session refreshes its tokens every few minutes.
_REMEMBER = """
    INSERT INTO users_knownaddress AS known (user_id, address, used_at) VALUES (%s, %s, %s)
    ON CONFLICT (user_id, address) DO UPDATE SET used_at = EXCLUDED.used_at
    WHERE known.used_at < EXCLUDED.used_at - interval '1 day'
"""
_PURGE = """
    DELETE FROM users_knownaddress
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM users_knownaddress WHERE used_at < %(before)s
        ORDER BY used_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


@transaction_required
def remember_address(*, user_id: UUID, ip: str | None, at: datetime) -> None:
    """Record that the user has logged in, or refreshed a session, from that address."""
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, [user_id, address_group(ip), at])


def is_known_address(*, email: str, address: str) -> bool:
    """Whether the account with that e-mail address was used from `address` within KNOWN_FOR.

    `address` is one that `address_group` returns.
    """
    return KnownAddress.objects.filter(
        user__in=User.objects.with_email(email),
        address=address,
        used_at__gt=clock.now() - KNOWN_FOR,
    ).exists()


def purge_known_addresses(*, now: datetime, deadline: float) -> int:
    """Delete addresses that are no longer known; returns how many.

    Stops at `deadline` (of `time.monotonic`).
    """
    return purge_rows(
        what="known addresses",
        statement=_PURGE,
        parameters={"before": now - KNOWN_FOR},
        deadline=deadline,
    )
