"""Row locks of users: the user first, then their sessions by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models.functions import Now
from django_stubs_ext import WithAnnotations

from oms.core.errors import NotFound
from oms.db.transactions import transaction_required
from oms.users.models import Session, User


@transaction_required
def lock_user(user_id: UUID) -> User:
    """The user, locked until the transaction ends. Raises NotFound."""
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise NotFound
    return user


class _Locked(TypedDict):
    """When the locking statement began, by the database's clock."""

    began_at: datetime


@transaction_required
def lock_session(session_id: UUID) -> WithAnnotations[Session, _Locked] | None:
    """The locked session with its user, who is not locked; None if it does not exist."""
    return (
        Session.objects.select_for_update(of=("self",), no_key=True)
        .select_related("user")
        .annotate(began_at=Now())
        .filter(pk=session_id)
        .first()
    )


@transaction_required
def lock_open_sessions(user_id: UUID) -> Sequence[Session]:
    """The user's unrevoked sessions, locked in the order of their ids."""
    sessions = Session.objects.filter(user=user_id, revoked_at=None).order_by("pk")
    return list(sessions.select_for_update(no_key=True))


@transaction_required
def lock_group(group_id: int) -> Group:
    """The permission group, locked until the transaction ends. Raises NotFound."""
    group = Group.objects.select_for_update(no_key=True).filter(pk=group_id).first()
    if group is None:
        raise NotFound
    return group
