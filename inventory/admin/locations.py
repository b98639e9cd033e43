"""Locations, added and changed through operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from inventory.models import Location
from inventory.operations.locations import change_location, create_location
from oms.backoffice.admins import OperationAdmin
from oms.core.actor import Actor
from oms.core.permissions import Permission


@admin.register(Location)
class LocationAdmin(OperationAdmin):
    object_type = "location"
    view_permissions = (Permission.STOCK_VIEW,)
    add_permissions = change_permissions = (Permission.STOCK_ADJUST,)
    list_display = ("name", "code", "priority", "is_default", "products_held")
    search_fields = ("name", "code")
    fields = ("name", "code", "priority", "is_default")
    error_fields = {"code_taken": "code", "no_default_location": "is_default"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Location]:
        rows: QuerySet[Location] = super().get_queryset(request)
        held = Count("stock_levels", filter=Q(stock_levels__on_hand__gt=0))
        return rows.annotate(products_held=held)

    @display(description=_("products in stock"), ordering="products_held")
    def products_held(self, location: Any) -> Any:
        return location.products_held

    def create(self, actor: Actor, values: Mapping[str, Any]) -> Location:
        return create_location(actor=actor, **values)

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        change_location(actor=actor, location_id=obj.pk, values=dict(values))
