"""Operations of staff on accounts: create, set passwords, grant permissions, end sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as PermissionRow

from oms.core.actor import Actor
from oms.core.permissions import Permission, permissions_of_codes
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.users.events import PasswordSet, UserChanged
from oms.users.granted import permissions_of_groups
from oms.users.locks import lock_user
from oms.users.models import User
from oms.users.operations.accounts import check_password_strength, register_user
from oms.users.operations.authorization import check_authority, check_ceiling
from oms.users.operations.sessions import end_sessions


@transaction
def create_account(*, actor: Actor, is_staff: bool = False, **values: str) -> User:
    """Create a customer or staff account of the `values` that `register_user` takes.

    Raises PermissionDenied, Invalid for a weak password, and EmailTaken.
    """
    if is_staff:
        actor.require(Permission.STAFF_MANAGE)
    else:
        actor.require(Permission.CUSTOMERS_VIEW, Permission.CUSTOMERS_EDIT)
    user = register_user(actor=actor, **values)
    if is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff", "updated_at"])
        publish(UserChanged(user_id=user.id, changes={"is_staff": [False, True]}), actor=actor)
    return user


@transaction
def set_password(*, actor: Actor, user_id: UUID, password: str) -> User:
    """Set the user's password and end all of their sessions. Returns the user.

    Raises NotFound, what `check_authority` does, and Invalid for a weak password.
    """
    user = lock_user(user_id)
    check_authority(actor=actor, user=user)
    check_password_strength(password, user=user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    publish(PasswordSet(user_id=user.id), actor=actor)
    end_sessions(actor=actor, user_id=user.id, reason="password set")
    user.refresh_from_db(fields=["session_version"])
    return user


@transaction
def grant_rights(
    *,
    actor: Actor,
    user_id: UUID,
    is_superuser: bool | None = None,
    groups: Iterable[Group] | None = None,
    permissions: Iterable[PermissionRow] | None = None,
) -> User:
    """Set the user's groups and permissions, unless None: at most what the actor has.

    Raises NotFound, and what `check_authority` does.
    """
    user = lock_user(user_id)
    changes: dict[str, list[Any]] = {}
    if is_superuser is not None:
        _record_change(changes, "is_superuser", user.is_superuser, is_superuser)
    if groups is not None:
        groups = list(groups)
        before = sorted(user.groups.values_list("name", flat=True))
        _record_change(changes, "groups", before, sorted(group.name for group in groups))
    if permissions is not None:
        permissions = list(permissions)
        before = sorted(user.user_permissions.values_list("codename", flat=True))
        after = sorted(permission.codename for permission in permissions)
        _record_change(changes, "user_permissions", before, after)
    if not changes:
        return user
    check_authority(actor=actor, user=user, changed=changes)
    granted = permissions_of_groups([group.pk for group in groups or ()])
    granted |= permissions_of_codes(row.codename for row in permissions or ())
    check_ceiling(actor=actor, rights=granted)
    if is_superuser is not None:
        user.is_superuser = is_superuser
        user.save(update_fields=["is_superuser", "updated_at"])
    if groups is not None:
        user.groups.set(groups)
    if permissions is not None:
        user.user_permissions.set(permissions)
    publish(UserChanged(user_id=user.id, changes=changes), actor=actor)
    return user


@transaction
def log_out_everywhere(*, actor: Actor, user_id: UUID) -> None:
    """End all sessions of the user. Raises NotFound, and what `check_authority` does."""
    check_authority(actor=actor, user=lock_user(user_id))
    end_sessions(actor=actor, user_id=user_id, reason="by staff")


def _record_change(changes: dict[str, list[Any]], name: str, before: object, after: object) -> None:
    if before != after:
        changes[name] = [before, after]
