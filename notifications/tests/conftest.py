"""Orders with notifications, and a mail server that can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import transaction
from pytest_django import Settings

from notifications.models import Channel, Notification
from notifications.operations.subscriptions import EVENT_TYPES, queue_notifications
from notifications.tests.mail_senders import MakeMail, MakeMails
from notifications.tests.mail_server import MailServer
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.relay import Consumer, RecordedEvent, deliver
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import actor_for, make_customer, make_product
from oms.users.models import User
from orders.events import OrderPlaced
from orders.models import Order
from orders.operations.placing import place_order
from orders.placements import OrderedItem, Placement

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "Invalidenstraße 44",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}

PlaceOrder = Callable[..., Order]


@pytest.fixture
def place(db: None) -> PlaceOrder:
    """Places an order of `quantities` of new products for a customer."""

    def placed(customer: User, *quantities: int) -> Order:
        items = [
            OrderedItem(product_id=make_product(stock=50).id, quantity=quantity)
            for quantity in quantities or (2,)
        ]
        placement = Placement(customer_id=customer.id, items=items, shipping_address=ADDRESS)
        placed = place_order(actor=actor_for(customer), placement=placement)
        return Order.objects.get(pk=placed.order.id)

    return placed


@pytest.fixture
def relay() -> Callable[[], int]:
    """Delivers the events of the log to the notifications, as the worker does."""
    consumer = Consumer(name="notifications", event_types=EVENT_TYPES, handle=queue_notifications)

    def relayed() -> int:
        wait_until_readable()
        return deliver(consumer)

    return relayed


@pytest.fixture
def mails(place: PlaceOrder) -> MakeMails:
    """Queues `count` mails about one order, and returns them."""

    def queued(count: int, *, email: str = "") -> list[Notification]:
        order = place(make_customer(email=email))
        events = [
            RecordedEvent(
                id=new_id(),
                fact=OrderPlaced(
                    order_id=order.id,
                    number=order.number,
                    customer_id=order.customer_id,
                    status=order.status,
                    total=order.total,
                    currency=order.currency,
                ),
                actor=system("tests"),
                occurred_at=order.placed_at,
            )
            for _ in range(count)
        ]
        with transaction.atomic():
            queue_notifications(events)
        rows = Notification.objects.filter(order_id=order.id, channel=Channel.EMAIL)
        return list(rows.order_by("id"))

    return queued


@pytest.fixture
def mail(mails: MakeMails) -> MakeMail:
    """Queues the mail about a new order, and returns it."""
    return lambda **options: mails(1, **options)[0]


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    """A real SMTP server, configured as the shop's mail server."""
    with MailServer() as server:
        use_smtp(settings, port=server.port)
        yield server


def use_smtp(settings: Settings, *, port: int) -> None:
    """Send mail to 127.0.0.1 at `port`."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_TIMEOUT = 2
