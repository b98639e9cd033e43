"""The back office of what providers told us."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.http.back_office.admins import GrowingAdmin
from oms.http.back_office.display import moment
from oms.http.back_office.filters import BusinessDaysFilter
from payments.models import ProviderMessage


@admin.register(ProviderMessage)
class ProviderMessageAdmin(GrowingAdmin):
    list_display = ("received", "provider", "type", "message_id")
    list_filter = (("received_at", BusinessDaysFilter),)
    search_fields = ("=message_id",)
    search_help_text = _("The message's id")
    fields = (("received", "provider"), ("type", "message_id"), "body")
    readonly_fields = ("received",)

    @display(description=_("received"))
    def received(self, message: ProviderMessage) -> str:
        return moment(message.received_at)
