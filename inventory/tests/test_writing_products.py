"""Creating and changing products as staff."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from inventory.errors import OutOfStock
from inventory.models import Product, StockLevel, StockMovement, WaitingItem
from inventory.tests.stock_documents import violations
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import place

URL = "/api/v1/products"
LAMP = {"sku": "LAMP-1", "name": "Brass lamp", "price": "129.90"}
WHOLE = {
    "sku": "LAMP-1",
    "name": "Brass lamp",
    "price": "129.90",
    "description": "Bright.",
    "category": "Lighting",
    "currency": "USD",
    "is_active": False,
    "low_stock_threshold": 2,
    "backorderable": True,
}
# member, value, code; `…/initial_stock` is tried where it exists.
BAD = [
    ("sku", "", "blank"),
    ("sku", "-LAMP", "invalid"),
    ("sku", "LAMP 1", "invalid"),
    ("sku", "LAMP\n", "forbidden_character"),
    ("sku", "A" * 65, "max_length"),
    ("sku", 5, "invalid"),
    ("name", " ", "blank"),
    ("name", "x" * 201, "max_length"),
    ("name", None, "null"),
    ("name", "a\ud7ff\u0000b", "forbidden_character"),
    ("description", "x" * 10_001, "max_length"),
    ("category", "x" * 65, "max_length"),
    ("price", "-0.01", "min_value"),
    ("price", "-0.00", "invalid"),
    ("price", "10000000.00", "max_value"),
    ("price", "1.999", "invalid"),
    ("price", 12.5, "invalid"),
    ("price", "NaN", "invalid"),
    ("price", "1e3", "invalid"),
    ("price", "٣", "invalid"),
    ("price", None, "null"),
    ("currency", "eur", "invalid_choice"),
    ("currency", "XAU", "invalid_choice"),
    ("currency", "EURO", "invalid_choice"),
    ("is_active", "yes", "invalid"),
    ("is_active", 1, "invalid"),
    ("backorderable", None, "null"),
    ("low_stock_threshold", -1, "min_value"),
    ("low_stock_threshold", 2_000_000_001, "max_value"),
    ("low_stock_threshold", 10**30, "max_value"),
    ("low_stock_threshold", "5", "invalid"),
    ("low_stock_threshold", 1.5, "invalid"),
    ("low_stock_threshold", True, "invalid"),
    ("version", 9, "unknown_field"),
    ("available", 9, "unknown_field"),
    ("id", "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27", "unknown_field"),
    ("on_hand", 5, "unknown_field"),
]


@pytest.fixture
def staff(db: None) -> APIClient:
    return api_client(make_staff())


def the_whole_shop() -> list[Any]:
    """All rows that a product request could change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Product, StockLevel, StockMovement)
    ] + [list(Event.objects.exclude(object_type="user").values())]


def test_staff_can_create_a_product_with_initial_stock(staff: APIClient) -> None:
    response = staff.post(URL, {**WHOLE, "initial_stock": 12})

    assert response.status_code == 201
    product = Product.objects.get()
    body = response.json()
    assert WHOLE.items() <= body.items()
    assert (body["id"], body["available"], body["version"]) == (str(product.id), 12, 1)
    assert response["ETag"] == '"v1"'
    assert response["Location"] == f"{URL}/{product.id}"
    movement = StockMovement.objects.get()
    assert (movement.kind, movement.on_hand_delta, movement.on_hand_after) == ("receive", 12, 12)
    events = Event.objects.filter(object_type="product").order_by("position")
    assert [event.type for event in events] == ["product.created", "product.became_available"]


def test_optional_fields_have_defaults(staff: APIClient) -> None:
    body = staff.post(URL, LAMP).json()

    expected = {
        "description": "",
        "category": "",
        "currency": "EUR",
        "is_active": True,
        "available": 0,
        "low_stock_threshold": 5,
        "backorderable": False,
    }
    assert expected.items() <= body.items()
    assert not StockMovement.objects.exists()


@pytest.mark.parametrize("price", ["0", "0.00", "0.5", "9999999.99"])
def test_prices_from_zero_to_the_maximum_are_valid(staff: APIClient, price: str) -> None:
    response = staff.post(URL, {**LAMP, "price": price})

    assert response.status_code == 201
    assert Decimal(response.json()["price"]) == Decimal(price)
    assert len(response.json()["price"].partition(".")[2]) == 2


