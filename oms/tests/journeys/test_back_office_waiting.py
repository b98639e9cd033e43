"""What waits for stock, in the back office: it is shown, and not shipped."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from inventory.models import Product, StockAlert
from inventory.operations.stock_alerts import add_stock_alert
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, stock_of
from orders.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def cup() -> Product:
    """Three are there, and it may be ordered beyond them."""
    return make_product(stock=3, backorderable=True, name="Cup", sku="CUP")


def page_of(order: Order, action: str) -> str:
    return f"/admin/orders/order/{order.pk}/{action}/"


def sent_as_shown(client: Client, page: str, **values: Any) -> str:
    """The page after the form was sent with what it had at first, and `values`."""
    form = client.get(page).context["form"]
    shown = {bound.html_name: bound.value() for bound in form if bound.value() is not None}
    html: str = client.post(page, {**shown, **values}, follow=True).content.decode()
    return html


def test_the_page_of_a_shipment_has_what_is_reserved_and_shows_what_waits(
    staff: Client, cup: Product
) -> None:
    order = paid_order((cup, 5))

    page = staff.get(page_of(order, "ship")).content.decode()
    assert "3 × Cup (CUP)" in page
    assert "2 × Cup (CUP) waits for stock and ships later." in page
    done = sent_as_shown(staff, page_of(order, "ship"), carrier="DHL")

    assert "Shipment created" in done
    item = order.items.get()
    assert (item.quantity_shipped, item.quantity_waiting) == (3, 2)
    assert stock_of(cup) == (0, 0)


def test_the_quantities_of_a_part_are_at_first_those_that_can_be_shipped(
    staff: Client, cup: Product
) -> None:
    pot = make_product(stock=1)
    order = paid_order((cup, 5), (pot, 1))
    first, second = order.items.order_by("position")

    page = staff.get(page_of(order, "ship_part"))
    form = page.context["form"]
    assert [form[f"item-{item.id}"].value() for item in (first, second)] == [3, 1]
    text = page.content.decode()
    assert "3 of 5 can be shipped now." in text
    assert "2 × Cup (CUP) waits for stock and ships later." in text
    refused = sent_as_shown(staff, page_of(order, "ship_part"), **{f"item-{first.id}": "4"})
    assert "less than or equal to 3" in refused
    sent_as_shown(staff, page_of(order, "ship_part"))

    assert {item.sku: item.quantity_shipped for item in order.items.all()} == {
        "CUP": 3,
        pot.sku: 1,
    }


def test_an_order_that_only_waits_offers_no_shipment(staff: Client, cup: Product) -> None:
    paid_order((cup, 3))
    order = paid_order((cup, 2))

    html = staff.get(page_of(order, "change")).content.decode()

    assert page_of(order, "ship") not in html
    assert page_of(order, "ship_part") not in html
    assert page_of(order, "cancel_items") in html
    cancelling = staff.get(page_of(order, "cancel")).content.decode()
    assert "2 × Cup (CUP)" in cancelling


def card_of(page: Any) -> str:
    html: str = page.content.decode()
    return html.partition('aria-labelledby="availability"')[2].partition("</section>")[0]


def test_the_page_of_a_product_shows_who_has_it_and_who_waits_in_which_order(
    staff: Client, cup: Product
) -> None:
    orders = [paid_order((cup, quantity)) for quantity in (2, 3, 4)]

    page = staff.get(f"/admin/inventory/product/{cup.pk}/change/")

    card = card_of(page)
    assert "6 units wait for stock." in card
    reserved, waiting = page.context["reserved_by"], page.context["queue"]
    assert [(row.order_id, row.quantity) for _, row in reserved] == [
        (orders[0].id, 2),
        (orders[1].id, 1),
    ]
    assert [(row.order_id, row.quantity) for _, row in waiting] == [
        (orders[1].id, 2),
        (orders[2].id, 4),
    ]
    for order in orders:
        assert page_of(order, "change") in card
        assert order.number in card


def test_staff_who_may_not_see_orders_see_how_much_waits_and_for_whom_not(cup: Product) -> None:
    order = paid_order((cup, 5))
    client = Client()
    client.force_login(make_staff(permissions=["stock.view"]))

    page = client.get(f"/admin/inventory/product/{cup.pk}/change/")

    card = card_of(page)
    assert "2 units wait for stock." in card
    assert order.number not in card


def test_stock_alerts_are_listed_and_found_and_cannot_be_changed(staff: Client) -> None:
    product, other = make_product(stock=0, sku="GONE"), make_product(stock=0, sku="AWAY")
    for customer, wanted in (("ada", product), ("bob", other)):
        user = make_customer(email=f"{customer}@example.com")
        add_stock_alert(actor=actor_for(user), product_id=wanted.id)
    path = "/admin/inventory/stockalert/"

    def listed(**query: str) -> set[str]:
        html = staff.get(path, query).content.decode()
        return {name for name in ("ada@example.com", "bob@example.com") if name in html}

    assert listed() == {"ada@example.com", "bob@example.com"}
    assert listed(q="gone") == {"ada@example.com"}
    assert listed(q="Bob@example.com") == {"bob@example.com"}
    assert staff.get(f"{path}add/").status_code == 403
    alert = StockAlert.objects.first()
    assert alert is not None
    assert staff.post(f"{path}{alert.pk}/change/", {"_save": "1"}).status_code == 403
    assert path in staff.get("/admin/").content.decode()
