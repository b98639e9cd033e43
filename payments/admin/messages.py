"""The back office of what providers told us."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.admins import GrowingAdmin
from oms.backoffice.display import moment
from oms.backoffice.filters import BusinessDaysFilter
from payments.gateways.registry import GATEWAYS
from payments.models import ProviderMessage


@admin.register(ProviderMessage)
class ProviderMessageAdmin(GrowingAdmin):
    list_display = ("received", "provider", "type", "message_id")
    list_filter = (("received_at", BusinessDaysFilter),)
    # The order of the index that pages and ranges of days go by.
    ordering = ("-received_at", "-pk")
    search_fields = ("message_id",)
    search_help_text = _("The message's id")
    fields = (("received", "provider"), ("type", "message_id"), "body")
    readonly_fields = ("received",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ProviderMessage], search_term: str
    ) -> tuple[QuerySet[ProviderMessage], bool]:
        """By the whole id, of any provider, as the index has it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(provider__in=list(GATEWAYS), message_id=term), False

    @display(description=_("received"))
    def received(self, message: ProviderMessage) -> str:
        return moment(message.received_at)