def test_the_maximum_stock_is_valid(staff: APIClient) -> None:
    response = staff.post(URL, {**LAMP, "initial_stock": 2_000_000_000})

    assert response.json()["available"] == 2_000_000_000


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        *BAD,
        ("initial_stock", -1, "min_value"),
        ("initial_stock", 2_000_000_001, "max_value"),
        ("initial_stock", "1_000", "invalid"),
    ],
)
def test_an_invalid_new_product_is_rejected_by_field(
    staff: APIClient, member: str, value: Any, code: str
) -> None:
    before = the_whole_shop()

    response = staff.post(URL, {**LAMP, member: value})

    assert response.status_code == 400, response.content
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/{member}", code)
    assert the_whole_shop() == before


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(("member", "value", "code"), [*BAD, ("initial_stock", 5, "unknown_field")])
def test_an_invalid_change_is_rejected_by_field(
    staff: APIClient, method: str, member: str, value: Any, code: str
) -> None:
    product = make_product()
    before = the_whole_shop()

    response = getattr(staff, method)(f"{URL}/{product.id}", {**LAMP, member: value})

    assert response.status_code == 400, response.content
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/{member}", code)
    assert the_whole_shop() == before


def test_all_missing_fields_are_reported(staff: APIClient) -> None:
    for response in (staff.post(URL, {}), staff.put(f"{URL}/{make_product().id}", {})):
        assert {e["pointer"]: e["code"] for e in response.json()["errors"]} == {
            "/sku": "required",
            "/name": "required",
            "/price": "required",
        }


@pytest.mark.parametrize("sku", ["LAMP-1", "lamp-1"])
def test_skus_are_unique_ignoring_case(staff: APIClient, sku: str) -> None:
    make_product(sku="LAMP-1")
    mug = make_product(sku="MUG-1")
    before = the_whole_shop()

    for response in (
        staff.post(URL, {**LAMP, "sku": sku}),
        staff.put(f"{URL}/{mug.id}", {**LAMP, "sku": sku}),
        staff.patch(f"{URL}/{mug.id}", {"sku": sku}),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "sku_taken")
    assert the_whole_shop() == before


def test_patch_changes_only_the_given_fields(staff: APIClient) -> None:
    product = make_product(price=Decimal("129.90"), description="Bright.", stock=4)

    response = staff.patch(f"{URL}/{product.id}", {"price": "119.90"})

    assert response.status_code == 200
    assert response["ETag"] == '"v2"'
    body = response.json()
    assert (body["price"], body["description"], body["version"]) == ("119.90", "Bright.", 2)
    assert body["available"] == 4
    event = Event.objects.get(type="product.changed")
    assert event.data["changes"] == {"price": ["129.90", "119.90"]}
    product.refresh_from_db()
    assert product.updated_at > product.created_at


@pytest.mark.parametrize("change", [{}, {"price": "129.9"}])
def test_an_empty_change_keeps_the_version(staff: APIClient, change: dict[str, str]) -> None:
    product = make_product(price=Decimal("129.90"))
    before = the_whole_shop()

    response = staff.patch(f"{URL}/{product.id}", change)

    assert (response.status_code, response["ETag"]) == (200, '"v1"')
    assert the_whole_shop() == before


def test_put_replaces_the_whole_product(staff: APIClient) -> None:
    product = make_product(description="Old.", category="Old", low_stock_threshold=9)

    whole = staff.put(f"{URL}/{product.id}", WHOLE)
    assert WHOLE.items() <= whole.json().items()

    least = staff.put(f"{URL}/{product.id}", LAMP).json()
    defaults = {"description": "", "category": "", "currency": "EUR", "is_active": True}
    assert {**LAMP, **defaults, "low_stock_threshold": 5, "version": 3}.items() <= least.items()


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody", "customer"])
def test_only_staff_can_write_products(who: str) -> None:
    client = api_client(make_customer() if who == "customer" else None)
    product = make_product()
    before = the_whole_shop()

    for response in (
        client.post(URL, LAMP),
        client.put(f"{URL}/{product.id}", LAMP),
        client.patch(f"{URL}/{product.id}", {"price": "0.01"}),
    ):
        assert response.status_code == (401 if who == "nobody" else 403)
    assert client.delete(f"{URL}/{product.id}").status_code == 405
    assert the_whole_shop() == before


def test_an_unknown_product_cannot_be_changed(staff: APIClient) -> None:
    assert staff.patch(f"{URL}/{new_id()}", {"name": "X"}).status_code == 404


def test_what_waits_goes_on_waiting_when_backorders_are_turned_off(staff: APIClient) -> None:
    product = make_product(stock=1, backorderable=True)
    order = place((product, 3))

    response = staff.patch(f"{URL}/{product.id}", {"backorderable": False})

    assert response.status_code == 200
    assert WaitingItem.objects.get().order_id == order.id
    with pytest.raises(OutOfStock):
        place((product, 1))
    assert violations() == []
