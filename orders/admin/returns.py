"""Returns: staff approve, reject and receive them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from oms.backoffice.actions import AdminAction
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import badge_column, link
from oms.backoffice.filters import CreationDateFilter
from oms.core.actor import Actor
from oms.core.permissions import Permission
from orders.admin.forms import CancelForm
from orders.admin.item_forms import ReturnReceiptForm
from orders.admin.statuses import RETURN_COLOURS
from orders.models import Order, OrderReturn
from orders.operations.receiving import receive_return
from orders.operations.returns import approve_return, reject_return
from orders.states import ReturnStatus

Values = Mapping[str, Any]
_STATUS = badge_column("status", RETURN_COLOURS)
_HANDLE = (Permission.RETURNS_HANDLE,)


def _approve(actor: Actor, subject: OrderReturn, values: Values) -> str:
    approve_return(actor=actor, return_id=subject.pk, expected_version=values["expected_version"])
    return gettext("Return approved. The customer was asked to send the items.")


def _reject(actor: Actor, subject: OrderReturn, values: Values) -> str:
    reject_return(
        actor=actor,
        return_id=subject.pk,
        reason=values["reason"],
        expected_version=values["expected_version"],
    )
    return gettext("Return rejected. The customer was sent the reason.")


def _receive(actor: Actor, subject: OrderReturn, values: Values) -> str:
    order_return = receive_return(
        actor=actor,
        return_id=subject.pk,
        items=values["items"],
        refund=values["refund"],
        is_last=values["is_last"],
        expected_version=values["expected_version"],
    )
    return gettext("Return is now %(status)s.") % {"status": order_return.get_status_display()}


@admin.register(OrderReturn)
class OrderReturnAdmin(LargeTableAdmin):
    object_type = "return"
    view_permissions = (Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE)
    list_display = ("created_at", "order_link", _STATUS, "contents")
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", CreationDateFilter))
    search_fields = ("order__number",)
    search_help_text = _("Order number")
    fields = (("order_link", _STATUS), ("created_at", "updated_at"), "reason", "contents")
    object_actions = (
        AdminAction(
            name="approve",
            permissions=_HANDLE,
            label=_("Approve"),
            icon="check",
            run=_approve,
            is_available=lambda subject: ReturnStatus.APPROVED in subject.allowed,
            explanation=_("Asks the customer to send the items."),
        ),
        AdminAction(
            name="receive",
            permissions=_HANDLE,
            label=_("Receive"),
            icon="move_to_inbox",
            run=_receive,
            is_available=lambda subject: ReturnStatus.RECEIVED in subject.allowed,
            form=ReturnReceiptForm,
            variant=ActionVariant.PRIMARY,
            explanation=_("Enter what arrived. Restocked items are on hand again."),
        ),
        AdminAction(
            name="reject",
            permissions=_HANDLE,
            label=_("Reject"),
            icon="block",
            run=_reject,
            is_available=lambda subject: ReturnStatus.REJECTED in subject.allowed,
            form=CancelForm,
            variant=ActionVariant.DANGER,
            explanation=_("Nothing of it may have arrived. The customer is sent the reason."),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderReturn]:
        rows: QuerySet[OrderReturn] = super().get_queryset(request)
        return rows.filter(order__deleted_at=None).prefetch_related("items__order_item")

    def version_of(self, obj: OrderReturn) -> int:
        return obj.order.version

    def search_query(self, term: str) -> Q:
        return Q(order=Order.objects.filter(number=term.upper().removeprefix("#")).first())

    @display(description=_("order"))
    def order_link(self, order_return: OrderReturn) -> SafeString | str:
        return link(order_return.order.number, "orders_order", order_return.order_id)

    @display(description=_("items"))
    def contents(self, order_return: OrderReturn) -> SafeString:
        rows = (
            (
                gettext("%(received)d of %(quantity)d × %(name)s arrived")
                % {
                    "received": item.quantity_received,
                    "quantity": item.quantity,
                    "name": item.order_item.name,
                },
                f": {item.reason}" if item.reason else "",
            )
            for item in order_return.items.all()
        )
        return format_html_join("", "<div>{}{}</div>", rows)
