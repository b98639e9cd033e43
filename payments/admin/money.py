"""Money on its way, to be read, and looked up again where the outcome is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.actions import Step
from oms.backoffice.display import badge, moment, money
from oms.backoffice.order_links import OrdersNamedAdmin, found_by_order
from oms.core.actor import Actor
from payments.models import Payment, Refund
from payments.operations.retrying import retry_now
from payments.states import OPEN_REFUNDS


def _is_open(work: Payment | Refund) -> bool:
    if isinstance(work, Payment):
        return work.is_open or bool(work.requested_action)
    return work.status in OPEN_REFUNDS


def _retry(actor: Actor, work: Any, values: Mapping[str, Any]) -> str:
    retry_now(work=work)
    return _now("A worker asks the provider in a moment; load this page again to see the answer.")


_LOOK_UP_AGAIN = Step(
    name="look_up_again",
    label=_("Look up again now"),
    icon="refresh",
    run=_retry,
    is_offered=_is_open,
    explanation=_(
        "A worker asks the provider at once what became of it, and sends it again under the same "
        "key if the provider knows nothing of it. It never takes the money twice."
    ),
)


class MoneyAdmin(OrdersNamedAdmin):
    """What the pages of payments and of refunds share; the maps go by the status."""

    colours: Mapping[str, str]
    meanings: Mapping[str, Any]
    list_display_links = ("created",)
    search_fields = ("provider_reference",)
    search_help_text = _("Number of the order, or the provider's reference")
    steps = (_LOOK_UP_AGAIN,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By an order's number, an id, or a provider's reference; no index finds more."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = found_by_order(term, ids=("pk",))
        # So said that the partial index of the references can be used.
        reference = Q(provider_reference=term) & ~Q(provider_reference="")
        return queryset.filter(found or reference), False

    @display(description=_("created"))
    def created(self, work: Payment | Refund) -> str:
        return moment(work.created_at)

    @display(description=_("amount"))
    def amount_shown(self, work: Payment | Refund) -> str:
        return money(work.amount, work.currency)

    @display(description=_("status"))
    def status_badge(self, work: Payment | Refund) -> SafeString:
        return badge(work.get_status_display(), self.colours[work.status])

    @display(description=_("that is"))
    def meaning(self, work: Payment | Refund) -> str:
        return str(self.meanings[work.status])

    @display(description=_("next attempt"))
    def next_attempt(self, work: Payment | Refund) -> str:
        return moment(work.next_attempt_at)
