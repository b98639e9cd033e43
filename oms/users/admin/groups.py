"""The back office of groups, which are the roles of staff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group

from oms.backoffice.admins import OperationAdmin, OperationForm
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.users.admin.permission_fields import offer_permissions
from oms.users.operations.groups import add_group, change_group

admin.site.unregister(Group)


class GroupForm(OperationForm):
    """A group with the permissions of its members."""

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_permissions(self.fields.get("permissions"))


@admin.register(Group)
# The stubs bind the types of both bases to different models.
class GroupAdmin(OperationAdmin, DjangoGroupAdmin):  # type: ignore[misc]
    form = GroupForm  # type: ignore[assignment]  # the stubs bind the form to its model
    view_permissions = add_permissions = change_permissions = (Permission.STAFF_MANAGE,)
    error_fields = {"group_name_taken": "name", "role_renamed": "name"}

    def create(self, actor: Actor, values: Mapping[str, Any]) -> Group:
        return add_group(actor=actor, **values)

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        change_group(actor=actor, group_id=obj.pk, **values)
