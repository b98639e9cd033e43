"""The back office of payments: to be read, and looked up again where the outcome is open."""

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
from unfold.contrib.filters.admin import ChoicesDropdownFilter, MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.core.actor import Actor
from oms.http.back_office.admins import GrowingAdmin
from oms.http.back_office.display import NOTHING, badge, link, moment, money
from oms.http.back_office.filters import BusinessDaysFilter
from oms.http.back_office.naming import OrdersNamedAdmin, order_called
from oms.http.back_office.steps import Step
from payments.models import Payment, ProviderMessage, Refund
from payments.operations.making import retry_now
from payments.states import PaymentStatus, RefundStatus

PAYMENT_COLOURS = {
    PaymentStatus.CREATED.value: "",
    PaymentStatus.PROCESSING.value: "info",
    PaymentStatus.UNKNOWN.value: "warning",
    PaymentStatus.AUTHORIZED.value: "primary",
    PaymentStatus.CAPTURED.value: "success",
    PaymentStatus.FAILED.value: "danger",
    PaymentStatus.VOIDED.value: "",
}
REFUND_COLOURS = {
    RefundStatus.REQUESTED.value: "",
    RefundStatus.PROCESSING.value: "info",
    RefundStatus.UNKNOWN.value: "warning",
    RefundStatus.SUCCEEDED.value: "success",
    RefundStatus.FAILED.value: "danger",
}

_PAYMENT_MEANINGS = {
    PaymentStatus.CREATED.value: _("A worker is about to ask the provider for the money."),
    PaymentStatus.PROCESSING.value: _("The provider was asked and has not answered yet."),
    PaymentStatus.UNKNOWN.value: _(
        "No answer came. The provider is asked again by itself what became of it; until it says, "
        "the customer may have been charged."
    ),
    PaymentStatus.AUTHORIZED.value: _("The bank has set the money aside; it is not ours yet."),
    PaymentStatus.CAPTURED.value: _("The money is ours."),
    PaymentStatus.FAILED.value: _("Nothing was taken. The customer may try again."),
    PaymentStatus.VOIDED.value: _("The money that was set aside was let go; nothing was taken."),
}
_REFUND_MEANINGS = {
    RefundStatus.REQUESTED.value: _("A worker is about to ask the provider to give it back."),
    RefundStatus.PROCESSING.value: _("The provider was asked and has not answered yet."),
    RefundStatus.UNKNOWN.value: _(
        "No answer came. The provider is asked again by itself until it says what became of it."
    ),
    RefundStatus.SUCCEEDED.value: _("The money is on its way back to the customer."),
    RefundStatus.FAILED.value: _(
        "The provider refused it, and the customer has got nothing back: refund the order again, "
        "or by another way."
    ),
}


def _is_open(work: Payment | Refund) -> bool:
    if isinstance(work, Payment):
        return work.is_open or bool(work.wanted)
    return work.status in (RefundStatus.REQUESTED, RefundStatus.PROCESSING, RefundStatus.UNKNOWN)


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


def _found(queryset: QuerySet[Any], term: str) -> tuple[QuerySet[Any], bool]:
    """The rows of an order's number, an id, or a provider's reference; no index finds more."""
    term = term.strip()
    if not term:
        return queryset, False
    found = Q(provider_reference=term)
    order_id = order_called(term)
    if order_id is not None:
        found |= Q(order_id=order_id)
    try:
        id = UUID(term)
    except ValueError:
        pass
    else:
        found |= Q(pk=id) | Q(order_id=id)
    return queryset.filter(found), False


@admin.register(Payment)
class PaymentAdmin(OrdersNamedAdmin):
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
    list_display_links = ("created",)
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("capture_method", ChoicesDropdownFilter),
        ("created_at", BusinessDaysFilter),
    )
    search_fields = ("provider_reference",)
    search_help_text = _("Number of the order, or the provider's reference")
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
                    ("capture_method", "wanted"),
                    "failure",
                )
            },
        ),
        (_("Work"), {"fields": (("attempts", "next_attempt"), "last_error")}),
    )
    steps = (_LOOK_UP_AGAIN,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return _found(queryset, search_term)

    @display(description=_("created"))
    def created(self, payment: Payment) -> str:
        return moment(payment.created_at)

    @display(description=_("amount"))
    def amount_shown(self, payment: Payment) -> str:
        return money(payment.amount, payment.currency)

    @display(description=_("captured"))
    def captured_shown(self, payment: Payment) -> str:
        return money(payment.captured_amount, payment.currency)

    @display(description=_("refunded"))
    def refunded_shown(self, payment: Payment) -> str:
        return money(payment.refunded_amount or None, payment.currency)

    @display(description=_("status"))
    def status_badge(self, payment: Payment) -> SafeString:
        return badge(payment.get_status_display(), PAYMENT_COLOURS[payment.status])

    @display(description=_("that is"))
    def meaning(self, payment: Payment) -> str:
        return str(_PAYMENT_MEANINGS[payment.status])

    @display(description=_("captured at"))
    def captured_when(self, payment: Payment) -> str:
        return moment(payment.captured_at)

    @display(description=_("next attempt"))
    def next_attempt(self, payment: Payment) -> str:
        return moment(payment.next_attempt_at)

    @display(description=_("failure"))
    def failure(self, payment: Payment) -> str:
        return payment.failure_message or payment.failure_code or NOTHING


@admin.register(Refund)
class RefundAdmin(OrdersNamedAdmin):
    list_display = (
        "created",
        "order_link",
        "amount_shown",
        "status_badge",
        "reason",
        "failure_code",
        "next_attempt",
    )
    list_display_links = ("created",)
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("created_at", BusinessDaysFilter),
    )
    search_fields = ("provider_reference",)
    search_help_text = _("Number of the order, or the provider's reference")
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
    steps = (_LOOK_UP_AGAIN,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return _found(queryset, search_term)

    @display(description=_("requested"))
    def created(self, refund: Refund) -> str:
        return moment(refund.created_at)

    @display(description=_("payment"))
    def payment_link(self, refund: Refund) -> SafeString | str:
        return link(refund.payment, "payments_payment", refund.payment_id)

    @display(description=_("amount"))
    def amount_shown(self, refund: Refund) -> str:
        return money(refund.amount, refund.currency)

    @display(description=_("status"))
    def status_badge(self, refund: Refund) -> SafeString:
        return badge(refund.get_status_display(), REFUND_COLOURS[refund.status])

    @display(description=_("that is"))
    def meaning(self, refund: Refund) -> str:
        return str(_REFUND_MEANINGS[refund.status])

    @display(description=_("succeeded at"))
    def succeeded_when(self, refund: Refund) -> str:
        return moment(refund.succeeded_at)

    @display(description=_("next attempt"))
    def next_attempt(self, refund: Refund) -> str:
        return moment(refund.next_attempt_at)


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
