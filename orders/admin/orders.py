"""Orders: the list, and the page of one order with all that belongs to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter
from unfold.decorators import display

from oms.backoffice.admins import GrowingAdmin
from oms.backoffice.display import badge, moment, money
from oms.backoffice.filters import CreationDaysFilter
from oms.backoffice.order_links import name_orders_by
from orders.admin.actions import BULK_STEPS, STEPS
from orders.admin.badges import (
    FULFILMENT_COLOURS,
    PAYMENT_STATE_COLOURS,
    SHIPMENT_COLOURS,
    STATUS_COLOURS,
)
from orders.admin.help_texts import PAYMENT_MEANINGS, STATUS_MEANINGS
from orders.admin.history import history_lines
from orders.admin.presenter import OrderPresenter
from orders.models import Order
from orders.queries import shipments_of
from orders.search import orders_found
from payments.admin.help_texts import PAYMENT_COLOURS, REFUND_COLOURS

# An address in the order in which it is written on a parcel.
_ADDRESS = ("name", "line1", "line2", "postal_code city", "region", "country")


@admin.register(Order)
class OrderAdmin(GrowingAdmin):
    list_display = (
        "number",
        "customer_shown",
        "placed",
        "total_shown",
        "status_badge",
        "payment_badge",
        "fulfilment_badge",
    )
    list_select_related = ("customer",)
    list_filter = (
        ("status", MultipleChoicesDropdownFilter),
        ("payment_status", MultipleChoicesDropdownFilter),
        ("fulfilment_status", MultipleChoicesDropdownFilter),
        ("placed_at", CreationDaysFilter),
    )
    search_fields = ("number",)
    search_help_text = _("Number, its beginning or end; e-mail, name or id")
    sortable_by = ("number", "placed")
    fields = ("number",)
    change_form_template = "admin/orders/order/change_form.html"
    steps = STEPS
    bulk_steps = BULK_STEPS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        rows: QuerySet[Order] = super().get_queryset(request)
        return rows.filter(deleted_at=None).select_related("customer")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """By an id, or as the API's search does it."""
        term = search_term.strip()
        try:
            id = UUID(term)
        except ValueError:
            return orders_found(queryset, text=term), False
        return queryset.filter(Q(pk=id) | Q(customer_id=id)), False

    def subject_of(self, obj: Order) -> OrderPresenter:
        return OrderPresenter(obj)

    @display(
        description=_("customer"),
    )
    def customer_shown(self, order: Order) -> str:
        return order.customer.email

    @display(description=_("placed"), ordering="id")
    def placed(self, order: Order) -> str:
        return moment(order.placed_at)

    @display(description=_("total"))
    def total_shown(self, order: Order) -> str:
        return money(order.total, order.currency)

    @display(description=_("status"))
    def status_badge(self, order: Order) -> SafeString:
        return badge(order.get_status_display(), STATUS_COLOURS[order.status])

    @display(description=_("payment"))
    def payment_badge(self, order: Order) -> SafeString:
        return badge(
            order.get_payment_status_display(), PAYMENT_STATE_COLOURS[order.payment_status]
        )

    @display(description=_("fulfilment"))
    def fulfilment_badge(self, order: Order) -> SafeString:
        return badge(
            order.get_fulfilment_status_display(), FULFILMENT_COLOURS[order.fulfilment_status]
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of an order. Nothing on it is edited; its steps are buttons."""
        context = dict(extra_context or {})
        order = self.get_object(request, object_id)
        if order is not None:
            context |= _page_of(OrderPresenter(order))
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response


def _page_of(file: OrderPresenter) -> dict[str, Any]:
    order = file.order
    names = {item.id: item.name for item in file.items}
    return {
        "order": order,
        "total": money(order.total, order.currency),
        "facts": _facts(order),
        "meanings": _meanings(order),
        "address": _address(order.shipping_address),
        "items": [
            {
                "item": item,
                "unit_price": money(item.unit_price, order.currency),
                "line_total": money(item.line_total, order.currency),
            }
            for item in file.items
        ],
        "payments": [
            {
                "payment": payment,
                "amount": money(payment.amount, payment.currency),
                "at": moment(payment.created_at),
                "badge": badge(payment.get_status_display(), PAYMENT_COLOURS[payment.status]),
                "refunds": [
                    {
                        "refund": refund,
                        "amount": money(refund.amount, refund.currency),
                        "at": moment(refund.created_at),
                        "badge": badge(refund.get_status_display(), REFUND_COLOURS[refund.status]),
                    }
                    for refund in payment.refunds.all()
                ],
            }
            for payment in file.payments
        ],
        "shipments": [
            {
                "shipment": shipment,
                "shipped": moment(shipment.shipped_at),
                "delivered": moment(shipment.delivered_at),
                "badge": badge(shipment.get_status_display(), SHIPMENT_COLOURS[shipment.status]),
                "contents": [
                    f"{item.quantity} × {names.get(item.order_item_id, '')}"
                    for item in shipment.items.all()
                ],
            }
            for shipment in shipments_of(order.id)
        ],
        "history": history_lines(order.id),
    }


def _facts(order: Order) -> list[tuple[Any, str | SafeString]]:
    facts: list[tuple[Any, str | SafeString]] = [
        (_("status"), badge(order.get_status_display(), STATUS_COLOURS[order.status])),
        (
            _("payment"),
            badge(order.get_payment_status_display(), PAYMENT_STATE_COLOURS[order.payment_status]),
        ),
        (
            _("fulfilment"),
            badge(
                order.get_fulfilment_status_display(),
                FULFILMENT_COLOURS[order.fulfilment_status],
            ),
        ),
        (_("total"), money(order.total, order.currency)),
        (_("placed"), moment(order.placed_at)),
    ]
    if order.expires_at is not None:
        facts.append((_("expires"), moment(order.expires_at)))
    facts.append((_("changed"), moment(order.updated_at)))
    return facts


def _meanings(order: Order) -> list[Any]:
    payment = PAYMENT_MEANINGS.get(order.payment_status)
    return [STATUS_MEANINGS[order.status], *([payment] if payment else [])]


def _numbers_of(ids: Collection[UUID]) -> Mapping[UUID, str]:
    there = Order.objects.filter(pk__in=ids, deleted_at=None)
    return dict(there.values_list("pk", "number"))


def _id_of(number: str) -> UUID | None:
    return Order.objects.filter(number=number).values_list("pk", flat=True).first()


name_orders_by(numbers_of=_numbers_of, id_of=_id_of)


def _address(address: dict[str, str]) -> str:
    lines = (
        " ".join(address.get(name, "") for name in line.split(" ")).strip() for line in _ADDRESS
    )
    return "\n".join(line for line in lines if line)
