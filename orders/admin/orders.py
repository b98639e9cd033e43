"""The list of orders, and the page of one order with everything that belongs to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.actors import may
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import badge_column, money, money_column
from oms.backoffice.filters import CreationDateFilter
from oms.core.ids import as_uuid
from oms.core.permissions import Permission
from orders.admin.actions import BULK_ACTIONS, OBJECT_ACTIONS
from orders.admin.history import history_lines
from orders.admin.presenter import OrderPresenter
from orders.admin.statuses import (
    FULFILMENT_COLOURS,
    PAYMENT_COLOURS,
    PAYMENT_HELP,
    RETURN_COLOURS,
    SHIPMENT_COLOURS,
    STATUS_COLOURS,
    STATUS_HELP,
)
from orders.models import Order
from orders.queries import shipments_of
from orders.search import orders_found
from payments.admin.statuses import PAYMENT_COLOURS as PAYMENT_ATTEMPT_COLOURS
from payments.admin.statuses import REFUND_COLOURS

_ADDRESS_LINES = ("name", "line1", "line2", "postal_code city", "region", "country")
_STATUSES = (
    badge_column("status", STATUS_COLOURS),
    badge_column("payment_status", PAYMENT_COLOURS, _("payment")),
    badge_column("fulfilment_status", FULFILMENT_COLOURS, _("fulfilment")),
)


@admin.register(Order)
class OrderAdmin(LargeTableAdmin):
    object_type = "order"
    view_permissions = (Permission.ORDERS_VIEW,)
    list_display = ("number", "customer", "placed", money_column("total", _("total")), *_STATUSES)
    list_select_related = ("customer",)
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("payment_status", MultipleChoicesDropdownFilter),
        ("fulfilment_status", MultipleChoicesDropdownFilter),
        ("placed_at", CreationDateFilter),
    )
    search_fields = ("number",)
    search_help_text = _("Order number (start or end), reference, customer e-mail, name or ID")
    sortable_by = ("number", "placed")
    fields = ("number",)
    change_form_template = "admin/orders/order/change_form.html"
    object_actions = OBJECT_ACTIONS
    bulk_actions = BULK_ACTIONS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        rows: QuerySet[Order] = super().get_queryset(request)
        return rows.filter(deleted_at=None).select_related("customer")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """By an id, or like the API's search."""
        id = as_uuid(search_term.strip())
        if id is None:
            return orders_found(queryset, text=search_term), False
        return queryset.filter(Q(pk=id) | Q(customer_id=id)), False

    def subject_of(self, obj: Order) -> OrderPresenter:
        return OrderPresenter(obj)

    def version_of(self, obj: Order) -> int:
        return obj.version

    def object_names(self, ids: Collection[UUID]) -> Mapping[UUID, str]:
        orders = Order.objects.filter(pk__in=ids, deleted_at=None)
        return dict(orders.values_list("pk", "number"))

    def find_object(self, name: str) -> UUID | None:
        return Order.objects.filter(number=name.upper()).values_list("pk", flat=True).first()

    @display(description=_("placed"), ordering="id")
    def placed(self, order: Order) -> datetime:
        return order.placed_at

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= _page_context(
            OrderPresenter(context["original"]),
            sees_returns=may(request, Permission.RETURNS_HANDLE),
        )
        context |= {
            "sees_payments": may(request, Permission.PAYMENTS_VIEW),
            "sees_products": may(request, Permission.STOCK_VIEW),
            "sees_customers": may(request, Permission.CUSTOMERS_VIEW),
        }
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response


_WAITING_HELP = _("Some items wait for stock. The others can be packed and shipped.")


def _page_context(presenter: OrderPresenter, *, sees_returns: bool) -> dict[str, Any]:
    order = presenter.order
    names = {item.id: item.name for item in presenter.items}
    waits = any(item.quantity_waiting for item in presenter.items)
    status_help = _WAITING_HELP if waits and order.is_shippable else STATUS_HELP[order.status]
    help_texts = (status_help, PAYMENT_HELP.get(order.payment_status))
    return {
        "order": order,
        "summary": [
            *((column.short_description, column(order)) for column in _STATUSES),
            (_("total"), money(order.total, order.currency)),
            (_("placed"), order.placed_at),
            *([(_("expires"), order.expires_at)] if order.expires_at else []),
            (_("updated"), order.updated_at),
            *([(_("reference"), order.reference)] if order.reference else []),
            *([(_("language"), order.language)] if order.language else []),
        ],
        "help_texts": [text for text in help_texts if text],
        "address": _address(order.shipping_address),
        "billing_address": _address(order.billing_address or {}),
        "items": presenter.items,
        "payments": presenter.payments,
        "payment_colours": PAYMENT_ATTEMPT_COLOURS,
        "refund_colours": REFUND_COLOURS,
        "shipments": [
            {
                "shipment": shipment,
                "items": [
                    f"{item.quantity} × {names.get(item.order_item_id, '')}"
                    for item in shipment.items.all()
                ],
            }
            for shipment in shipments_of(order.id)
        ],
        "shipment_colours": SHIPMENT_COLOURS,
        "cancellations": [
            {
                "cancellation": cancellation,
                "items": [
                    f"{item.quantity} × {names.get(item.order_item_id, '')}"
                    for item in cancellation.items.all()
                ],
            }
            for cancellation in order.cancellations.prefetch_related("items")
        ],
        "returns": [
            {
                "order_return": order_return,
                "items": [
                    f"{item.quantity} × {names.get(item.order_item_id, '')}"
                    for item in order_return.items.all()
                ],
            }
            for order_return in order.returns.prefetch_related("items")
        ]
        if sees_returns
        else (),
        "return_colours": RETURN_COLOURS,
        "history": history_lines(order.id),
    }


def _address(address: dict[str, str]) -> str:
    lines = (
        " ".join(address.get(name, "") for name in line.split()).strip() for line in _ADDRESS_LINES
    )
    return "\n".join(line for line in lines if line)
