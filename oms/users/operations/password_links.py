"""Mailed links by which a new member of the staff sets the password.

A link is valid once and for PASSWORD_RESET_TIMEOUT: its token is Django's, which depends on the
account's password, address and last login. Tokens are made when the mail is sent and kept nowhere.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator

from oms.core.actor import Actor, account
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.users.errors import PasswordLinkInvalid
from oms.users.events import PasswordSet, StaffInvited
from oms.users.locks import lock_user
from oms.users.models import User
from oms.users.operations.accounts import check_password_strength
from oms.users.operations.authorization import check_authority
from oms.users.operations.sessions import end_sessions

# The page of the back office. In its query, because paths are logged.
PASSWORD_PAGE = "/admin/password/set/"  # noqa: S105
LONGEST_TOKEN = 200


def password_link(user_id: UUID) -> str:
    """A link for that member of the staff, valid for PASSWORD_RESET_TIMEOUT from now on."""
    user = User.objects.get(pk=user_id)
    token = f"{user.pk}.{default_token_generator.make_token(user)}"
    return f"{settings.PUBLIC_URL}{PASSWORD_PAGE}?token={token}"


def is_good_token(token: str) -> bool:
    """Whether the token of a link can be used now."""
    return _is_of(_user_of(token), token)


def _user_of(token: str) -> User | None:
    id, _, _ = token.partition(".")
    try:
        return User.objects.filter(pk=UUID(id)).first()
    except ValueError:
        return None


def _is_of(user: User | None, token: str) -> bool:
    _, _, secret = token.partition(".")
    return (
        user is not None
        and user.is_staff
        and user.is_active
        and default_token_generator.check_token(user, secret)
    )


@transaction
def set_password_by_link(*, actor: Actor, token: str, password: str) -> User:
    """Set the password of the account that the link's token is for, and use the link up.

    Ends all sessions of the account. Raises PasswordLinkInvalid, and Invalid for a weak password.
    """
    found = _user_of(token)
    # Checked under the lock: of two uses at once only one succeeds.
    user = None if found is None else lock_user(found.pk)
    if user is None or not _is_of(user, token):
        raise PasswordLinkInvalid
    check_password_strength(password, user=user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    oneself = account(
        id=user.id,
        email=user.email,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        request_id=actor.request_id,
        ip=actor.ip,
    )
    publish(PasswordSet(user_id=user.id), actor=oneself)
    end_sessions(actor=oneself, user_id=user.id, reason="password set")
    return user


@transaction
def invite_staff_member(*, actor: Actor, user_id: UUID) -> User:
    """Send an active member of the staff a link to set the password.

    Raises NotFound, and what `check_authority` does.
    """
    actor.require(Permission.STAFF_MANAGE)
    user = lock_user(user_id)
    if not (user.is_staff and user.is_active):
        raise NotFound
    check_authority(actor=actor, user=user)
    publish(StaffInvited(user_id=user.id, email=user.email), actor=actor)
    return user
