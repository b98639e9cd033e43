"""What the demo shop contains: every status, and consistent times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inventory.models import Product, StockLevel
from notifications.models import Notification
from oms.core.clock import business_date
from oms.core.ids import creation_time_of
from oms.events.models import Event
from orders.models import Order, OrderItem
from orders.states import FulfilmentState, OrderStatus, PaymentState

pytestmark = pytest.mark.django_db


def test_everything_lies_in_the_past_at_its_own_time(demo_shop: None) -> None:
    now = datetime.now(UTC)
    orders = list(Order.objects.order_by("id"))

    placed = [order.placed_at for order in orders]
    assert placed == sorted(placed)
    assert now - timedelta(days=31) < placed[0] < now - timedelta(days=5)
    for order in orders:
        assert abs(creation_time_of(order.id) - order.placed_at) < timedelta(milliseconds=1)
        assert order.number.startswith(f"{business_date(order.placed_at):%Y%m%d}-")
    for event in Event.objects.all():
        # The running clock goes on between the time and the id of what the seed appends just now.
        is_of_the_seed = event.occurred_at > now - timedelta(minutes=10)
        most = timedelta(seconds=1) if is_of_the_seed else timedelta(milliseconds=1)
        assert abs(creation_time_of(event.id) - event.occurred_at) < most
        assert event.occurred_at < now


def test_the_events_of_an_order_are_in_the_order_of_their_ids(demo_shop: None) -> None:
    order = Order.objects.filter(status="delivered", payment_status="paid").earliest("id")

    types = list(
        Event.objects.filter(object_id=order.id).order_by("id").values_list("type", flat=True)
    )
    by_position = Event.objects.filter(object_id=order.id).order_by("position")
    assert types == list(by_position.values_list("type", flat=True))
    assert types[0] == "order.placed"
    assert types[-1] == "order.delivered"


def test_sixty_orders_show_every_status(demo_shop: None) -> None:
    orders = Order.objects.values_list("status", "payment_status", "fulfilment_status")

    statuses, payments, fulfilments = (set(column) for column in zip(*orders, strict=True))
    assert statuses == set(OrderStatus.values)
    # The demo shop captures at once, and its provider captures what it was asked for.
    unusual = {PaymentState.AUTHORIZED.value, PaymentState.PARTIALLY_PAID.value}
    assert payments == set(PaymentState.values) - unusual
    assert fulfilments == set(FulfilmentState.values)


def test_products_show_every_kind_of_stock(demo_shop: None) -> None:
    available: dict[str, int] = {}
    for level in StockLevel.objects.select_related("product"):
        available[level.product.sku] = available.get(level.product.sku, 0) + level.available

    low = Product.objects.get(sku="OUT-013")
    assert 0 < available[low.sku] <= low.low_stock_threshold
    assert available["HOM-009"] == 0
    assert Product.objects.filter(is_active=False).count() == 1
    assert Product.objects.get(backorderable=True).sku == "TOO-007"
    assert available["TOO-007"] == 0
    waiting = OrderItem.objects.filter(quantity_waiting__gt=0)
    assert {item.sku: item.quantity_waiting for item in waiting}.keys() == {"TOO-007"}
    assert sum(item.quantity_waiting for item in waiting) == 4
    assert StockLevel.objects.values("location").distinct().count() == 2
    assert Product.objects.values("category").distinct().count() == 5


def test_notifications_were_sent_at_the_time_of_their_events(demo_shop: None) -> None:
    times = dict(Event.objects.values_list("id", "occurred_at"))

    for notification in Notification.objects.all():
        assert notification.created_at == notification.sent_at == times[notification.event_id]
        assert str(notification.id) in notification.message_id or notification.channel == "in_app"
