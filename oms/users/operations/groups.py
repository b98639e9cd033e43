"""Groups, which are the roles of staff: those that come with the shop, and its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as PermissionRow
from django.db import IntegrityError

from oms.core.actor import Actor
from oms.core.permissions import ROLES, Permission, permissions_of_codes
from oms.db.transactions import transaction, violated_constraint
from oms.events.publishing import publish
from oms.users.errors import GroupNameTaken, RoleRenamed
from oms.users.events import GroupChanged, group_uuid
from oms.users.granted import permissions_of_groups
from oms.users.locks import lock_group
from oms.users.operations.authorization import check_ceiling


@transaction
def add_group(*, actor: Actor, name: str, permissions: Iterable[PermissionRow]) -> Group:
    """Add a group with these permissions, of which the actor must have all.

    Raises PermissionDenied and GroupNameTaken.
    """
    actor.require(Permission.STAFF_MANAGE)
    group = Group()
    _save(group, name=name, permissions=permissions, actor=actor)
    return group


@transaction
def change_group(
    *,
    actor: Actor,
    group_id: int,
    name: str | None = None,
    permissions: Iterable[PermissionRow] | None = None,
) -> None:
    """Set the group's name or permissions, unless None.

    The actor must have all that its members have, before and afterwards. Raises PermissionDenied,
    NotFound, GroupNameTaken and RoleRenamed.
    """
    actor.require(Permission.STAFF_MANAGE)
    group = lock_group(group_id)
    check_ceiling(actor=actor, rights=permissions_of_groups([group.pk]))
    _save(group, name=name, permissions=permissions, actor=actor)


def _save(
    group: Group, *, name: str | None, permissions: Iterable[PermissionRow] | None, actor: Actor
) -> None:
    changes: dict[str, list[Any]] = {}
    if name is not None and name != group.name:
        if group.name in ROLES:
            raise RoleRenamed
        changes["name"] = [group.name, name]
        group.name = name
        try:
            group.save()
        except IntegrityError as error:
            if violated_constraint(error).startswith("auth_group_name"):
                raise GroupNameTaken from error
            raise
    if permissions is not None:
        permissions = list(permissions)
        granted = permissions_of_codes(row.codename for row in permissions)
        check_ceiling(actor=actor, rights=granted)
        before = _codenames(group)
        group.permissions.set(permissions)
        if (after := _codenames(group)) != before:
            changes["permissions"] = [before, after]
    if changes:
        publish(
            GroupChanged(group_id=group_uuid(group.pk), name=group.name, changes=changes),
            actor=actor,
        )


def _codenames(group: Group) -> list[str]:
    return sorted(group.permissions.values_list("codename", flat=True))
