"""Stock alerts: one message when a product is back."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from inventory.models import Product, StockAlert
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.products import change_product
from inventory.operations.stock_alerts import (
    add_stock_alert,
    purge_stock_alerts,
    take_stock_alerts,
)
from notifications.models import Notification
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.events.models import Event
from oms.events.relay import deliver
from oms.subscriptions import CONSUMERS
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import actor_for, api_client, make_customer, make_product
from oms.testing.ordering import place
from oms.testing.threads import at_once
from oms.users.models import User
from orders.operations.cancelling import cancel_order

pytestmark = pytest.mark.django_db(transaction=True)


def url(product: Product) -> str:
    return f"/api/v1/products/{product.id}/stock-alerts"


def receive(product: Product, quantity: int = 5) -> None:
    adjust_stock(
        actor=system("tests"),
        product_id=product.id,
        amount=Change(delta=quantity),
        reason=AdjustmentReason.RECEIVED,
    )


def notify() -> None:
    wait_until_readable()
    [consumer] = [each for each in CONSUMERS if each.name == "notifications"]
    deliver(consumer)


def messages() -> list[tuple[str, str]]:
    found = Notification.objects.filter(kind="back_in_stock").order_by("email", "channel")
    return [(notification.email, notification.channel) for notification in found]


def events() -> list[tuple[Any, int]]:
    found = Event.objects.filter(type="product.became_available").order_by("position")
    return [(event.object_id, event.data["available"]) for event in found]


@pytest.fixture
def carla(db: None) -> User:
    return make_customer(email="carla@example.com")


@pytest.fixture
def client(carla: User) -> APIClient:
    return api_client(carla)


def test_an_alert_is_created_once(client: APIClient, carla: User) -> None:
    product = make_product(stock=0)

    first, second = client.post(url(product)), client.post(url(product))

    assert (first.status_code, second.status_code) == (201, 201)
    alert = StockAlert.objects.get()
    assert (alert.product_id, alert.customer_id) == (product.id, carla.id)
    assert first.json() == {
        "product_id": str(product.id),
        "created_at": alert.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert second.json() == first.json()


def test_a_body_is_not_ignored(client: APIClient) -> None:
    response = client.post(url(make_product(stock=0)), {"quantity": 2})

    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/quantity", "unknown_field")
    assert not StockAlert.objects.exists()


def test_nothing_is_waited_for_that_is_available(client: APIClient) -> None:
    response = client.post(url(make_product(stock=1)))

    assert (response.status_code, response.json()["code"]) == (409, "in_stock")
    assert not StockAlert.objects.exists()


def test_products_that_are_not_seen_are_not_found(client: APIClient) -> None:
    hidden = make_product(stock=0, is_active=False)

    for path in (url(hidden), f"/api/v1/products/{new_id()}/stock-alerts"):
        assert client.post(path).status_code == 404
        assert client.delete(path).status_code == 404
    assert api_client().post(url(hidden)).status_code == 401


def test_an_alert_is_withdrawn(client: APIClient, carla: User) -> None:
    product = make_product(stock=0)
    add_stock_alert(actor=actor_for(make_customer()), product_id=product.id)
    client.post(url(product))
    Product.objects.filter(pk=product.pk).update(is_active=False)

    assert client.delete(url(product)).status_code == 204

    assert not StockAlert.objects.filter(customer=carla).exists()
    assert StockAlert.objects.count() == 1
    Product.objects.filter(pk=product.pk).update(is_active=True)
    assert client.delete(url(product)).status_code == 204


def test_customers_get_one_mail_and_one_message_when_it_is_back(client: APIClient) -> None:
    product, other = make_product(stock=0, name="Lamp", sku="L-1"), make_product(stock=0)
    client.post(url(product))
    client.post(url(other))
    add_stock_alert(actor=actor_for(make_customer(email="zoe@example.com")), product_id=product.id)
    notify()

    receive(product)
    notify()

    assert messages() == [
        ("carla@example.com", "email"),
        ("carla@example.com", "in_app"),
        ("zoe@example.com", "email"),
        ("zoe@example.com", "in_app"),
    ]
    mail = Notification.objects.filter(kind="back_in_stock", channel="email").first()
    assert mail is not None
    assert mail.subject == "Back in stock: Lamp"
    assert "Lamp (L-1) is available again." in mail.body
    assert mail.order_id is None
    assert [alert.product_id for alert in StockAlert.objects.all()] == [other.id]
    [shown] = client.get("/api/v1/notifications").json()["results"]
    assert (shown["kind"], shown["order_id"]) == ("back_in_stock", None)
    created = Event.objects.filter(type="notification.created")
    assert [event.data["order_id"] for event in created] == [None, None]

    # Gone and back again, without another alert.
    adjust_stock(
        actor=system("tests"),
        product_id=product.id,
        amount=Change(delta=-5),
        reason=AdjustmentReason.LOST,
    )
    receive(product)
    notify()
    assert len(messages()) == 4


def test_a_product_that_is_gone_again_keeps_its_alerts(client: APIClient) -> None:
    product = make_product(stock=0)
    client.post(url(product))
    receive(product, 1)
    place((product, 1))

    notify()
    assert messages() == []

    receive(product, 1)
    notify()
    assert len(messages()) == 2


def test_the_event_is_published_when_available_rises_from_zero(db: None) -> None:
    product = make_product(stock=0)
    receive(product, 2)
    receive(product, 2)
    order = place((product, 4))
    cancel_order(actor=system("tests"), order_id=order.id)

    assert events() == [(product.id, 2), (product.id, 4)]
    new = make_product(stock=3)
    assert events()[2:] == [(new.id, 3)]


def test_a_product_that_is_on_sale_again_is_back(client: APIClient) -> None:
    product = make_product(stock=0)
    client.post(url(product))
    actor = system("tests")
    change_product(actor=actor, product_id=product.id, values={"is_active": False})
    receive(product)
    notify()
    assert messages() == []

    change_product(actor=actor, product_id=product.id, values={"is_active": True})
    notify()

    assert len(messages()) == 2


def test_old_alerts_are_purged(client: APIClient) -> None:
    old, new = make_product(stock=0), make_product(stock=0)
    client.post(url(old))
    long_ago = clock.now() - timedelta(days=400)
    StockAlert.objects.update(created_at=long_ago)
    client.post(url(new))

    before = clock.now() - timedelta(days=365)
    assert purge_stock_alerts(before=before, deadline=time.monotonic() + 5) == 1

    assert StockAlert.objects.get().product_id == new.id


def test_two_transactions_never_take_the_same_alert() -> None:
    product = make_product(stock=0)
    for _ in range(20):
        add_stock_alert(actor=actor_for(make_customer()), product_id=product.id)
    receive(product)

    taken = at_once(*[lambda: transaction(take_stock_alerts)([product.id])] * 4)

    customers = [id for each in taken for id in each.get(product.id, [])]
    assert (len(customers), len(set(customers))) == (20, 20)
    assert not StockAlert.objects.exists()


def test_an_alert_that_is_added_while_stock_arrives_is_refused_or_answered() -> None:
    for _ in range(5):
        product, customer = make_product(stock=0), make_customer()
        post: Any = partial(api_client(customer).post, url(product))
        arrive: Any = partial(receive, product)

        [response, _] = at_once(post, arrive)
        notify()

        number = Notification.objects.filter(recipient=customer, kind="back_in_stock").count()
        assert (response.status_code, number) in ((201, 2), (409, 0))
