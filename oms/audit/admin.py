"""The event log as the audit trail, and how its consumers get on; to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from oms.audit.messages import event_link, facts_of, in_words, name_objects
from oms.backoffice.actions import Step
from oms.backoffice.admins import GrowingAdmin, ReadOnlyAdmin
from oms.backoffice.display import badge, moment
from oms.backoffice.filters import BusinessDaysFilter, CreationDaysFilter
from oms.backoffice.order_links import order_called
from oms.core.actor import Actor, ActorKind, anonymous
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.events.relay import retry_dead_letter
from oms.events.types import event_types

ACTOR_COLOURS = {
    ActorKind.ANONYMOUS.value: "",
    ActorKind.CUSTOMER.value: "info",
    ActorKind.STAFF.value: "primary",
    ActorKind.SYSTEM.value: "",
}
_KINDS = {
    ActorKind.CUSTOMER.value: _("customer"),
    ActorKind.STAFF.value: _("staff"),
    ActorKind.SYSTEM.value: _("system"),
    ActorKind.ANONYMOUS.value: _("anonymous"),
}


class ActionFilter(DropdownFilter):
    title = _("action")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(event_types())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() in event_types() else queryset


class ActorKindFilter(DropdownFilter):
    title = _("kind of actor")
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(_KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in _KINDS:
            return queryset
        if self.value() == ActorKind.ANONYMOUS:
            # The rarest, and all are called alike: so an index knows them.
            queryset = queryset.filter(actor_label__iexact=anonymous().label)
        return queryset.filter(actor_kind=self.value())


@admin.register(Event)
class EventAdmin(GrowingAdmin):
    list_display = ("at", "action", "object", "by", "actor_badge", "address")
    list_filter = (ActionFilter, ActorKindFilter, ("occurred_at", CreationDaysFilter))
    search_fields = ("request_id",)
    search_help_text = _("Number of an order, who did it, or an id")
    fieldsets = (
        (None, {"fields": (("at", "action"), "object", "data_shown")}),
        (_("Who"), {"fields": (("by", "actor_badge"), ("address", "request_id"), "actor_id")}),
        (_("In the log"), {"fields": (("position", "id"),)}),
    )
    readonly_fields = ("at", "action", "object", "by", "actor_badge", "address", "data_shown")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            id = UUID(term)
        except ValueError:
            order_id = order_called(term)
            if order_id is not None:
                return queryset.filter(object_id=order_id), False
            return queryset.filter(Q(actor_label__iexact=term) | Q(request_id=term)), False
        return queryset.filter(Q(object_id=id) | Q(actor_id=id) | Q(request_id=term)), False

    @display(description=_("at"))
    def at(self, event: Event) -> str:
        return moment(event.occurred_at)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page of the list, each event with the name of what it is about."""
        page: Any = super().get_changelist_instance(request)
        name_objects(page.result_list)
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            name_objects([event])
            # A page asks for the value of a field several times.
            event.facts_shown = facts_of(event.data)
        return event

    @display(description=_("action"))
    def action(self, event: Event) -> str:
        return in_words(event.type)

    @display(description=_("object"))
    def object(self, event: Any) -> SafeString | str:
        shown: SafeString | str = event.object_shown
        return shown

    @display(description=_("by"))
    def by(self, event: Event) -> str:
        return event.actor_label

    @display(description=_("kind of actor"))
    def actor_badge(self, event: Event) -> SafeString:
        return badge(_KINDS[event.actor_kind], ACTOR_COLOURS[event.actor_kind])

    @display(description=_("IP address"), empty_value="–")
    def address(self, event: Event) -> str | None:
        return event.ip

    @display(description=_("facts"))
    def data_shown(self, event: Any) -> SafeString:
        shown: SafeString = event.facts_shown
        return shown


def _retry(actor: Actor, parked: Any, values: Mapping[str, Any]) -> str:
    retry_dead_letter(dead_letter_id=parked.pk)
    return _now("It is handed over again in a moment.")


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = ("parked", "consumer", "event_shown", "state", "attempts", "next_attempt")
    list_display_links = ("parked",)
    list_select_related = ("event",)
    list_filter = (("created_at", BusinessDaysFilter),)
    search_fields = ("consumer",)
    ordering = ("-pk",)
    fields = (
        ("parked", "consumer"),
        ("event_shown", "state"),
        ("attempts", "next_attempt"),
        "last_error",
        "facts",
    )
    readonly_fields = ("parked", "event_shown", "state", "next_attempt", "facts")
    steps = (
        Step(
            name="retry",
            label=_("Retry now"),
            icon="refresh",
            run=_retry,
            explanation=_("The consumer gets the event once more, and all its attempts again."),
        ),
    )

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        parked = super().get_object(request, object_id, from_field)
        if parked is not None:
            parked.facts_shown = facts_of(parked.event.data)
        return parked

    @display(description=_("parked"))
    def parked(self, parked: DeadLetter) -> str:
        return moment(parked.created_at)

    @display(description=_("event"))
    def event_shown(self, parked: DeadLetter) -> SafeString | str:
        return event_link(parked.event)

    @display(description=_("state"))
    def state(self, parked: DeadLetter) -> SafeString:
        return badge(_("dead"), "danger") if parked.is_dead else badge(_("waiting"), "warning")

    @display(description=_("next attempt"))
    def next_attempt(self, parked: DeadLetter) -> str:
        return moment(parked.next_attempt_at)

    @display(description=_("facts"))
    def facts(self, parked: Any) -> SafeString:
        shown: SafeString = parked.facts_shown
        return shown


@admin.register(ConsumerOffset)
class ConsumerOffsetAdmin(ReadOnlyAdmin):
    list_display = ("consumer", "position", "moved")
    ordering = ("consumer",)
    fields = ("consumer", "position", "moved")
    readonly_fields = ("moved",)

    @display(description=_("moved"))
    def moved(self, offset: ConsumerOffset) -> str:
        return moment(offset.updated_at)
