"""The back office of payments."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.display import NOTHING, moment, money
from oms.backoffice.filters import CreationDaysFilter
from payments.admin.help_texts import PAYMENT_COLOURS, PAYMENT_MEANINGS
from payments.admin.money import MoneyAdmin
from payments.models import Payment


@admin.register(Payment)
class PaymentAdmin(MoneyAdmin):
    colours, meanings = PAYMENT_COLOURS, PAYMENT_MEANINGS
    list_display = (
        "created",
        "order_link",
        "amount_shown",
        "status_badge",
        "refunded_shown",
        "provider",
        "failure",
        "next_attempt",
    )
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("created_at", CreationDaysFilter),
    )
    readonly_fields = (
        "created",
        "order_link",
        "amount_shown",
        "captured_shown",
        "refunded_shown",
        "status_badge",
        "meaning",
        "captured_when",
        "next_attempt",
        "failure",
    )
    # The token stands for the customer's means of payment: it is nobody's business here.
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order_link", "created"),
                    ("amount_shown", "status_badge"),
                    "meaning",
                    ("captured_shown", "captured_when"),
                    "refunded_shown",
                )
            },
        ),
        (
            _("Provider"),
            {
                "fields": (
                    ("provider", "provider_reference"),
                    ("capture_method", "requested_action"),
                    "failure",
                )
            },
        ),
        (_("Work"), {"fields": (("attempts", "next_attempt"), "last_error")}),
    )

    @display(description=_("captured"))
    def captured_shown(self, payment: Payment) -> str:
        return money(payment.captured_amount, payment.currency)

    @display(description=_("refunded"))
    def refunded_shown(self, payment: Payment) -> str:
        return money(payment.refunded_amount or None, payment.currency)

    @display(description=_("captured at"))
    def captured_when(self, payment: Payment) -> str:
        return moment(payment.captured_at)

    @display(description=_("failure"))
    def failure(self, payment: Payment) -> str:
        return payment.failure_message or payment.failure_code or NOTHING
