"""Named reads of users."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission as PermissionRow
from django.db.models import Q, QuerySet
from django.utils.crypto import constant_time_compare

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline, Result
from oms.users.access_tokens import Account
from oms.users.back_office_sessions import SessionStore
from oms.users.models import User


def find_user(*, actor: Actor, user_id: UUID) -> User:
    """The user; customers see only themselves, and who manages staff sees them too.

    Raises NotFound and PermissionDenied.
    """
    actor.require_for(user_id)
    user = User.objects.filter(pk=user_id).first()
    if not (user is not None and user.is_staff and actor.may(Permission.STAFF_MANAGE)):
        actor.require_for(user_id, Permission.CUSTOMERS_VIEW)
    if user is None:
        raise NotFound
    return user


_CUSTOMERS = """
    SELECT id, language FROM users_user WHERE id = ANY(%s) AND is_active AND NOT is_staff
"""


def query_customers(
    user_ids: Collection[UUID], *, pipeline: Pipeline
) -> Result[tuple[UUID, str]] | None:
    """The active customers among the users, each with its language; None for no users."""
    return pipeline.query(_CUSTOMERS, [list(user_ids)]) if user_ids else None


def staff_members(*, actor: Actor) -> QuerySet[User]:
    """The staff with their groups and permissions, unsorted. Raises PermissionDenied."""
    actor.require(Permission.STAFF_MANAGE)
    return User.objects.filter(is_staff=True).prefetch_related("groups", "user_permissions")


def find_staff_member(*, actor: Actor, user_id: UUID) -> User:
    """The member of the staff. Raises PermissionDenied and NotFound."""
    user = staff_members(actor=actor).filter(pk=user_id).first()
    if user is None:
        raise NotFound
    return user


def staff_with(permission: Permission) -> QuerySet[User]:
    """The active staff who have the permission."""
    rows = PermissionRow.objects.filter(codename=permission.value)
    return User.objects.filter(
        Q(is_superuser=True)
        | Q(pk__in=User.objects.filter(user_permissions__in=rows).values("pk"))
        | Q(pk__in=User.objects.filter(groups__permissions__in=rows).values("pk")),
        is_staff=True,
        is_active=True,
    )


def back_office_account(session_key: str) -> Account | None:
    """The account that is signed in by the session of the back office; None once it has ended."""
    session: dict[str, Any] = SessionStore(session_key).load()
    if SESSION_KEY not in session:
        return None
    user = User.objects.filter(pk=session[SESSION_KEY], is_active=True, is_staff=True).first()
    # As Django compares them: the password was changed, or all sessions were ended.
    if user is None or not constant_time_compare(
        session[HASH_SESSION_KEY], user.get_session_auth_hash()
    ):
        return None
    return Account(
        session_id=None,
        id=user.id,
        email=user.email,
        is_staff=True,
        is_superuser=user.is_superuser,
        language=user.language,
        permissions=user.permissions,
    )
