"""Named reads of users."""

from __future__ import annotations

from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.users.models import User


def find_user(*, actor: Actor, user_id: UUID) -> User:
    """The user; customers see only themselves. Raises NotFound."""
    user = User.objects.filter(pk=user_id).first() if actor.may_see_of(user_id) else None
    if user is None:
        raise NotFound
    return user
