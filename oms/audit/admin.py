"""The event log as the audit trail, with failed events and the progress of consumers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from oms.audit.messages import event_details, event_link, event_name, set_object_links
from oms.backoffice.actions import AdminAction
from oms.backoffice.admins import LargeTableAdmin, ReadOnlyAdmin
from oms.backoffice.display import badge
from oms.backoffice.filters import BusinessDateFilter, CreationDateFilter, GivenUpFilter
from oms.backoffice.object_links import find_order
from oms.core.actor import Actor, ActorKind, anonymous
from oms.core.ids import as_uuid
from oms.core.permissions import Permission
from oms.events.dead_letters import retry_dead_letter
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.events.types import event_types

_ACTORS = {
    ActorKind.CUSTOMER.value: (_("customer"), "info"),
    ActorKind.STAFF.value: (_("staff"), "primary"),
    ActorKind.SYSTEM.value: (_("system"), ""),
    ActorKind.ANONYMOUS.value: (_("anonymous"), ""),
}


class EventTypeFilter(DropdownFilter):
    title = _("event")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, event_name(name)) for name in sorted(event_types())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() in event_types() else queryset


class ActorKindFilter(DropdownFilter):
    title = _("actor type")
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind, label) for kind, (label, _colour) in _ACTORS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in _ACTORS:
            return queryset
        if self.value() == ActorKind.ANONYMOUS:
            # The rarest kind; all have the same label, which has an index.
            queryset = queryset.filter(actor_label__iexact=anonymous().label)
        return queryset.filter(actor_kind=self.value())


@admin.register(Event)
class EventAdmin(LargeTableAdmin):
    view_permissions = (Permission.AUDIT_VIEW,)
    list_display = ("occurred_at", "name", "object", "actor", "actor_type", "ip_address")
    list_filter = (EventTypeFilter, ActorKindFilter, ("occurred_at", CreationDateFilter))
    search_fields = ("request_id",)
    search_help_text = _("Order number, actor's e-mail, or ID of an object, actor or request")
    fieldsets = (
        (None, {"fields": (("occurred_at", "name"), "object", "details")}),
        (
            _("Actor"),
            {"fields": (("actor", "actor_type"), ("ip_address", "request_id"), "actor_id")},
        ),
        (_("Event log"), {"fields": (("position", "id"),)}),
    )

    def search_query(self, term: str) -> Q:
        id = as_uuid(term)
        if id is not None:
            return Q(object_id=id) | Q(actor_id=id) | Q(request_id=term)
        order_id = find_order(term)
        if order_id is not None:
            return Q(object_id=order_id)
        return Q(actor_label__iexact=term) | Q(request_id=term)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page: Any = super().get_changelist_instance(request)
        set_object_links(page.result_list)
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            set_object_links([event])
        return event

    @display(description=_("event"))
    def name(self, event: Event) -> str:
        return event_name(event.type)

    @display(description=_("object"))
    def object(self, event: Any) -> SafeString | str:
        cell: SafeString | str = event.object_link
        return cell

    @display(description=_("actor"))
    def actor(self, event: Event) -> str:
        return event.actor_label

    @display(description=_("actor type"))
    def actor_type(self, event: Event) -> SafeString:
        return badge(*_ACTORS[event.actor_kind])

    @display(description=_("IP address"))
    def ip_address(self, event: Event) -> str | None:
        return event.ip

    @display(description=_("details"))
    def details(self, event: Event) -> SafeString:
        return event_details(event)


def _retry(actor: Actor, dead_letter: Any, values: Mapping[str, Any]) -> str:
    retry_dead_letter(actor=actor, dead_letter_id=dead_letter.pk)
    return gettext("Retry scheduled. The event leaves this list once it is handled.")


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    view_permissions = (Permission.AUDIT_VIEW,)
    list_display = ("created_at", "consumer", "event_link", "state", "attempts", "next_attempt_at")
    list_display_links = ("created_at",)
    list_select_related = ("event",)
    list_filter = (GivenUpFilter, ("created_at", BusinessDateFilter))
    search_fields = ("consumer",)
    ordering = ("-pk",)
    fields = (
        ("created_at", "consumer"),
        ("event_link", "state"),
        ("attempts", "next_attempt_at"),
        "last_error",
        "details",
    )
    object_actions = (
        AdminAction(
            name="retry",
            label=_("Retry now"),
            icon="refresh",
            run=_retry,
            permissions=(Permission.AUDIT_VIEW,),
            explanation=_("Delivers the event again and starts a new series of attempts."),
        ),
    )
    bulk_actions = (
        AdminAction(
            name="retry_all",
            label=_("Retry now"),
            run=_retry,
            permissions=(Permission.AUDIT_VIEW,),
        ),
    )

    @display(description=_("event"))
    def event_link(self, dead_letter: DeadLetter) -> SafeString | str:
        return event_link(dead_letter.event)

    @display(description=_("status"))
    def state(self, dead_letter: DeadLetter) -> SafeString:
        if dead_letter.is_dead:
            return badge(_("given up"), "danger")
        return badge(_("retrying"), "warning")

    @display(description=_("details"))
    def details(self, dead_letter: DeadLetter) -> SafeString:
        return event_details(dead_letter.event)


@admin.register(ConsumerOffset)
class ConsumerOffsetAdmin(ReadOnlyAdmin):
    view_permissions = (Permission.AUDIT_VIEW,)
    list_display = fields = ("consumer", "position", "updated_at")
    ordering = ("consumer",)
