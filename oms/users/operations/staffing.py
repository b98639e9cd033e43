"""What staff do with accounts: add them, set passwords, give rights, end sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission

from oms.core.actor import Actor
from oms.core.db import transaction
from oms.core.errors import NotFound
from oms.events.publishing import publish
from oms.users.events import PasswordSet, UserChanged
from oms.users.models import User
from oms.users.operations.registering import check_password_strength, register_user
from oms.users.operations.sessions import end_sessions


@transaction
def create_account(
    *,
    actor: Actor,
    email: str,
    password: str,
    full_name: str,
    phone: str = "",
    is_staff: bool = False,
) -> User:
    """Add an account for somebody else, of a customer or of one of the staff.

    Raises Invalid for a password that the validators refuse, and EmailTaken.
    """
    user = register_user(
        actor=actor, email=email, password=password, full_name=full_name, phone=phone
    )
    if is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff", "updated_at"])
        publish(UserChanged(user_id=user.id, changes={"is_staff": [False, True]}), actor=actor)
    return user


@transaction
def set_password(*, actor: Actor, user_id: UUID, password: str) -> None:
    """Give the user another password; all their sessions end.

    Raises NotFound, and Invalid for a password that the validators refuse.
    """
    user = _locked(user_id)
    check_password_strength(password, user=user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    publish(PasswordSet(user_id=user.id), actor=actor)
    end_sessions(actor=actor, user_id=user.id, reason="password set")


@transaction
def grant_rights(
    *,
    actor: Actor,
    user_id: UUID,
    is_superuser: bool | None = None,
    groups: Iterable[Group] | None = None,
    permissions: Iterable[Permission] | None = None,
) -> User:
    """Set what the user may do in the back office; None leaves as it is. Raises NotFound."""
    user = _locked(user_id)
    changes: dict[str, list[Any]] = {}
    if is_superuser is not None and is_superuser != user.is_superuser:
        changes["is_superuser"] = [user.is_superuser, is_superuser]
        user.is_superuser = is_superuser
        user.save(update_fields=["is_superuser", "updated_at"])
    if groups is not None:
        before = sorted(user.groups.values_list("name", flat=True))
        user.groups.set(groups)
        _note(changes, "groups", before, sorted(user.groups.values_list("name", flat=True)))
    if permissions is not None:
        before = sorted(user.user_permissions.values_list("codename", flat=True))
        user.user_permissions.set(permissions)
        after = sorted(user.user_permissions.values_list("codename", flat=True))
        _note(changes, "user_permissions", before, after)
    if changes:
        publish(UserChanged(user_id=user.id, changes=changes), actor=actor)
    return user


@transaction
def log_out_everywhere(*, actor: Actor, user_id: UUID) -> None:
    """End all sessions of the user, whose tokens are dead at once. Raises NotFound."""
    _locked(user_id)
    end_sessions(actor=actor, user_id=user_id, reason="by staff")


def _locked(user_id: UUID) -> User:
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise NotFound
    return user


def _note(changes: dict[str, list[Any]], name: str, before: list[str], after: list[str]) -> None:
    if before != after:
        changes[name] = [before, after]
