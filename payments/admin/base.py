"""What the pages of payments and of refunds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.actions import AdminAction
from oms.backoffice.display import money_column
from oms.backoffice.filters import CreationDateFilter, GivenUpFilter
from oms.backoffice.object_links import OrderRowsAdmin, order_query
from oms.core.actor import Actor
from oms.core.permissions import Permission
from payments.models import Payment, Refund
from payments.operations.retrying import retry_now
from payments.states import OPEN_REFUNDS, Origin

AMOUNT = money_column("amount", _("amount"))
PROCESSING_FIELDS = {"fields": (("attempts", "next_attempt_at"), "last_error")}


def _is_unfinished(work: Payment | Refund) -> bool:
    if isinstance(work, Payment):
        return work.is_open or bool(work.requested_action)
    return work.status in OPEN_REFUNDS and work.origin == Origin.SHOP


def _retry(actor: Actor, work: Any, values: Mapping[str, Any]) -> str:
    retry_now(actor=actor, work=work)
    return gettext("Retry scheduled. Reload this page in a moment to see the result.")


class PaymentWorkAdmin(OrderRowsAdmin):
    """`status_help` explains each status."""

    view_permissions = (Permission.PAYMENTS_VIEW,)
    status_help: Mapping[Any, Any]
    list_display_links = ("created_at",)
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        GivenUpFilter,
        ("created_at", CreationDateFilter),
    )
    search_fields = ("provider_reference",)
    search_help_text = _("Order number or provider reference")
    object_actions = (
        AdminAction(
            name="look_up_again",
            label=_("Retry now"),
            icon="refresh",
            run=_retry,
            permissions=(Permission.PAYMENTS_RETRY,),
            is_available=_is_unfinished,
            explanation=_(
                "Checks the status with the payment provider now, and sends it again only if the "
                "provider has no record of it. The customer is never charged or refunded twice."
            ),
        ),
    )
    bulk_actions = (
        AdminAction(
            name="retry_all",
            label=_("Retry now"),
            run=_retry,
            permissions=(Permission.PAYMENTS_RETRY,),
        ),
    )

    def search_query(self, term: str) -> Q:
        # Phrased so that the partial index of the references is used.
        reference = Q(provider_reference=term) & ~Q(provider_reference="")
        return order_query(term, id_fields=("pk",)) or reference

    @display(description=_("details"))
    def explanation(self, work: Payment | Refund) -> str:
        return str(self.status_help[work.status])
