"""Named reads of users."""

from __future__ import annotations

from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.users.access_tokens import Account
from oms.users.models import User


def find_user(*, actor: Actor, user_id: UUID) -> User:
    """The user; customers see only themselves. Raises NotFound."""
    user = User.objects.filter(pk=user_id).first() if actor.may_see_of(user_id) else None
    if user is None:
        raise NotFound
    return user


def staff_account(user_id: UUID) -> Account | None:
    """The account of a member of the staff; None for others, and inactive ones."""
    user = User.objects.filter(pk=user_id, is_active=True, is_staff=True).first()
    if user is None:
        return None
    return Account(
        session_id=None,
        id=user.id,
        email=user.email,
        is_staff=True,
        is_superuser=user.is_superuser,
        permissions=user.permissions,
    )
