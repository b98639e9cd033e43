"""Which events send which notifications, to whom, and how often."""

from __future__ import annotations

import html
from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from inventory.events import StockRanLow
from notifications.models import Channel, DeliveryState, Notification
from notifications.operations.subscriptions import queue_notifications
from notifications.tests.conftest import PlaceOrder
from oms.core import clock
from oms.core.actor import system
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from oms.testing.factories import make_customer, make_staff
from orders.events import (
    OrderCancelled,
    OrderDelivered,
    OrderEvent,
    OrderExpired,
    OrderItemsAllocated,
    OrderItemsWaiting,
    OrderPaid,
    OrderPartiallyPaid,
    OrderPaymentFailed,
    OrderPlaced,
    OrderRefunded,
)
from orders.models import Order, OrderItem
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus

pytestmark = pytest.mark.django_db

STAFF = system("tests")
Relay = Callable[[], int]


def recorded(*facts: DomainEvent) -> list[RecordedEvent]:
    return [
        RecordedEvent(id=uuid4(), fact=fact, actor=STAFF, occurred_at=clock.now()) for fact in facts
    ]


def fact_of(order: Order, fact_class: type[OrderEvent], **data: object) -> OrderEvent:
    return fact_class(
        order_id=order.id,
        number=order.number,
        customer_id=order.customer_id,
        **data,
    )


def low_stock() -> StockRanLow:
    return StockRanLow(
        product_id=uuid4(), sku="LAMP-1", name="Desk\nlamp", available=1, threshold=5
    )


def notification(kind: str, channel: Channel = Channel.EMAIL) -> Notification:
    return Notification.objects.get(kind=kind, channel=channel)


@pytest.mark.django_db(transaction=True)
def test_placing_an_order_sends_an_email_and_an_in_app_notification(
    place: PlaceOrder, relay: Relay
) -> None:
    customer = make_customer(full_name="Ada Lovelace", email="ada@example.com")
    order = place(customer, 2, 1)

    relay()

    mail, in_app = notification("order_placed"), notification("order_placed", Channel.IN_APP)
    assert (mail.email, mail.recipient_id, mail.state) == (
        "ada@example.com",
        customer.id,
        DeliveryState.QUEUED,
    )
    assert mail.subject == f"Your order {order.number}"
    assert mail.message_id == f"<{mail.id}@example.com>"
    assert mail.next_attempt_at is not None
    for text in (mail.body, mail.body_html):
        assert "Hello Ada," in text
        assert order.number in text
        assert "59.70\N{NO-BREAK SPACE}EUR" in text
        assert "Invalidenstraße 44" in text
        assert "10115 Berlin" in text
        assert "Northwind Supply" in text
        assert all(item.name in text for item in order.items.all())
    assert (in_app.recipient_id, in_app.state, in_app.next_attempt_at, in_app.read_at) == (
        customer.id,
        DeliveryState.SENT,
        None,
        None,
    )
    assert in_app.sent_at == in_app.created_at
    assert in_app.order_id == order.id
    assert in_app.body.startswith("We've received your order")
    assert Notification.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_each_shipment_is_notified_with_its_items_and_tracking_number(
    place: PlaceOrder, relay: Relay
) -> None:
    order = place(make_customer(), 3)
    set_order_status(actor=STAFF, order_id=order.id, status=OrderStatus.CONFIRMED)
    [item] = order.items.all()

    for quantity, tracking_number in ((1, "TRACK-1"), (2, "TRACK-2")):
        ship_items(
            actor=STAFF,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=quantity)],
            carrier="DHL",
            tracking_number=tracking_number,
        )
    relay()

    first, second = Notification.objects.filter(
        kind="order_shipped", channel=Channel.EMAIL
    ).order_by("id")
    assert "TRACK-1" in first.body
    assert "TRACK-2" not in first.body
    assert f"1 × {item.name}" in first.body
    assert "will ship separately" in first.body
    assert "TRACK-2" in second.body_html
    assert "DHL" in second.body_html
    assert f"2 × {item.name}" in second.body
    assert "completes your order" in second.body


@pytest.mark.django_db(transaction=True)
def test_the_customer_reads_which_items_wait_and_when_they_have_arrived(
    place: PlaceOrder, relay: Relay
) -> None:
    order = place(make_customer(), 3)
    item = OrderItem.objects.get(order=order)
    OrderItem.objects.update(quantity_waiting=2)
    facts = {
        fact_class: fact_of(order, fact_class, quantities={item.product_id: 2})
        for fact_class in (OrderItemsWaiting, OrderItemsAllocated)
    }

    relay()
    with transaction.atomic():
        queue_notifications(recorded(*facts.values()))

    placed = notification("order_placed").body
    assert "reserved what is in stock" in placed
    assert "reserved your items" not in placed
    for kind, text in (("items_waiting", "delayed"), ("items_allocated", "have arrived")):
        mail, in_app = notification(kind), notification(kind, Channel.IN_APP)
        assert text in mail.subject
        assert order.number in mail.subject
        for body in (placed, mail.body, html.unescape(mail.body_html), in_app.body):
            assert f"2 × {item.name}" in body


