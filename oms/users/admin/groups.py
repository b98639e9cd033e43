"""The back office of groups: named sets of permissions, which only superusers change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from oms.backoffice.admins import OperationAdmin
from oms.core.actor import Actor
from oms.users.operations.groups import add_group, change_group

admin.site.unregister(Group)


@admin.register(Group)
# The stubs bind the types of both bases to different models.
class GroupAdmin(OperationAdmin, DjangoGroupAdmin):  # type: ignore[misc]
    error_fields = {"group_name_taken": "name"}

    def has_add_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    def create(self, actor: Actor, values: Mapping[str, Any]) -> Group:
        return add_group(actor=actor, **values)

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        change_group(actor=actor, group_id=obj.pk, **values)
