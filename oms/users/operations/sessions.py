"""Logging in, refreshing and logging out.

A session is a family of refresh tokens of which only the latest is valid (RFC 9700, 4.14.2).
Refreshing locks the session, so one of two concurrent refreshes wins. Reusing an older token
revokes the whole family, since it may have been stolen. The loser of a race is only refused: its
statement began before the winner's rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db.models import F, Func
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings

from oms.core import clock
from oms.core.actor import Actor, account
from oms.core.ids import new_id
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from oms.queue.purging import purge_rows
from oms.users.errors import BadCredentials, TokenInvalid
from oms.users.events import SessionRevoked, UserLoggedIn
from oms.users.locks import lock_open_sessions, lock_session
from oms.users.models import Session, User
from oms.users.operations.authorization import check_authority
from oms.users.operations.known_addresses import remember_address
from oms.users.signing_keys import AccessToken, RefreshToken

# The claim of both tokens that names their session.
SESSION_CLAIM = "sid"

# A session that is just being refreshed is locked, and skipped.
_PURGE_BACK_OFFICE = """
    DELETE FROM django_session
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM django_session WHERE expire_date < %(before)s
        ORDER BY expire_date LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""
_PURGE = """
    DELETE FROM users_session
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM users_session WHERE expires_at < %(before)s
        ORDER BY expires_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """Two signed JWTs."""

    access: str
    refresh: str


def log_in(*, actor: Actor, email: str, password: str) -> TokenPair:
    """Open an API session. Raises BadCredentials, after the same time for every reason."""
    return _open_session(actor=actor, user=_user_of(email, password), at=clock.now())


def log_in_to_back_office(*, actor: Actor, email: str, password: str) -> User:
    """Record a staff login; its session is Django's. Raises BadCredentials, also for customers."""
    user = _user_of(email, password)
    if not user.is_staff:
        raise BadCredentials
    _record_login(actor=actor, user=user, session_id=None, at=clock.now())
    return user


def _user_of(email: str, password: str) -> User:
    user = User.objects.with_email(email).first()
    if user is None:
        # As slow as a check, so that the time taken does not reveal which accounts exist.
        make_password(password)
        raise BadCredentials
    # Outside the transaction, since hashing is slow on purpose.
    rehash = partial(_rehash, user)
    if not check_password(password, user.password, setter=rehash) or not user.is_active:
        raise BadCredentials
    return user


def _rehash(user: User, password: str) -> None:
    """Store the correct password with the current parameters, unless it has just changed."""
    hashed = make_password(password)
    if User.objects.filter(pk=user.pk, password=user.password).update(password=hashed):
        user.password = hashed
        return
    # Another login was faster, or the password has changed.
    user.refresh_from_db(fields=["password"])
    if not check_password(password, user.password):
        raise BadCredentials


@transaction
def _record_login(*, actor: Actor, user: User, session_id: UUID | None, at: datetime) -> None:
    # Locks the user: a deactivation or password change, which ends all sessions, either comes
    # later and finds this one, or came before and is seen here.
    same = User.objects.filter(pk=user.pk, is_active=True, password=user.password)
    if not same.update(last_login=at):
        raise BadCredentials
    remember_address(user_id=user.id, ip=actor.ip, at=at)
    publish(
        UserLoggedIn(user_id=user.id, session_id=session_id),
        actor=account(
            id=user.id,
            email=user.email,
            is_staff=user.is_staff,
            is_superuser=user.is_superuser,
            request_id=actor.request_id,
            ip=actor.ip,
        ),
    )


@transaction
def _open_session(*, actor: Actor, user: User, at: datetime) -> TokenPair:
    session_id = new_id()
    _record_login(actor=actor, user=user, session_id=session_id, at=at)
    refresh, jti, expires_at = _refresh_token(user_id=user.id, session_id=session_id)
    Session.objects.create(
        id=session_id,
        user=user,
        refresh_jti=jti,
        created_at=at,
        rotated_at=at,
        expires_at=expires_at,
    )
    return TokenPair(access=_access_token(refresh), refresh=str(refresh))


