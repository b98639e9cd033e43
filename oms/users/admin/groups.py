"""The back office of groups: named sets of rights, given by superusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import django.contrib.auth.admin  # noqa: F401  # registers what is replaced below
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from oms.backoffice.admins import OperationAdmin
from oms.core.actor import Actor
from oms.users.operations.groups import add_group, change_group

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(OperationAdmin):
    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("permissions",)
    refused_fields = {"group_name_taken": "name"}

    def has_add_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.Field:
        if db_field.name == "permissions":
            # Each is shown with the name of its model.
            kwargs["queryset"] = db_field.related_model.objects.select_related("content_type")
        field: forms.Field = super().formfield_for_manytomany(db_field, request, **kwargs)
        return field

    def create(self, actor: Actor, values: Mapping[str, Any]) -> Group:
        return add_group(actor=actor, name=values["name"], permissions=values["permissions"])

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        change_group(
            actor=actor,
            group_id=obj.pk,
            name=values.get("name"),
            permissions=values.get("permissions"),
        )
