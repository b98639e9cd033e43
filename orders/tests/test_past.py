"""An order as of a past time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from oms.core import clock
from oms.core.actor import system
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import (
    paid_order,
    payment_of,
    place,
    refund_of,
    report,
    report_refund,
    settle,
)
from orders.models import Order
from orders.operations.cancellations import cancel_items
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.requesting_payments import pay_order
from orders.placements import PaymentChoice
from payments.gateways.base import ChargeStatus

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
        "payment_status": "paid",
        "fulfilment_status": "unfulfilled",
        "currency": "EUR",
        "total": "59.70",
        "items": [
            {
                "product_id": str(mug.id),
                "sku": "MUG",
                "name": "Mug",
                "quantity": 3,
                "quantity_reserved": 3,
                "quantity_waiting": 0,
                "quantity_shipped": 0,
                "quantity_restocked": 0,
                "quantity_cancelled": 0,
            }
        ],
        "history": then["history"],
    }
    assert [entry["status"] for entry in then["history"]] == ["pending", "confirmed"]
    assert (now["status"], now["fulfilment_status"]) == ("processing", "partially_shipped")
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

    past = [ask(order, **at(time)) for time in times]

    shown = [order["items"] for order in past]
    assert [order["total"] for order in past] == ["59.70", "99.50", "39.80"]
    assert [
        [(line["sku"], line["quantity"], line["quantity_reserved"]) for line in lines]
        for lines in shown
    ] == [[("MUG", 3, 3)], [("MUG", 5, 5)], [("LAMP", 2, 2)]]


def test_the_payment_status_follows_what_the_payments_were_by_then(ask: Ask) -> None:
    order = place((make_product(stock=5), 2))
    times = [clock.now()]

    def pay(status: ChargeStatus) -> None:
        pay_order(
            actor=actor_for(order.customer),
            order_id=order.id,
            choice=PaymentChoice(provider="sandbox", token="tok"),
        )
        times.append(clock.now())
        report(order, status)
        settle()
        times.append(clock.now())

    pay(ChargeStatus.DECLINED)
    pay(ChargeStatus.CAPTURED)
    for amount in ("9.80", None):
        requested = refund_of(
            payment_of(order), amount=None if amount is None else Decimal(amount), reason="x"
        )
        times.append(clock.now())
        report_refund(requested)
        settle()
        times.append(clock.now())

    assert [ask(order, **at(time))["payment_status"] for time in times] == [
        *("unpaid", "processing", "failed"),
        *("processing", "paid"),
        *("paid", "partially_refunded", "partially_refunded", "refunded"),
    ]


def test_what_waited_and_was_cancelled_is_that_of_the_time(ask: Ask) -> None:
    mug = make_product(stock=2, backorderable=True, price=Decimal("10.00"))
    order = paid_order((mug, 5))
    item = order.items.get()
    times = [clock.now()]
    cancel_items(
        actor=system("tests"),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=item.id, quantity=1)],
    )
    times.append(clock.now())
    ship_items(actor=system("tests"), order_id=order.id)
    times.append(clock.now())
    cancel_items(
        actor=system("tests"),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=item.id, quantity=2)],
    )
    times.append(clock.now())

    past = [ask(order, **at(time)) for time in times]

    assert [order["total"] for order in past] == ["50.00", "40.00", "40.00", "20.00"]
    names = ("quantity_waiting", "quantity_cancelled", "quantity_shipped", "quantity_reserved")
    assert [tuple(order["items"][0][name] for name in names) for order in past] == [
        (3, 0, 0, 2),
        (2, 1, 0, 2),
        (2, 1, 2, 0),
        (0, 3, 2, 0),
    ]
    assert [order["fulfilment_status"] for order in past] == [
        *("unfulfilled", "unfulfilled", "partially_shipped", "shipped")
    ]


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
