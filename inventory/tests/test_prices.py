"""Prices in currencies with no, two and three decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from inventory.models import Product
from oms.events.models import Event
from oms.testing.factories import api_client, make_product, make_staff

pytestmark = pytest.mark.django_db

URL = "/api/v1/products"


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def faults(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("currency", "sent", "shown"),
    [
        ("EUR", "12", "12.00"),
        ("EUR", "12.500", "12.50"),
        ("HUF", "1999.9", "1999.90"),
        ("JPY", "1200", "1200"),
        ("JPY", "1200.00", "1200"),
        ("JPY", "9999999", "9999999"),
        ("KWD", "1", "1.000"),
        ("KWD", "9999999.999", "9999999.999"),
    ],
)
def test_a_price_is_shown_with_exactly_the_decimals_of_its_currency(
    staff: APIClient, currency: str, sent: str, shown: str
) -> None:
    made = staff.post(URL, {"sku": "A", "name": "A", "price": sent, "currency": currency}).json()

    assert (made["price"], made["currency"]) == (shown, currency)
    assert staff.get(f"{URL}/{made['id']}").json()["price"] == shown
    assert [product["price"] for product in staff.get(URL).json()["results"]] == [shown]
    assert str(Product.objects.get().price) == shown


@pytest.mark.parametrize(
    ("currency", "price"), [("JPY", "0.5"), ("EUR", "12.345"), ("HUF", "1.999"), ("UGX", "1.01")]
)
def test_a_price_with_more_decimals_than_its_currency_is_refused(
    staff: APIClient, currency: str, price: str
) -> None:
    body = {"sku": "A", "name": "A", "price": price, "currency": currency}

    assert faults(staff.post(URL, body)) == [("/price", "invalid")]
    assert not Product.objects.exists()
    assert not Event.objects.filter(object_type="product").exists()


def test_a_changed_price_and_a_changed_currency_are_checked_against_each_other(
    staff: APIClient,
) -> None:
    product = make_product(price=Decimal("19.90"))
    path = f"{URL}/{product.id}"

    assert faults(staff.patch(path, {"currency": "JPY"})) == [("/currency", "invalid")]
    assert faults(staff.patch(path, {"price": "19.905"})) == [("/price", "invalid")]
    refused = {"price": "19.9", "currency": "JPY"}
    assert faults(staff.patch(path, refused)) == [("/price", "invalid")]
    assert staff.get(path).json()["version"] == 1

    assert staff.patch(path, {"currency": "KWD"}).json()["price"] == "19.900"
    changed = staff.patch(path, {"price": "20", "currency": "JPY"}).json()
    assert (changed["price"], changed["currency"]) == ("20", "JPY")
    assert faults(staff.patch(path, {"price": "20.5"})) == [("/price", "invalid")]
    [*_, last] = Event.objects.filter(object_id=product.id).order_by("position")
    assert last.data["changes"]["price"] == ["19.90", "20"]


def test_prices_are_filtered_by_amounts_of_any_currency(staff: APIClient) -> None:
    dinar = make_product(price=Decimal("1.255"), currency="KWD")
    make_product(price=Decimal("1.25"))

    found = staff.get(URL, {"price__gte": "1.251", "price__lte": "1.255"}).json()["results"]

    assert [product["id"] for product in found] == [str(dinar.id)]
    assert staff.get(URL, {"price__gte": "1.2555"}).status_code == 400
