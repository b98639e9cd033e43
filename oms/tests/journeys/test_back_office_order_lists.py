"""How staff find orders in the back office, and how many queries a list takes."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from oms.core.clock import business_date
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import paid_order, place
from orders.operations.fulfilling import ship_items

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"


def test_the_list_takes_as_many_queries_for_twenty_orders_as_for_two(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    mug = make_product(stock=100)
    orders = [place((mug, 1)) for _ in range(2)]
    staff.get(LIST)
    with django_assert_max_num_queries(10) as few:
        staff.get(LIST)
    orders += [place((mug, 1)) for _ in range(18)]

    with django_assert_max_num_queries(len(few)):
        html = staff.get(LIST).content.decode()

    assert all(order.number in html for order in orders)


def test_orders_are_found_by_number_and_customer_and_filtered(staff: Client) -> None:
    mug = make_product(stock=100)
    paid, pending = paid_order((mug, 1)), place((mug, 1))

    def shown(**query: str) -> set[str]:
        html = staff.get(LIST, query).content.decode()
        return {order.number for order in (paid, pending) if order.number in html}

    assert shown() == {paid.number, pending.number}
    assert shown(q=paid.number[-6:].lower()) == {paid.number}
    assert shown(q=pending.number.lower()) == {pending.number}
    assert shown(q=pending.customer.email) == {pending.number}
    assert shown(q=pending.customer.full_name.upper()) == {pending.number}
    assert shown(q=str(paid.customer_id)) == {paid.number}
    assert shown(status__exact="pending") == {pending.number}
    assert shown(payment_status__exact="paid") == {paid.number}
    assert shown(fulfilment_status__exact="shipped") == set()
    today = business_date(paid.placed_at).isoformat()
    assert shown(placed_at_from=today, placed_at_to=today) == {paid.number, pending.number}
    assert shown(placed_at_from="2999-01-01") == set()
    assert shown(placed_at_to="2020-01-01") == set()
    assert shown(placed_at_to="no day") == {paid.number, pending.number}


def test_shipments_are_found_by_tracking_number_or_order(staff: Client) -> None:
    mug = make_product()
    orders = [paid_order((mug, 1)) for _ in range(2)]
    actor = actor_for(make_staff())
    for number, order in enumerate(orders):
        ship_items(actor=actor, order_id=order.id, carrier="DHL", tracking_number=f"JD{number}")

    def shown(term: str) -> list[str]:
        html = staff.get("/admin/orders/shipment/", {"q": term}).content.decode()
        return [order.number for order in orders if order.number in html.replace(term, "")]

    assert shown("") == [order.number for order in orders]
    assert shown("JD0") == [orders[0].number]
    assert shown("JD") == []
    html = staff.get("/admin/orders/shipment/", {"q": orders[1].number.lower()}).content.decode()
    assert ("JD1" in html, "JD0" in html) == (True, False)