def refresh_session(*, actor: Actor, refresh: str) -> TokenPair:
    """A new pair for a valid refresh token, which is used up. Raises TokenInvalid."""
    pair = _rotate(actor=actor, token=_verified(refresh))
    if pair is None:
        raise TokenInvalid
    return pair


@transaction
def _rotate(*, actor: Actor, token: Any) -> TokenPair | None:
    # None instead of an exception, so that the revocation after a reuse is committed.
    session = lock_session(token[SESSION_CLAIM])
    if session is None or session.revoked_at is not None or not session.user.is_active:
        return None
    if session.refresh_jti != token["jti"]:
        lost_a_race = session.began_at <= session.rotated_at
        if not lost_a_race:
            _revoke(session, actor=actor, reason="reuse")
        return None
    refresh, jti, expires_at = _refresh_token(user_id=session.user_id, session_id=session.id)
    session.refresh_jti, session.expires_at = jti, expires_at
    # By the database's clock, as `began_at`.
    session.rotated_at = Func(function="clock_timestamp")
    session.save(update_fields=["refresh_jti", "expires_at", "rotated_at"])
    remember_address(user_id=session.user_id, ip=actor.ip, at=clock.now())
    return TokenPair(access=_access_token(refresh), refresh=str(refresh))


@transaction
def revoke_session(*, actor: Actor, refresh: str) -> None:
    """End the session of a refresh token, used or not. Raises TokenInvalid."""
    token = _verified(refresh)
    session = lock_session(token[SESSION_CLAIM])
    if session is None:
        raise TokenInvalid
    if session.revoked_at is None:
        _revoke(session, actor=actor, reason="logout")


@transaction_required
def end_sessions(*, actor: Actor, user_id: UUID, reason: str) -> None:
    """End all sessions of the user: of the API, with their tokens, and of the back office."""
    User.objects.filter(pk=user_id).update(session_version=F("session_version") + 1)
    for session in lock_open_sessions(user_id):
        _revoke(session, actor=actor, reason=reason)


@transaction
def end_session(*, actor: Actor, session_id: UUID, reason: str) -> None:
    """End one session, if it has not ended. Raises what `check_authority` does."""
    session = lock_session(session_id)
    if session is None:
        return
    check_authority(actor=actor, user=session.user)
    if session.revoked_at is None:
        _revoke(session, actor=actor, reason=reason)


def _revoke(session: Session, *, actor: Actor, reason: str) -> None:
    session.revoked_at, session.revoked_because = clock.now(), reason
    session.save(update_fields=["revoked_at", "revoked_because"])
    publish(
        SessionRevoked(user_id=session.user_id, session_id=session.id, reason=reason), actor=actor
    )


def purge_sessions(*, before: datetime, deadline: float) -> int:
    """Delete sessions that expired before `before`; returns how many.

    Stops at `deadline` (of `time.monotonic`).
    """
    purge = partial(purge_rows, parameters={"before": before}, deadline=deadline)
    return purge(what="sessions", statement=_PURGE) + purge(
        what="back office sessions", statement=_PURGE_BACK_OFFICE
    )


def _verified(refresh: str) -> Any:
    encoded: Any = refresh  # the library's annotation leaves out the string that it takes
    try:
        token = RefreshToken(encoded)
        UUID(token[SESSION_CLAIM])
    except (TokenError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TokenInvalid from error
    return token


def _refresh_token(*, user_id: UUID, session_id: UUID) -> tuple[Any, str, datetime]:
    token = RefreshToken()
    token[api_settings.USER_ID_CLAIM] = str(user_id)
    token[SESSION_CLAIM] = str(session_id)
    return token, token["jti"], clock.now() + token.lifetime


def _access_token(refresh: Any) -> str:
    # Copies our claims, without those that belong to the refresh token.
    access: AccessToken = refresh.access_token
    return str(access)
