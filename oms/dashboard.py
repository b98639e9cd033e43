"""The figures and lists on the first page of the back office, from few queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from inventory.models import Product
from oms.attention import KINDS
from oms.backoffice.actors import may, staff_actor
from oms.backoffice.display import money, number
from oms.core import clock
from oms.core.permissions import Permission
from oms.exceptions.queries import exceptions_visible_to
from orders.admin.statuses import PAYMENT_COLOURS, STATUS_COLOURS
from orders.models import Order
from orders.states import OrderStatus, PaymentState
from reports.operations.reporting import daily_report

_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with a link to the list behind it. A warning is coloured; it needs action."""

    title: Any
    value: str
    icon: str
    url: str
    note: Any = ""
    is_warning: bool = False


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the page, limited to what the user may see."""
    context["figures"] = [
        figure
        for permission, figures in _FIGURES
        if may(request, permission)
        for figure in figures(request)
    ]
    if may(request, Permission.ORDERS_VIEW):
        context["figures"].append(_exceptions(request))
    context["attention"] = [(kind, kind.count()) for kind in KINDS if kind.is_visible(request)]
    if may(request, Permission.ORDERS_VIEW):
        orders = Order.objects.filter(deleted_at=None).select_related("customer")
        context["latest_orders"] = orders.order_by("-id")[:_ROWS]
        context["status_colours"] = STATUS_COLOURS
        context["payment_colours"] = PAYMENT_COLOURS
    if may(request, Permission.STOCK_VIEW):
        context["low_products"] = _low_products().order_by("available", "name")[:_ROWS]
    return context


def _sales(request: HttpRequest) -> Iterator[Figure]:
    """The figures of the report of today, which defines them."""
    now, currency = clock.now(), settings.SHOP_CURRENCY
    day = clock.business_date(now)
    report = daily_report(actor=staff_actor(request), day=day, currency=currency, now=now)
    totals = report.totals
    yield Figure(
        title=_("Orders today"),
        value=number(totals.orders_placed),
        icon="shopping_bag",
        url=f"{reverse('admin:orders_order_changelist')}?placed_at_from={day}&placed_at_to={day}"
        if may(request, Permission.ORDERS_VIEW)
        else reverse("admin:reports_dailyreport_changelist"),
        note=_("%(count)s confirmed") % {"count": number(totals.orders_confirmed)},
    )
    yield Figure(
        title=_("Net sales today"),
        value=money(totals.net_sales, currency),
        icon="euro" if currency == "EUR" else "payments",
        url=reverse("admin:reports_dailyreport_changelist"),
        note=_("gross %(gross)s, refunds %(refunds)s")
        % {
            "gross": money(totals.gross_sales, currency),
            "refunds": money(totals.refunds, currency),
        },
    )


def _work(request: HttpRequest) -> Iterator[Figure]:
    orders = Order.objects.filter(deleted_at=None)
    url = reverse("admin:orders_order_changelist")
    to_ship = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
    yield Figure(
        title=_("Awaiting shipment"),
        value=number(orders.filter(status__in=to_ship).count()),
        icon="local_shipping",
        url=f"{url}?status__exact={'&status__exact='.join(to_ship)}",
    )
    pending = orders.filter(status=OrderStatus.PENDING)
    failed = (PaymentState.FAILED, PaymentState.UNKNOWN)
    unpaid = pending.filter(payment_status__in=failed).count()
    yield Figure(
        title=_("Failed payments"),
        value=number(unpaid),
        icon="credit_card_off",
        url=f"{url}?status__exact=pending&payment_status__exact="
        + "&payment_status__exact=".join(failed),
        note=_("pending orders with a failed or unconfirmed payment"),
        is_warning=unpaid > 0,
    )


def _exceptions(request: HttpRequest) -> Figure:
    """Those that are open, as far as the user may see them."""
    count = exceptions_visible_to(staff_actor(request)).filter(resolved_at=None).count()
    return Figure(
        title=_("Exceptions"),
        value=number(count),
        icon="report",
        url=reverse("admin:exceptions_exceptionrecord_changelist") + "?state=open",
        note=_("what the shop could not settle by itself"),
        is_warning=count > 0,
    )


def _low_stock(request: HttpRequest) -> Iterator[Figure]:
    low = _low_products().count()
    yield Figure(
        title=_("Low stock"),
        value=number(low),
        icon="inventory_2",
        url=reverse("admin:inventory_product_changelist") + "?stock=low&is_active__exact=1",
        note=_("products at or below their threshold"),
        is_warning=low > 0,
    )


_FIGURES: tuple[tuple[Permission, Callable[[HttpRequest], Iterator[Figure]]], ...] = (
    (Permission.REPORTS_VIEW, _sales),
    (Permission.ORDERS_VIEW, _work),
    (Permission.STOCK_VIEW, _low_stock),
)


def _low_products() -> Any:
    available = Sum(F("stock_levels__on_hand") - F("stock_levels__reserved"))
    return (
        Product.objects.filter(is_active=True)
        .annotate(available=Coalesce(available, 0))
        .filter(available__lte=F("low_stock_threshold"))
    )
