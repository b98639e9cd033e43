"""The back office of notifications: to be read, and sent again where they did not go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, MultipleChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from notifications.models import DeliveryState, Kind, Notification
from notifications.operations.retrying import retry_notification
from oms.backoffice.actions import BulkAction, Step
from oms.backoffice.display import badge, link, moment
from oms.backoffice.filters import CreationDaysFilter
from oms.backoffice.order_links import OrdersNamedAdmin, found_by_order
from oms.core.actor import Actor
from oms.users.models import User

STATE_COLOURS = {
    DeliveryState.QUEUED.value: "",
    DeliveryState.SENDING.value: "info",
    DeliveryState.SENT.value: "success",
    DeliveryState.FAILED.value: "warning",
    DeliveryState.DEAD.value: "danger",
}


def _retry(actor: Actor, notification: Any, values: Mapping[str, Any]) -> str:
    retry_notification(actor=actor, notification_id=notification.pk)
    return _now("It is sent again in a moment.")


def _is_retryable(notification: Notification) -> bool:
    return notification.is_retryable


def _sent_to(email: str) -> Q:
    """What went to that address: the index goes by whose it is, of customers and of staff alike.

    Only mail about low stock has no recipient, and an index of its own.
    """
    user = User.objects.with_email(email).first()
    if user is None or user.is_staff:
        return Q(kind=Kind.LOW_STOCK, email__iexact=email)
    return Q(recipient=user)


@admin.register(Notification)
class NotificationAdmin(OrdersNamedAdmin):
    list_display = (
        "created",
        "kind",
        "channel",
        "email",
        "state_badge",
        "attempts",
        "next_attempt",
        "order_link",
    )
    list_filter = (
        ("state", MultipleChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", CreationDaysFilter),
    )
    search_fields = ("=email",)
    search_help_text = _("E-mail address, or number of the order")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("kind", "channel"),
                    ("email", "recipient_link"),
                    ("state_badge", "order_link"),
                    ("created", "sent"),
                    "read",
                )
            },
        ),
        (_("Message"), {"fields": ("subject", "text_shown")}),
        (_("Work"), {"fields": (("attempts", "next_attempt"), "last_error", "message_id")}),
    )
    readonly_fields = (
        "created",
        "sent",
        "read",
        "state_badge",
        "next_attempt",
        "order_link",
        "recipient_link",
        "text_shown",
    )
    steps = (
        Step(
            name="retry",
            label=_("Send again"),
            icon="forward_to_inbox",
            run=_retry,
            is_offered=_is_retryable,
            variant=ActionVariant.PRIMARY,
            explanation=_("The mail goes out at once, with as many attempts as a new one."),
        ),
    )
    bulk_steps = (BulkAction(name="retry_all", label=_("Send again"), run=_retry),)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Notification], search_term: str
    ) -> tuple[QuerySet[Notification], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = found_by_order(term, ids=("pk", "recipient_id"))
        return queryset.filter(_sent_to(term) if found is None else found), False

    @display(description=_("created"))
    def created(self, notification: Notification) -> str:
        return moment(notification.created_at)

    @display(description=_("sent"))
    def sent(self, notification: Notification) -> str:
        return moment(notification.sent_at)

    @display(description=_("read"))
    def read(self, notification: Notification) -> str:
        return moment(notification.read_at)

    @display(description=_("state"))
    def state_badge(self, notification: Notification) -> SafeString:
        return badge(notification.get_state_display(), STATE_COLOURS[notification.state])

    @display(description=_("next attempt"))
    def next_attempt(self, notification: Notification) -> str:
        return moment(notification.next_attempt_at)

    @display(description=_("recipient"))
    def recipient_link(self, notification: Notification) -> SafeString | str:
        return link(notification.recipient, "users_user", notification.recipient_id)

    @display(description=_("text"))
    def text_shown(self, notification: Notification) -> SafeString:
        return format_html('<div class="bo-address">{}</div>', notification.body)
