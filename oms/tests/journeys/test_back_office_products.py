"""Products, stock and locations in the back office."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from inventory.errors import OutOfStock
from inventory.models import Location, Product, StockMovement
from inventory.operations.products import change_product, default_location
from oms.core.actor import system
from oms.events.models import Event
from oms.testing.factories import make_location, make_product
from oms.testing.ordering import place, stock_of

pytestmark = pytest.mark.django_db

LIST = "/admin/inventory/product/"
LOCATIONS = "/admin/inventory/location/"
FORM = {
    "sku": "CUP-1",
    "name": "Cup",
    "description": "",
    "category": "kitchen",
    "price": "12.50",
    "currency": "EUR",
    "low_stock_threshold": "5",
    "is_active": "on",
}


def page_of(product: Product, action: str = "change") -> str:
    return f"{LIST}{product.pk}/{action}/"


def form_of(product: Product, **changes: str) -> dict[str, str]:
    """What the browser sends for the product's page, with `changes` made in it."""
    kept = {name: getattr(product, name) for name in FORM if name != "is_active"}
    return {**kept, "is_active": "on", "expected_version": str(product.version), **changes}


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_product_is_added_with_stock_and_events(staff: Client) -> None:
    response = staff.post(f"{LIST}add/", {**FORM, "initial_stock": "20"}, follow=True)

    product = Product.objects.get()
    assert "was added successfully" in text(response)
    assert (product.sku, product.price, product.category) == ("CUP-1", Decimal("12.50"), "kitchen")
    assert stock_of(product) == (20, 0)
    event = Event.objects.get(type="product.created")
    assert (event.object_id, event.actor_label) == (product.id, "admin@example.com")
    assert StockMovement.objects.get().actor_label == "admin@example.com"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sku", "cup-0", "A product with this SKU already exists"),
        ("sku", "no spaces", "Enter a valid value"),
        ("price", "-1", "greater than or equal to 0"),
        ("price", "1.999", "An amount in EUR has at most 2 decimals."),
        ("price", "99999999", "less than or equal to 9999999.999"),
        ("initial_stock", "-1", "greater than or equal to 0"),
        ("low_stock_threshold", "2000000001", "less than or equal to"),
    ],
)
def test_a_bad_product_is_refused_at_its_field(
    staff: Client, field: str, value: str, message: str
) -> None:
    make_product(sku="CUP-0")

    response = staff.post(f"{LIST}add/", {**FORM, "initial_stock": "20", field: value})

    assert response.status_code == 200
    assert message in text(response)
    assert Product.objects.count() == 1


def test_changing_a_product_writes_only_what_changed(staff: Client) -> None:
    product = make_product(price=Decimal("10.00"))

    staff.post(page_of(product), form_of(product, price="11.00"))

    changed = Product.objects.get()
    assert (changed.price, changed.version) == (Decimal("11.00"), 2)
    event = Event.objects.get(type="product.changed")
    assert event.data["changes"] == {"price": ["10.00", "11.00"]}
    assert stock_of(product) == (10, 0)


def test_a_change_made_on_a_stale_page_is_refused(staff: Client) -> None:
    product = make_product(name="Cup")
    change_product(actor=system("other"), product_id=product.id, values={"name": "Mug"})

    response = staff.post(page_of(product), form_of(product, price="1.00"))

    assert "This was changed after you opened the page" in text(response)
    kept = Product.objects.get()
    assert (kept.name, kept.price, kept.version) == ("Mug", product.price, 2)


def test_backorders_end_for_newcomers_while_those_before_wait(staff: Client) -> None:
    product = make_product(stock=1, backorderable=True)
    order = place((product, 3))

    staff.post(page_of(product), form_of(product))

    assert not Product.objects.get().backorderable
    assert order.items.get().quantity_waiting == 2
    with pytest.raises(OutOfStock):
        place((product, 1))


def test_stock_is_adjusted_by_a_change_or_a_count_at_a_location(staff: Client) -> None:
    product, store = make_product(stock=10), make_location(code="store", name="Store")
    main = default_location().code
    adjust = page_of(product, "adjust")

    staff.post(adjust, {"reason": "damaged", "location": main, "delta": "-3", "note": "dropped"})
    staff.post(
        adjust, {"reason": "correction", "location": "store", "counted": "5", "seen": "store=0,"}
    )

    assert stock_of(product) == (12, 0)
    written_off = StockMovement.objects.get(reason="damaged")
    assert (written_off.on_hand_delta, written_off.note) == (-3, "dropped")
    assert StockMovement.objects.get(location=store).on_hand_after == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delta": "-11"}, "Only 10 are on hand. You tried to remove 11."),
        ({"counted": "5", "seen": "main=9,"}, "10 are on hand, not 9."),
        ({"counted": "10", "seen": "main=10,"}, "The quantity wouldn&#x27;t change."),
        ({"delta": "1", "counted": "1"}, "Enter either a quantity change or a counted quantity."),
        ({}, "Enter either a quantity change or a counted quantity."),
        ({"delta": "1", "location": "moon"}, "Select a valid choice"),
        ({"delta": "1", "reason": "theft"}, "Select a valid choice"),
        ({"delta": "9" * 30}, "less than or equal to"),
    ],
)
def test_a_rejected_adjustment_shows_why_and_changes_nothing(
    staff: Client, values: dict[str, str], message: str
) -> None:
    product = make_product(stock=10)
    place((product, 4))

    response = staff.post(
        page_of(product, "adjust"), {"reason": "correction", "location": "main", **values}
    )

    assert response.status_code == 200
    assert message in text(response)
    assert stock_of(product) == (10, 4)


def test_the_list_shows_and_filters_by_availability(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_product(sku="FULL", stock=50)
    low = make_product(sku="LOW", stock=7)
    make_product(sku="NONE", stock=0)
    place((low, 3))

    def shown(**query: str) -> set[str]:
        html = text(staff.get(LIST, query))
        return {sku for sku in ("FULL", "LOW", "NONE") if f">{sku}<" in html}

    assert shown() == {"FULL", "LOW", "NONE"}
    assert shown(stock="low") == {"LOW", "NONE"}
    assert shown(stock="out") == {"NONE"}
    assert shown(stock="in") == {"FULL", "LOW"}
    assert shown(q="full") == {"FULL"}
    with django_assert_max_num_queries(8) as few:
        staff.get(LIST)
    for _ in range(20):
        make_product()
    with django_assert_max_num_queries(len(few)):
        staff.get(LIST)


def test_another_location_can_become_the_default_and_none_cannot(staff: Client) -> None:
    main = default_location()
    store = {"name": "Store", "code": "store", "priority": "5"}

    staff.post(f"{LOCATIONS}add/", {**store, "is_default": "on"})
    assert Location.objects.get(is_default=True).code == "store"
    again = staff.post(f"{LOCATIONS}add/", store)
    assert "A location with this code already exists" in text(again)
    page = f"{LOCATIONS}{Location.objects.get(code='store').pk}/change/"
    assert "Make another location the default instead" in text(staff.post(page, store))
    staff.post(
        f"{LOCATIONS}{main.pk}/change/",
        {"name": "Main", "code": main.code, "priority": "1", "is_default": "on"},
    )

    assert Location.objects.get(is_default=True) == main
    types = Event.objects.filter(object_type="location").values_list("type", flat=True)
    assert sorted(types) == ["location.changed", "location.created"]
