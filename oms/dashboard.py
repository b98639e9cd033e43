"""The figures on the first page of the back office, each from one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from inventory.models import Product
from notifications.models import DeliveryState, Notification
from oms.backoffice.display import badge, moment, money, number
from oms.core import clock
from oms.core.clock import Period
from oms.core.money import ZERO
from orders.admin.badges import PAYMENT_STATE_COLOURS, STATUS_COLOURS
from orders.models import Order
from orders.states import OrderStatus, PaymentState

_LATEST = 8
_SCARCEST = 8


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with its name, a list that shows more of it, and whether somebody has to act."""

    title: Any
    value: str
    icon: str
    url: str
    note: str = ""
    is_warning: bool = False


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the first page, with only what the person may see."""
    user: Any = request.user
    now = clock.now()
    day = clock.business_date(now)
    today = clock.business_days(day, day)
    figures: list[Figure] = []
    for permission, figure in _FIGURES:
        if user.has_perm(permission):
            figures += figure(today)
    context["figures"] = figures
    context["latest"] = _latest_orders() if user.has_perm("orders.view_order") else None
    context["scarcest"] = _scarcest() if user.has_perm("inventory.view_product") else None
    return context


def _sales(today: Period) -> list[Figure]:
    # As in the daily report: deleted orders count too, and what was confirmed today is revenue.
    placed = Order.objects.filter(placed_at__gte=today.start, placed_at__lt=today.end).count()
    sold = Order.objects.filter(
        confirmed_at__gte=today.start,
        confirmed_at__lt=today.end,
        currency=settings.SHOP_CURRENCY,
    )
    revenue = sold.aggregate(total=Coalesce(Sum("total"), ZERO), count=Count("pk"))
    day = clock.business_date(today.start)
    orders_of_today = (
        f"{reverse('admin:orders_order_changelist')}?placed_at_from={day}&placed_at_to={day}"
    )
    return [
        Figure(
            title=_("Orders today"),
            value=number(placed),
            icon="shopping_bag",
            url=orders_of_today,
        ),
        Figure(
            title=_("Revenue today"),
            value=money(revenue["total"], settings.SHOP_CURRENCY),
            icon="euro" if settings.SHOP_CURRENCY == "EUR" else "payments",
            # Not the payments, which not everybody who sees orders may see.
            url=orders_of_today,
            note=ngettext(
                "from %(count)s confirmed order",
                "from %(count)s confirmed orders",
                revenue["count"],
            )
            % {"count": number(revenue["count"])},
        ),
    ]


def _work(today: Period) -> list[Figure]:
    waiting = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
    failed = (PaymentState.FAILED, PaymentState.UNKNOWN)
    orders = Order.objects.filter(deleted_at=None)
    to_ship = orders.filter(status__in=waiting).count()
    unpaid = orders.filter(status=OrderStatus.PENDING, payment_status__in=failed).count()
    url = reverse("admin:orders_order_changelist")
    return [
        Figure(
            title=_("Awaiting shipment"),
            value=number(to_ship),
            icon="local_shipping",
            url=f"{url}?status__exact={'&status__exact='.join(waiting)}",
        ),
        Figure(
            title=_("Failed payments"),
            value=number(unpaid),
            icon="credit_card_off",
            url=f"{url}?status__exact=pending&payment_status__exact="
            + "&payment_status__exact=".join(failed),
            note=str(_("pending orders that nobody has paid for")),
            is_warning=unpaid > 0,
        ),
    ]


def _low_stock(today: Period) -> list[Figure]:
    low = _low_products().count()
    return [
        Figure(
            title=_("Low stock"),
            value=number(low),
            icon="inventory_2",
            url=reverse("admin:inventory_product_changelist") + "?stock=low&is_active__exact=1",
            note=str(_("products at or below their threshold")),
            is_warning=low > 0,
        )
    ]


def _dead_notifications(today: Period) -> list[Figure]:
    dead = Notification.objects.filter(state=DeliveryState.DEAD).count()
    return [
        Figure(
            title=_("Undelivered mail"),
            value=number(dead),
            icon="unsubscribe",
            url=reverse("admin:notifications_notification_changelist") + "?state__exact=dead",
            note=str(_("given up after every attempt")),
            is_warning=dead > 0,
        )
    ]


_FIGURES: tuple[tuple[str, Callable[[Period], list[Figure]]], ...] = (
    ("orders.view_order", _sales),
    ("orders.view_order", _work),
    ("inventory.view_product", _low_stock),
    ("notifications.view_notification", _dead_notifications),
)


def _low_products() -> Any:
    left = Sum(F("stock_levels__on_hand") - F("stock_levels__reserved"))
    return (
        Product.objects.filter(is_active=True)
        .annotate(left=Coalesce(left, 0))
        .filter(left__lte=F("low_stock_threshold"))
    )


def _latest_orders() -> Sequence[dict[str, Any]]:
    latest = Order.objects.filter(deleted_at=None).select_related("customer").order_by("-id")
    return [
        {
            "order": order,
            "placed": moment(order.placed_at),
            "total": money(order.total, order.currency),
            "status": badge(order.get_status_display(), STATUS_COLOURS[order.status]),
            "payment": badge(
                order.get_payment_status_display(), PAYMENT_STATE_COLOURS[order.payment_status]
            ),
        }
        for order in latest[:_LATEST]
    ]


def _scarcest() -> Sequence[dict[str, Any]]:
    scarcest = list(_low_products().order_by("left", "name")[:_SCARCEST])
    return [{"product": product, "left": number(product.left)} for product in scarcest]
