"""The back office of refunds."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.display import link, moment
from oms.backoffice.filters import CreationDaysFilter
from payments.admin.help_texts import REFUND_COLOURS, REFUND_MEANINGS
from payments.admin.money import MoneyAdmin
from payments.models import Refund


@admin.register(Refund)
class RefundAdmin(MoneyAdmin):
    colours, meanings = REFUND_COLOURS, REFUND_MEANINGS
    list_display = (
        "created",
        "order_link",
        "amount_shown",
        "status_badge",
        "reason",
        "failure_code",
        "next_attempt",
    )
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("created_at", CreationDaysFilter),
    )
    readonly_fields = (
        "created",
        "order_link",
        "payment_link",
        "amount_shown",
        "status_badge",
        "meaning",
        "succeeded_when",
        "next_attempt",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order_link", "payment_link"),
                    ("amount_shown", "status_badge"),
                    "meaning",
                    ("created", "succeeded_when"),
                    "reason",
                )
            },
        ),
        (_("Provider"), {"fields": (("provider_reference", "failure_code"),)}),
        (_("Work"), {"fields": (("attempts", "next_attempt"), "last_error")}),
    )

    @display(description=_("payment"))
    def payment_link(self, refund: Refund) -> SafeString | str:
        return link(refund.payment, "payments_payment", refund.payment_id)

    @display(description=_("succeeded at"))
    def succeeded_when(self, refund: Refund) -> str:
        return moment(refund.succeeded_at)
