"""Who an access token speaks for: verified once, and asked of the database for many at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from oms.db.pipeline import ask
from oms.users.operations.sessions import SESSION_CLAIM

# Verified tokens that a process remembers; when there are more it begins anew.
_REMEMBERED = 20_000
# Ours are shorter. Padding would make one good token many long ones to be remembered.
_LONGEST = 1_000
_verified: dict[str, AccessClaims] = {}
# Sessions that the database was found to hold no more. Without these a limit of addresses, which
# counts after the question who asks, would not keep their tokens from asking for locks.
_ended: set[UUID] = set()

_SIGNED_IN = """
    SELECT session.id, account.id, account.email, account.is_staff, account.is_superuser
    FROM users_session AS session
    JOIN users_user AS account ON account.id = session.user_id
    WHERE session.id = ANY(%s) AND session.revoked_at IS NULL AND account.is_active
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessClaims:
    """What a good signature vouches for; `expires_at` is in seconds since the epoch."""

    user_id: UUID
    session_id: UUID
    expires_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """The active user of a session that has not been revoked."""

    user_id: UUID
    email: str
    is_staff: bool
    is_superuser: bool


def claims_of(token: str) -> AccessClaims | None:
    """The claims of an access token that is signed by us and has not expired; else None.

    Whether its session still holds is another question, see `asking_signed_in`; where the answer
    was no before, it is None too.
    """
    if len(token) > _LONGEST:
        return None
    claims = _verified.get(token)
    if claims is None:
        claims = _verify(token)
        if claims is None:
            return None
        if len(_verified) >= _REMEMBERED:
            _verified.clear()
        _verified[token] = claims
    if claims.expires_at <= time.time() or claims.session_id in _ended:
        return None
    return claims


def _verify(token: str) -> AccessClaims | None:
    try:
        verified = AccessToken(token)  # type: ignore[arg-type]  # the stubs want a token, not a text
        return AccessClaims(
            user_id=UUID(verified[api_settings.USER_ID_CLAIM]),
            session_id=UUID(verified[SESSION_CLAIM]),
            expires_at=float(verified["exp"]),
        )
    except (TokenError, KeyError, ValueError, TypeError, AttributeError):
        return None


def asking_signed_in(
    session_ids: Collection[UUID],
) -> Callable[[], Mapping[UUID, SignedIn]]:
    """Ask who is signed in by each session; the answer is fetched by calling what is returned.

    So a pipeline can send more statements in between. Sessions that were revoked, or whose user is
    not active, are missing in the answer.
    """
    asked = ask(_SIGNED_IN, [list(session_ids)])

    def fetched() -> Mapping[UUID, SignedIn]:
        users = {
            session: SignedIn(
                user_id=user, email=email, is_staff=is_staff, is_superuser=is_superuser
            )
            for session, user, email, is_staff, is_superuser in asked.rows()
        }
        if len(_ended) >= _REMEMBERED:
            _ended.clear()
        _ended.update(id for id in session_ids if id not in users)
        return users

    return fetched
