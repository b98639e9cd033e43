"""The back office of exceptions: an inbox with what mends each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.actions import ActionForm, AdminAction
from oms.backoffice.actors import staff_actor
from oms.backoffice.display import EMPTY, badge
from oms.backoffice.filters import CreationDateFilter
from oms.backoffice.object_links import OrderRowsAdmin, object_link, order_query
from oms.core.actor import Actor
from oms.core.ids import as_uuid
from oms.core.permissions import Permission
from oms.exceptions.kinds import HELP
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.resolving import resolve_exception
from oms.exceptions.queries import exceptions_visible_to


class StateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("open")), ("resolved", _("resolved"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("open", "resolved"):
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() == "open")


class ResolveForm(ActionForm):
    note = forms.CharField(
        label=_("Note"),
        max_length=500,
        required=False,
        help_text=_("What was done about it. Kept with the exception."),
    )


def _resolve(actor: Actor, exception: Any, values: Mapping[str, Any]) -> str:
    resolve_exception(actor=actor, exception_id=exception.pk, note=values["note"])
    return gettext("Exception resolved.")


def _action(name: str, **options: Any) -> AdminAction:
    return AdminAction(
        name=name,
        label=_("Resolve"),
        run=_resolve,
        permissions=(Permission.ORDERS_VIEW,),
        form=ResolveForm,
        explanation=_(
            "Closes the exception by hand. The order, payment or message stays as it is: use the "
            "operations listed on the page to change it."
        ),
        **options,
    )


@admin.register(ExceptionRecord)
class ExceptionAdmin(OrderRowsAdmin):
    """Shows to each what they may see; only those can be resolved."""

    object_type = "exception"
    view_permissions = (Permission.ORDERS_VIEW,)
    list_display = ("since", "kind", "cause", "order", "about", "state")
    list_display_links = ("since",)
    list_filter = (
        StateFilter,
        ("kind", MultipleChoicesDropdownFilter),
        ("since", CreationDateFilter),
    )
    search_fields = ("subject",)
    search_help_text = _("Order number, or ID of an order, payment or refund")
    fieldsets = (
        (None, {"fields": (("since", "state"), "kind", "cause", ("order", "about"))}),
        (_("What to do"), {"fields": ("what_to_do",)}),
        (_("Resolution"), {"fields": (("resolved_at", "resolved_by"), "note")}),
    )
    object_actions = (_action("resolve", icon="check", is_available=lambda row: row.is_open),)
    bulk_actions = (_action("resolve_all"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        if not self.has_view_permission(request):  # every page is refused
            return super().get_queryset(request)
        return exceptions_visible_to(staff_actor(request))

    def search_query(self, term: str) -> Q:
        id = as_uuid(term)
        by_subject = Q(subject__endswith=f":{id}") if id else Q(pk=None)
        return order_query(term, id_fields=("pk", "payment_id")) or by_subject

    @display(description=_("about"))
    def about(self, row: ExceptionRecord) -> SafeString | str:
        object_type, _colon, id = row.subject.partition(":")
        return object_link(object_type, id, object_type) if as_uuid(id) else EMPTY

    @display(description=_("state"))
    def state(self, row: ExceptionRecord) -> SafeString:
        return badge(_("open"), "danger") if row.is_open else badge(_("resolved"), "success")

    @display(description=_("What to do"))
    def what_to_do(self, row: ExceptionRecord) -> str:
        return str(HELP.get(row.kind, EMPTY))
