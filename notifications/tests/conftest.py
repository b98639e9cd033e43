"""Orders to tell of, and a mail server that can misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from notifications.models import Channel, Notification
from notifications.operations.subscriptions import EVENT_TYPES, queue_notifications
from notifications.tests.mail_senders import MakeMail
from notifications.tests.mail_server import MailServer
from oms.events.relay import Consumer, deliver
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import actor_for, make_customer, make_product
from oms.users.models import User
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
    """Hands all events of the log to the notifications, as the worker does."""
    consumer = Consumer(name="notifications", event_types=EVENT_TYPES, handle=queue_notifications)

    def relayed() -> int:
        wait_until_readable()
        return deliver(consumer)

    return relayed


@pytest.fixture
def mail(place: PlaceOrder, relay: Callable[[], int]) -> MakeMail:
    """Places an order and returns the mail about it that waits to be sent."""

    def queued(email: str = "") -> Notification:
        order = place(make_customer(email=email))
        relay()
        return Notification.objects.get(order_id=order.id, channel=Channel.EMAIL)

    return queued


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    """A real SMTP server that the shop sends its mail to."""
    with MailServer() as server:
        use_smtp(settings, port=server.port)
        yield server


def use_smtp(settings: Settings, *, port: int) -> None:
    """Let mail go to 127.0.0.1 at `port`."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_TIMEOUT = 2
