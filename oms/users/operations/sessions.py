"""Logging in, refreshing and logging out.

A session is a family of refresh tokens of which only the newest is good (RFC 9700, 4.14.2). The
rotation is one conditional UPDATE, so of two concurrent refreshes one wins. A used token that
comes again ends the whole family: somebody has a copy of it. The loser of a race is no such thief:
its statement began before the winner's rotation, and it is refused without further harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.db.models import Func
from django.db.models.functions import Now
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from oms.core import clock
from oms.core.actor import Actor, ActorKind
from oms.core.db import transaction, transaction_required
from oms.core.ids import new_id
from oms.events.publishing import publish
from oms.users.errors import BadCredentials, TokenInvalid
from oms.users.events import SessionRevoked, UserLoggedIn
from oms.users.models import Session, User

# The claim of both tokens that names their session.
SESSION_CLAIM = "sid"


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """Two signed JWTs."""

    access: str
    refresh: str


def log_in(*, actor: Actor, email: str, password: str) -> TokenPair:
    """Open a session. Raises BadCredentials, after the same time whatever the reason."""
    user = User.objects.with_email(email).first()
    if user is None:
        make_password(
            password
        )  # as slow as a check, so that timing does not tell who has an account
        raise BadCredentials
    # The hash is checked outside the transaction: it is slow on purpose.
    if not check_password(password, user.password) or not user.is_active:
        raise BadCredentials
    return _open_session(actor=actor, user=user, at=clock.now())


@transaction
def _open_session(*, actor: Actor, user: User, at: datetime) -> TokenPair:
    # This locks the user, so that a deactivation sees the session, or is seen here.
    if not User.objects.filter(pk=user.pk, is_active=True).update(last_login=at):
        raise BadCredentials
    refresh, jti, expires_at = _refresh_token(user_id=user.id, session_id=(session_id := new_id()))
    Session.objects.create(
        id=session_id,
        user=user,
        refresh_jti=jti,
        created_at=at,
        rotated_at=at,
        expires_at=expires_at,
    )
    publish(
        UserLoggedIn(user_id=user.id, session_id=session_id),
        actor=Actor(
            kind=ActorKind.STAFF if user.is_staff else ActorKind.CUSTOMER,
            id=user.id,
            label=user.email,
            request_id=actor.request_id,
            ip=actor.ip,
        ),
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
    session = (
        Session.objects.select_for_update(of=("self",), no_key=True)
        .select_related("user")
        .annotate(began_at=Now())
        .filter(pk=token[SESSION_CLAIM], revoked_at=None, user__is_active=True)
        .first()
    )
    if session is None:
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
    session = Session.objects.select_for_update(no_key=True).filter(pk=token[SESSION_CLAIM]).first()
    if session is None:
        raise TokenInvalid
    if session.revoked_at is None:
        _revoke(session, actor=actor, reason="logout")


@transaction_required
def end_sessions(*, actor: Actor, user_id: UUID, reason: str) -> None:
    """End every session of the user; all of their tokens are dead at once."""
    for session in Session.objects.select_for_update(no_key=True).filter(
        user=user_id, revoked_at=None
    ):
        _revoke(session, actor=actor, reason=reason)


@transaction
def end_session(*, actor: Actor, session_id: UUID, reason: str) -> None:
    """End one session; once more does nothing."""
    session = Session.objects.select_for_update(no_key=True).filter(pk=session_id).first()
    if session is not None and session.revoked_at is None:
        _revoke(session, actor=actor, reason=reason)


def _revoke(session: Session, *, actor: Actor, reason: str) -> None:
    session.revoked_at, session.revoked_because = clock.now(), reason
    session.save(update_fields=["revoked_at", "revoked_because"])
    publish(
        SessionRevoked(user_id=session.user_id, session_id=session.id, reason=reason), actor=actor
    )


def purge_sessions(*, before: datetime) -> int:
    """Delete the sessions that ended before that moment; returns how many."""
    return Session.objects.filter(expires_at__lt=before).delete()[0]


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
