"""Logging in, refreshing and logging out.

A session is a family of refresh tokens of which only the newest is good (RFC 9700, 4.14.2). The
rotation is one conditional UPDATE, so of two concurrent refreshes one wins. A used token that
comes again ends the whole family: somebody has a copy of it. The loser of a race is no such thief:
its statement began before the winner's rotation, and it is refused without further harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db.models import Func
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

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

# The claim of both tokens that names their session.
SESSION_CLAIM = "sid"

# One that is refreshed at this moment is locked, or has not ended when it is not.
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
    """Open a session of the API.

    Raises BadCredentials, after the same time whatever the reason.
    """
    return _open_session(actor=actor, user=_user_of(email, password), at=clock.now())


def log_in_to_back_office(*, actor: Actor, email: str, password: str) -> User:
    """Note a login of one of the staff, whose session is a matter of Django's own cookies.

    Raises BadCredentials as `log_in` does, for customers too.
    """
    user = _user_of(email, password)
    if not user.is_staff:
        raise BadCredentials
    _note_login(actor=actor, user=user, session_id=None, at=clock.now())
    return user


def _user_of(email: str, password: str) -> User:
    user = User.objects.with_email(email).first()
    if user is None:
        # As slow as a check, so that the time taken does not tell who has an account.
        make_password(password)
        raise BadCredentials
    # The hash is checked outside the transaction: it is slow on purpose.
    hash_anew = partial(_hash_anew, user)
    if not check_password(password, user.password, setter=hash_anew) or not user.is_active:
        raise BadCredentials
    return user


def _hash_anew(user: User, password: str) -> None:
    """Keep the right password of `user` with today's cost, if it still is the password."""
    hashed = make_password(password)
    # On that condition, or a password that was changed meanwhile would be lost.
    if User.objects.filter(pk=user.pk, password=user.password).update(password=hashed):
        user.password = hashed
        return
    # Either another login of theirs was quicker, or the password is another one now.
    user.refresh_from_db(fields=["password"])
    if not check_password(password, user.password):
        raise BadCredentials


@transaction
def _note_login(*, actor: Actor, user: User, session_id: UUID | None, at: datetime) -> None:
    # This locks the user. A deactivation or a new password that ends all sessions comes either
    # after this and finds the new one, or before it and is seen here.
    same = User.objects.filter(pk=user.pk, is_active=True, password=user.password)
    if not same.update(last_login=at):
        raise BadCredentials
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
    _note_login(actor=actor, user=user, session_id=session_id, at=at)
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
    """A new pair for a good refresh token, which is dead from then on. Raises TokenInvalid."""
    pair = _rotate(actor=actor, token=_verified(refresh))
    if pair is None:
        raise TokenInvalid
    return pair


@transaction
def _rotate(*, actor: Actor, token: Any) -> TokenPair | None:
    # None instead of an exception, so that the revocation of a reused family is committed.
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
    # The database's clock, which is also that of `began_at`; the application's may differ.
    session.rotated_at = Func(function="clock_timestamp")
    session.save(update_fields=["refresh_jti", "expires_at", "rotated_at"])
    return TokenPair(access=_access_token(refresh), refresh=str(refresh))


@transaction
def revoke_session(*, actor: Actor, refresh: str) -> None:
    """End the session of a refresh token, be it used already or not. Raises TokenInvalid."""
    token = _verified(refresh)
    session = lock_session(token[SESSION_CLAIM])
    if session is None:
        raise TokenInvalid
    if session.revoked_at is None:
        _revoke(session, actor=actor, reason="logout")


@transaction_required
def end_sessions(*, actor: Actor, user_id: UUID, reason: str) -> None:
    """End every session of the user; all of their tokens are dead at once."""
    for session in lock_open_sessions(user_id):
        _revoke(session, actor=actor, reason=reason)


@transaction
def end_session(*, actor: Actor, session_id: UUID, reason: str) -> None:
    """End one session; once more does nothing. Raises SuperuserNeeded."""
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
    """Delete the sessions that ended before that moment; returns how many.

    Stops at `deadline` of `time.monotonic`.
    """
    return purge_rows(
        what="sessions", statement=_PURGE, parameters={"before": before}, deadline=deadline
    )


def _verified(refresh: str) -> Any:
    encoded: Any = refresh  # the library's annotation leaves out the string that it takes
    try:
        token = RefreshToken(encoded)
    except TokenError as error:
        raise TokenInvalid from error
    if SESSION_CLAIM not in token:
        raise TokenInvalid
    return token


def _refresh_token(*, user_id: UUID, session_id: UUID) -> tuple[Any, str, datetime]:
    token = RefreshToken()
    token[api_settings.USER_ID_CLAIM] = str(user_id)
    token[SESSION_CLAIM] = str(session_id)
    return token, token["jti"], clock.now() + token.lifetime


def _access_token(refresh: Any) -> str:
    # RefreshToken.access_token copies our claims and leaves out the refresh token's own.
    access: AccessToken = refresh.access_token
    return str(access)
