"""The back office of refunds."""

from __future__ import annotations

from django.contrib import admin
from django.forms.utils import pretty_name
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.display import EMPTY, badge_column
from payments.admin.base import AMOUNT, PROCESSING_FIELDS, PaymentWorkAdmin
from payments.admin.statuses import DISPUTE_HELP, REFUND_COLOURS, REFUND_HELP
from payments.models import Payment, Refund
from payments.states import RefundStatus

_STATUS = badge_column("status", REFUND_COLOURS)


@admin.register(Refund)
class RefundAdmin(PaymentWorkAdmin):
    object_type = "refund"
    status_help = REFUND_HELP
    list_display = (
        "created_at",
        "order",
        AMOUNT,
        _STATUS,
        "reason",
        "failure",
        "next_attempt_at",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order", "payment"),
                    (AMOUNT, _STATUS),
                    "explanation",
                    ("created_at", "succeeded_at"),
                    "reason",
                )
            },
        ),
        (
            _("Provider"),
            {"fields": (("provider_reference", "failure"), ("origin", "is_dispute"))},
        ),
        (_("Processing"), PROCESSING_FIELDS),
    )

    def explanation(self, work: Payment | Refund) -> str:
        if isinstance(work, Refund) and work.is_dispute and work.status in DISPUTE_HELP:
            return str(DISPUTE_HELP[RefundStatus(work.status)])
        return super().explanation(work)

    @display(description=_("failure"))
    def failure(self, refund: Refund) -> str:
        return pretty_name(refund.failure_code) or EMPTY
