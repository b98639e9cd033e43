"""Permission groups, which only superusers may add and change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError

from oms.core.actor import Actor
from oms.db.transactions import transaction, violated_constraint
from oms.events.publishing import publish
from oms.users.errors import GroupNameTaken
from oms.users.events import GroupChanged, group_uuid
from oms.users.locks import lock_group
from oms.users.operations.authorization import check_superuser


@transaction
def add_group(*, actor: Actor, name: str, permissions: Iterable[Permission]) -> Group:
    """Add a group with these permissions. Raises SuperuserNeeded and GroupNameTaken."""
    check_superuser(actor=actor)
    group = Group()
    _save(group, name=name, permissions=permissions, actor=actor)
    return group


@transaction
def change_group(
    *,
    actor: Actor,
    group_id: int,
    name: str | None = None,
    permissions: Iterable[Permission] | None = None,
) -> None:
    """Set the group's name or permissions, unless None.

    Raises NotFound, SuperuserNeeded and GroupNameTaken.
    """
    check_superuser(actor=actor)
    group = lock_group(group_id)
    _save(group, name=name, permissions=permissions, actor=actor)


def _save(
    group: Group, *, name: str | None, permissions: Iterable[Permission] | None, actor: Actor
) -> None:
    changes: dict[str, list[Any]] = {}
    if name is not None and name != group.name:
        changes["name"] = [group.name, name]
        group.name = name
        try:
            group.save()
        except IntegrityError as error:
            if violated_constraint(error).startswith("auth_group_name"):
                raise GroupNameTaken from error
            raise
    if permissions is not None:
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
