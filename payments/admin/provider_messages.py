"""The back office of messages received from payment providers."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.filters import BusinessDateFilter
from oms.core.permissions import Permission
from payments.gateways.registry import GATEWAYS
from payments.models import ProviderMessage


@admin.register(ProviderMessage)
class ProviderMessageAdmin(LargeTableAdmin):
    view_permissions = (Permission.PAYMENTS_VIEW,)
    list_display = ("received_at", "provider", "type", "message_id")
    list_filter = (("received_at", BusinessDateFilter),)
    # As in the index that serves pages and date ranges.
    ordering = ("-received_at", "-pk")
    search_fields = ("message_id",)
    search_help_text = _("Message ID")
    fields = (("received_at", "provider"), ("type", "message_id"), "body")

    def search_query(self, term: str) -> Q:
        """The whole id, of any provider, as in the index."""
        return Q(provider__in=list(GATEWAYS), message_id=term)
