"""An order as of a past time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from oms.core import clock
from oms.core.actor import system
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, place
from orders.models import Order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity

pytestmark = pytest.mark.django_db


def url(order: Order) -> str:
    return f"/api/v1/orders/{order.id}"


def at(time: datetime) -> dict[str, str]:
    return {"at": time.isoformat()}


Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    """What staff see of an order."""
    client = api_client(make_staff())
    return lambda order, **query: client.get(url(order), query).json()


def test_an_order_is_shown_with_its_status_and_quantities_of_that_time(ask: Ask) -> None:
    mug = make_product(sku="MUG", name="Mug", stock=10)
    order = paid_order((mug, 3))
    before = clock.now()
    [item] = order.items.all()
    ship_items(
        actor=system("tests"),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=item.id, quantity=2)],
        carrier="",
        tracking_number="",
    )
    after = clock.now()

    then, now = ask(order, **at(before)), ask(order, **at(after))

    assert then == {
        "id": str(order.id),
        "number": order.number,
        "customer_id": str(order.customer_id),
        "at": before.isoformat().replace("+00:00", "Z"),
        "status": "confirmed",
        "items": [
            {
                "product_id": str(mug.id),
                "sku": "MUG",
                "name": "Mug",
                "quantity": 3,
                "quantity_reserved": 3,
                "quantity_shipped": 0,
                "quantity_restocked": 0,
            }
        ],
        "history": then["history"],
    }
    assert [entry["status"] for entry in then["history"]] == ["pending", "confirmed"]
    assert now["status"] == "processing"
    [line] = now["items"]
    assert (line["quantity_reserved"], line["quantity_shipped"]) == (1, 2)


def test_an_edited_order_is_shown_with_the_items_of_that_time(ask: Ask) -> None:
    mug, lamp = make_product(sku="MUG", stock=10), make_product(sku="LAMP", stock=10)
    customer = make_customer()
    order = place((mug, 3), customer=customer)
    times = [clock.now()]
    client = api_client(customer)
    for product, quantity in ((mug, 5), (lamp, 2)):
        items = [{"product_id": str(product.id), "quantity": quantity}]
        assert client.patch(url(order), {"items": items}).status_code == 200
        times.append(clock.now())

    shown = [ask(order, **at(time))["items"] for time in times]

    assert [
        [(line["sku"], line["quantity"], line["quantity_reserved"]) for line in lines]
        for lines in shown
    ] == [[("MUG", 3, 3)], [("MUG", 5, 5)], [("LAMP", 2, 2)]]


def test_an_order_that_was_not_placed_yet_is_not_found(ask: Ask) -> None:
    order = place((make_product(), 1))

    assert ask(order, **at(order.placed_at - timedelta(seconds=1)))["status"] == 404


def test_owners_see_the_past_of_their_orders_and_others_do_not() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer)
    query = at(clock.now())

    assert api_client(customer).get(url(order), query).json()["status"] == "pending"
    assert api_client(make_customer()).get(url(order), query).status_code == 404
    assert api_client(make_staff(permissions=())).get(url(order), query).status_code == 403
    assert api_client().get(url(order), query).status_code == 401


def test_a_time_in_the_future_is_refused(ask: Ask) -> None:
    order = place((make_product(), 1))

    [error] = ask(order, at="2199-01-01T00:00:00Z")["errors"]
    assert (error["parameter"], error["code"]) == ("at", "in_the_future")