@pytest.mark.parametrize(
    ("fact_class", "data", "kind", "text"),
    [
        (
            OrderPaid,
            {"payment_id": uuid4(), "amount": "1299.00", "currency": "EUR"},
            "order_paid",
            "1,299.00\N{NO-BREAK SPACE}EUR",
        ),
        (
            OrderPartiallyPaid,
            {"payment_id": uuid4(), "amount": "1.00", "currency": "EUR"},
            "order_paid",
            "1.00\N{NO-BREAK SPACE}EUR for your order of",
        ),
        (
            OrderPaymentFailed,
            {"payment_id": uuid4(), "code": "insufficient_funds"},
            "payment_failed",
            "insufficient funds",
        ),
        (
            OrderDelivered,
            {"previous_status": "shipped", "status": "delivered"},
            "order_delivered",
            "Your order has been delivered",
        ),
        (
            OrderCancelled,
            {"previous_status": "pending", "status": "cancelled", "reason": "fraud?"},
            "order_cancelled",
            "has been cancelled",
        ),
        (
            OrderExpired,
            {"previous_status": "pending", "status": "expired"},
            "order_expired",
            "receive your payment in time",
        ),
        (
            OrderRefunded,
            {"refund_id": uuid4(), "amount": "5.50", "currency": "EUR"},
            "order_refunded",
            "5.50\N{NO-BREAK SPACE}EUR",
        ),
    ],
)
def test_the_customer_is_notified_of(
    place: PlaceOrder,
    fact_class: type[OrderEvent],
    data: dict[str, object],
    kind: str,
    text: str,
) -> None:
    order = place(make_customer())
    if "amount" in data:
        data = {**data, "amount": Decimal(str(data["amount"]))}

    with transaction.atomic():
        queue_notifications(recorded(fact_of(order, fact_class, **data)))

    mail = notification(kind)
    assert text in mail.body
    assert text in html.unescape(mail.body_html)
    assert order.number in mail.subject
    assert "fraud" not in mail.body + mail.body_html
    assert notification(kind, Channel.IN_APP).order_id == order.id


def test_low_stock_is_mailed_to_all_active_staff() -> None:
    make_customer()
    make_staff(is_active=False)
    staff = {make_staff().email, make_staff().email}

    with transaction.atomic():
        queue_notifications(recorded(low_stock()))

    mails = Notification.objects.all()
    assert {mail.email for mail in mails} == staff
    assert {(mail.channel, mail.recipient_id) for mail in mails} == {(Channel.EMAIL, None)}
    assert all(mail.subject == "Low stock: Desk lamp (LAMP-1)" for mail in mails)
    assert all("/admin/inventory/product/" in mail.body_html for mail in mails)


def test_an_event_handled_twice_sends_one_notification(place: PlaceOrder) -> None:
    make_staff()
    order = place(make_customer())
    events = recorded(
        fact_of(order, OrderDelivered, previous_status="shipped", status="delivered"), low_stock()
    )

    for _ in range(2):
        with transaction.atomic():
            queue_notifications(events)

    assert Notification.objects.count() == 3


def test_the_number_of_statements_does_not_depend_on_the_number_of_events(
    place: PlaceOrder,
) -> None:
    make_staff()

    def statements(count: int) -> int:
        facts: list[DomainEvent] = [low_stock() for _ in range(count)]
        for _ in range(count):
            order = place(make_customer())
            placed = {"status": "pending", "total": order.total, "currency": "EUR"}
            facts.append(fact_of(order, OrderPlaced, **placed))
        with (
            transaction.atomic(),
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            queue_notifications(recorded(*facts))
        return len(queries)

    few, many = statements(1), statements(12)

    assert few == many == 9


def test_names_of_customers_and_products_cannot_become_markup(place: PlaceOrder) -> None:
    order = place(make_customer(full_name="<b>Eve</b>"))
    order.items.update(name="<script>alert(1)</script>")
    placed = {"status": "pending", "total": order.total, "currency": "EUR"}

    with transaction.atomic():
        queue_notifications(recorded(fact_of(order, OrderPlaced, **placed)))

    body = notification("order_placed").body_html
    assert "<script>" not in body
    assert "<b>Eve" not in body
    assert "&lt;script&gt;" in body
