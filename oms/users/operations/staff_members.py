"""Adding and changing members of the staff, with their roles and permissions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as PermissionRow

from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.users.events import StaffInvited, UserChanged
from oms.users.models import User
from oms.users.operations.accounts import change_user, insert_user
from oms.users.operations.staff import grant_rights
from oms.users.queries import find_staff_member

_PROFILE = ("email", "full_name", "is_active")


@transaction
def add_staff_member(
    *,
    actor: Actor,
    email: str,
    full_name: str,
    roles: Sequence[str] = (),
    permissions: Collection[str] = (),
    is_active: bool = True,
) -> User:
    """Create a staff account, which gets a mail with a link to set the password.

    `roles` are names of groups. Raises PermissionDenied, also for rights that the actor lacks,
    Invalid for unknown roles, and EmailTaken.
    """
    actor.require(Permission.STAFF_MANAGE)
    user = User(
        email=User.objects.normalize_email(email),
        full_name=full_name,
        is_staff=True,
        is_active=is_active,
    )
    user.set_unusable_password()
    insert_user(user, actor=actor)
    publish(UserChanged(user_id=user.id, changes={"is_staff": [False, True]}), actor=actor)
    _grant(user.id, actor=actor, values={"roles": roles, "permissions": permissions})
    if is_active:
        publish(StaffInvited(user_id=user.id, email=user.email), actor=actor)
    return find_staff_member(actor=actor, user_id=user.id)


@transaction
def change_staff_member(*, actor: Actor, user_id: UUID, values: Mapping[str, Any]) -> User:
    """Set `email`, `full_name`, `is_active`, `roles` and `permissions`, as far as they are given.

    Raises PermissionDenied, also for rights that the actor lacks, NotFound, SuperuserNeeded,
    OwnRights, Invalid for unknown roles, and EmailTaken.
    """
    find_staff_member(actor=actor, user_id=user_id)
    profile = {name: values[name] for name in _PROFILE if name in values}
    if profile:
        change_user(actor=actor, user_id=user_id, values=profile)
    _grant(user_id, actor=actor, values=values)
    return find_staff_member(actor=actor, user_id=user_id)


def _grant(user_id: UUID, *, actor: Actor, values: Mapping[str, Any]) -> None:
    groups = _groups_of(values["roles"]) if "roles" in values else None
    permissions = None
    if "permissions" in values:
        permissions = PermissionRow.objects.filter(codename__in=values["permissions"])
    grant_rights(actor=actor, user_id=user_id, groups=groups, permissions=permissions)


def _groups_of(roles: Sequence[str]) -> list[Group]:
    groups = {group.name: group for group in Group.objects.filter(name__in=roles)}
    unknown = [
        InputError(pointer=f"/roles/{number}", code="not_found", detail=f"No such role: {role}.")
        for number, role in enumerate(roles)
        if role not in groups
    ]
    if unknown:
        raise Invalid(unknown)
    return list(groups.values())
