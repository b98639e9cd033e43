"""Access tokens and the accounts that they belong to."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings

from oms.core.actor import Actor
from oms.core.actor import account as actor_of_account
from oms.core.permissions import NO_PERMISSIONS, Permission, permissions_of_codes
from oms.db.pipeline import Pipeline, Result, execute
from oms.users.granted import GRANTED_CODES
from oms.users.operations.sessions import SESSION_CLAIM
from oms.users.signing_keys import AccessToken

# How many verified tokens a process caches before it clears the cache.
_REMEMBERED = 20_000
# Our tokens are shorter. Otherwise padding one valid token would fill the cache.
_LONGEST = 1_000
_verified: dict[str, AccessClaims] = {}
# Sessions that were found to be revoked. Django, which refuses them, counts that against a limit of
# addresses; without this the fast path would lock stock for each of their calls first.
_ended: set[UUID] = set()

# Customers and superusers have none granted, and cost nothing more.
_ACCOUNTS = f"""
    SELECT session.id, account.id, account.email, account.is_staff, account.is_superuser,
           account.language,
           CASE WHEN account.is_staff AND NOT account.is_superuser THEN {GRANTED_CODES} END
    FROM users_session AS session
    JOIN users_user AS account ON account.id = session.user_id
    WHERE session.id = ANY(%s) AND session.revoked_at IS NULL AND account.is_active
"""  # noqa: S608

_OPEN = f"{_ACCOUNTS} AND session.expires_at > now()"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessClaims:
    """The claims of a verified token; `expires_at` is in seconds since the epoch."""

    user_id: UUID
    session_id: UUID
    expires_at: float


class Account(NamedTuple):
    """The active user of a session that has not been revoked; of the back office without an id.

    It is the `user` of requests of the API, too, for REST framework's permissions.
    """

    session_id: UUID | None
    id: UUID
    email: str
    is_staff: bool
    is_superuser: bool
    # A language tag; "" for the shop's own.
    language: str
    # What was granted to staff; superusers need none.
    permissions: frozenset[Permission]

    def actor(self, *, request_id: str = "", ip: str | None = None) -> Actor:
        """The actor that the account is to operations."""
        return actor_of_account(
            id=self.id,
            email=self.email,
            is_staff=self.is_staff,
            is_superuser=self.is_superuser,
            permissions=self.permissions,
            language=self.language,
            request_id=request_id,
            ip=ip,
        )

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> UUID:
        return self.id


def claims_of(token: str) -> AccessClaims | None:
    """The claims of an access token that is signed by us and has not expired; else None.

    Its session may have been revoked since, see `AccountQuery`; None where that is known already.
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
        verified = AccessToken(token)  # type: ignore[arg-type]  # the stubs expect a token, not a string
        return AccessClaims(
            user_id=UUID(verified[api_settings.USER_ID_CLAIM]),
            session_id=UUID(verified[SESSION_CLAIM]),
            expires_at=float(verified["exp"]),
        )
    except (TokenError, KeyError, ValueError, TypeError, AttributeError):
        return None


def _account(row: tuple[Any, ...]) -> Account:
    *columns, codes = row
    permissions = NO_PERMISSIONS if codes is None else permissions_of_codes(codes)
    return Account._make((*columns, permissions))


class AccountQuery:
    """The accounts of sessions: one statement of the pipeline, none for no sessions."""

    def __init__(self, session_ids: Collection[UUID], *, pipeline: Pipeline) -> None:
        self._session_ids = session_ids
        self._result: Result[Account] | None = None
        if session_ids:
            self._result = pipeline.query(_ACCOUNTS, [list(session_ids)], make=_account)

    def by_session(self) -> Mapping[UUID, Account]:
        """The accounts by session; without sessions that were revoked or whose user is inactive."""
        if self._result is None:
            return {}
        accounts = {each.session_id: each for each in self._result.rows() if each.session_id}
        if len(_ended) >= _REMEMBERED:
            _ended.clear()
        _ended.update(id for id in self._session_ids if id not in accounts)
        return accounts


def accounts_of_open_sessions(session_ids: Collection[UUID]) -> dict[UUID, Account]:
    """The accounts of those of the sessions that have not ended or expired."""
    accounts = execute(_OPEN, [list(session_ids)], make=_account).rows() if session_ids else []
    return {each.session_id: each for each in accounts if each.session_id}


def account_of(session_id: UUID) -> Account | None:
    """The account of the session; None if it was revoked or its user is inactive."""
    with Pipeline() as pipeline:
        return AccountQuery([session_id], pipeline=pipeline).by_session().get(session_id)
