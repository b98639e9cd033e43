"""The back office of payments."""

from __future__ import annotations

from django.contrib import admin
from django.forms.utils import pretty_name
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.display import EMPTY, badge_column, money, money_column
from payments.admin.base import AMOUNT, PROCESSING_FIELDS, PaymentWorkAdmin
from payments.admin.statuses import PAYMENT_COLOURS, PAYMENT_HELP
from payments.models import Payment

_STATUS = badge_column("status", PAYMENT_COLOURS)
_CAPTURED = money_column("captured_amount", _("captured"))


@admin.register(Payment)
class PaymentAdmin(PaymentWorkAdmin):
    object_type = "payment"
    status_help = PAYMENT_HELP
    list_display = (
        "created_at",
        "order",
        AMOUNT,
        _STATUS,
        "refunded",
        "provider",
        "failure",
        "next_attempt_at",
    )
    # Without the token, which represents the customer's payment method.
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order", "created_at"),
                    (AMOUNT, _STATUS),
                    "explanation",
                    (_CAPTURED, "captured_at"),
                    "refunded",
                )
            },
        ),
        (
            _("Provider"),
            {
                "fields": (
                    ("provider", "provider_reference"),
                    ("origin", "charge_key"),
                    ("capture_method", "requested_action"),
                    "failure",
                )
            },
        ),
        (_("Processing"), PROCESSING_FIELDS),
    )

    @display(description=_("refunded"))
    def refunded(self, payment: Payment) -> str:
        return money(payment.refunded_amount or None, payment.currency)

    @display(description=_("failure"))
    def failure(self, payment: Payment) -> str:
        return payment.failure_message or pretty_name(payment.failure_code) or EMPTY
