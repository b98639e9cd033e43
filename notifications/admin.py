"""The back office of notifications: read-only pages, with a retry for undelivered e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, MultipleChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from notifications.models import DeliveryState, Kind, Notification
from notifications.operations.retrying import retry_notification
from oms.backoffice.actions import AdminAction
from oms.backoffice.display import badge_column
from oms.backoffice.filters import CreationDateFilter
from oms.backoffice.object_links import OrderRowsAdmin, order_query
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.users.models import User

STATE_COLOURS = {
    DeliveryState.QUEUED: "",
    DeliveryState.SENDING: "info",
    DeliveryState.SENT: "success",
    DeliveryState.FAILED: "warning",
    DeliveryState.DEAD: "danger",
}
_STATE = badge_column("state", STATE_COLOURS)


def _retry(actor: Actor, notification: Any, values: Mapping[str, Any]) -> str:
    retry_notification(actor=actor, notification_id=notification.pk)
    return gettext("E-mail to %(email)s queued.") % {"email": notification.email}


def _sent_to(email: str) -> Q:
    """The notifications to that address, found by the index of recipients.

    Only low stock alerts have no recipient; they are in the index of rare kinds.
    """
    user = User.objects.with_email(email).first()
    own = Q() if user is None else Q(recipient=user)
    if user is None or user.is_staff:
        own |= Q(kind=Kind.LOW_STOCK, email__iexact=email)
    return own


@admin.register(Notification)
class NotificationAdmin(OrderRowsAdmin):
    view_permissions = (Permission.CUSTOMERS_VIEW,)
    list_display = (
        "created_at",
        "kind",
        "channel",
        "email",
        _STATE,
        "attempts",
        "next_attempt_at",
        "order",
    )
    list_filter = (
        ("state", MultipleChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", CreationDateFilter),
    )
    search_fields = ("=email",)
    search_help_text = _("E-mail address or order number")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("kind", "channel"),
                    ("email", "recipient"),
                    (_STATE, "order"),
                    ("created_at", "sent_at"),
                    "read_at",
                )
            },
        ),
        (_("Message"), {"fields": ("subject", "text")}),
        (
            _("Delivery"),
            {"fields": (("attempts", "next_attempt_at"), "last_error", "message_id")},
        ),
    )
    object_actions = (
        AdminAction(
            name="retry",
            label=_("Resend"),
            icon="forward_to_inbox",
            run=_retry,
            permissions=(Permission.CUSTOMERS_VIEW,),
            is_available=lambda notification: notification.is_retryable,
            variant=ActionVariant.PRIMARY,
            explanation=_("Sends the e-mail now and starts a new series of attempts."),
        ),
    )
    bulk_actions = (
        AdminAction(
            name="retry_all",
            label=_("Resend"),
            run=_retry,
            permissions=(Permission.CUSTOMERS_VIEW,),
        ),
    )

    def search_query(self, term: str) -> Q:
        return order_query(term, id_fields=("pk", "recipient_id")) or _sent_to(term)

    @display(description=_("text"))
    def text(self, notification: Notification) -> SafeString:
        return format_html('<div class="bo-address">{}</div>', notification.body)
