"""Products as anyone reads them: one, lists, filters, pages, conditional requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from inventory.api.filters import ProductFilters
from inventory.api.serializers import ProductOutput, StaffProductOutput
from inventory.models import Product, StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.queries import products_visible_to
from oms.core.actor import system
from oms.testing.factories import (
    ANONYMOUS,
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/products"


def skus(client: APIClient, **query: Any) -> list[str]:
    response = client.get(URL, query)
    assert response.status_code == 200, response.content
    return [product["sku"] for product in response.json()["results"]]


def iso_format(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_anyone_sees_a_product_with_its_availability() -> None:
    product = make_product(
        stock=7, sku="LAMP", name="Lamp", description="Bright.\nBrass.", category="Lighting"
    )
    adjust_stock(
        actor=system("tests"),
        product_id=product.id,
        amount=Change(delta=5),
        reason=AdjustmentReason.RECEIVED,
        location=make_location().code,
    )
    StockLevel.objects.filter(product=product, on_hand=7).update(reserved=3)

    response = api_client().get(f"{URL}/{product.id}")

    assert response.status_code == 200
    assert response.json() == {
        "id": str(product.id),
        "sku": "LAMP",
        "name": "Lamp",
        "description": "Bright.\nBrass.",
        "category": "Lighting",
        "price": "19.90",
        "currency": "EUR",
        "is_active": True,
        "available": 9,
        "version": 1,
        "created_at": iso_format(product.created_at),
        "updated_at": iso_format(product.updated_at),
    }


def test_staff_see_more_of_a_product() -> None:
    product = make_product(low_stock_threshold=3, backorderable=True)
    anyone = api_client(make_customer()).get(f"{URL}/{product.id}").json()

    staff = api_client(make_staff()).get(f"{URL}/{product.id}").json()

    assert staff == {**anyone, "low_stock_threshold": 3, "backorderable": True}


def test_the_response_matches_the_serializer() -> None:
    product = make_product()

    shown = api_client().get(f"{URL}/{product.id}").json()
    staff = api_client(make_staff()).get(f"{URL}/{product.id}").json()

    assert list(shown) == list(ProductOutput().fields)
    assert list(staff) == list(StaffProductOutput().fields)


def test_an_inactive_product_is_there_for_staff_alone() -> None:
    product = make_product(is_active=False, sku="OLD")

    for client in (api_client(), api_client(make_customer())):
        assert client.get(f"{URL}/{product.id}").status_code == 404
        assert client.get(f"{URL}/{product.id}/inventory").status_code == 404
        assert skus(client) == []
        assert skus(client, is_active="false") == []
    staff = api_client(make_staff())
    assert staff.get(f"{URL}/{product.id}").status_code == 200
    assert staff.get(f"{URL}/{product.id}/inventory").status_code == 200
    assert skus(staff) == ["OLD"]


@pytest.mark.parametrize(
    "product_id", ["019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27", "5", "x", "%00", "1e3", "ä"]
)
def test_an_unknown_product_is_a_404_problem(product_id: str) -> None:
    response = api_client().get(f"{URL}/{product_id}")

    assert response.status_code in ((400,) if product_id == "%00" else (404,))
    assert response["Content-Type"] == "application/problem+json"


def test_one_product_takes_two_statements(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    product = make_product()

    with django_assert_num_queries(2):  # the product, and what is available of it
        api_client().get(f"{URL}/{product.id}")


@pytest.mark.parametrize("number", [1, 12])
def test_a_page_takes_two_statements_however_long_it_is(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(number):
        make_product()

    with django_assert_num_queries(2):  # the products, and what is available of them
        assert len(skus(api_client())) == number


def test_an_unchanged_product_is_not_sent_again() -> None:
    product = make_product(stock=7)
    client = api_client()
    first = client.get(f"{URL}/{product.id}")

    again = client.get(f"{URL}/{product.id}", headers={"If-None-Match": first["ETag"]})

    assert first["ETag"] == '"v1-7"'
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]


def test_a_product_is_sent_again_once_its_stock_has_moved_or_staff_ask() -> None:
    product = make_product(stock=7)
    etag = api_client().get(f"{URL}/{product.id}")["ETag"]
    asked = {"If-None-Match": etag}

    assert api_client(make_staff()).get(f"{URL}/{product.id}", headers=asked).status_code == 200
    StockLevel.objects.update(reserved=1)
    response = api_client().get(f"{URL}/{product.id}", headers=asked)
    assert (response.status_code, response.json()["available"]) == (200, 6)


@pytest.fixture
def shop() -> dict[str, Product]:
    """Three products of different prices, ages, categories and stock."""
    products = {
        "LAMP-1": make_product(
            sku="LAMP-1", name="Brass lamp", price=Decimal("129.90"), category="Lighting", stock=2
        ),
        "MUG-1": make_product(
            sku="MUG-1", name="Blue mug", price=Decimal("9.50"), category="Kitchen", stock=0
        ),
        "MUG-2": make_product(
            sku="MUG-2", name="50% larger mug_", price=Decimal("12.00"), category="Kitchen", stock=9
        ),
    }
    for day, product in enumerate(products.values(), start=1):
        moment = datetime(2026, 11, day, tzinfo=UTC)
        Product.objects.filter(pk=product.pk).update(
            created_at=moment, updated_at=moment + timedelta(days=10)
        )
    return products


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["MUG-2", "MUG-1", "LAMP-1"]),
        ({"search": "mug"}, ["MUG-2", "MUG-1"]),
        ({"search": "BLUE mUg-"}, ["MUG-1"]),
        ({"search": "lamp-1"}, ["LAMP-1"]),
        ({"search": "50%"}, ["MUG-2"]),
        ({"search": "5%l"}, []),
        ({"search": "g_"}, ["MUG-2"]),
        ({"search": "\\"}, []),
        ({"category": "Kitchen"}, ["MUG-2", "MUG-1"]),
        ({"category": "kitchen"}, []),
        ({"in_stock": "true"}, ["MUG-2", "LAMP-1"]),
        ({"in_stock": "false"}, ["MUG-1"]),
        ({"price__gte": "12"}, ["MUG-2", "LAMP-1"]),
        ({"price__lte": "12.00"}, ["MUG-2", "MUG-1"]),
        ({"price__gte": "10", "price__lte": "100"}, ["MUG-2"]),
        ({"created_at__gte": "2026-11-02T00:00:00Z"}, ["MUG-2", "MUG-1"]),
        ({"created_at__lt": "2026-11-02T00:00:00Z"}, ["LAMP-1"]),
        ({"updated_since": "2026-11-13T01:00:00%2B01:00"}, ["MUG-2"]),
        ({"ordering": "name"}, ["MUG-2", "MUG-1", "LAMP-1"]),
        ({"ordering": "-name"}, ["LAMP-1", "MUG-1", "MUG-2"]),
        ({"ordering": "price"}, ["MUG-1", "MUG-2", "LAMP-1"]),
        ({"ordering": "-price"}, ["LAMP-1", "MUG-2", "MUG-1"]),
        ({"ordering": "created_at"}, ["LAMP-1", "MUG-1", "MUG-2"]),
        ({"ordering": "-updated_at"}, ["MUG-2", "MUG-1", "LAMP-1"]),
        ({"ordering": "price", "category": "Kitchen", "in_stock": "true"}, ["MUG-2"]),
    ],
)
def test_filters_and_orderings_return_the_matching_products(
    shop: dict[str, Product], query: dict[str, str], expected: list[str]
) -> None:
    query = {name: value.replace("%2B", "+") for name, value in query.items()}

    assert skus(api_client(), **query) == expected


def test_staff_filter_by_activity(shop: dict[str, Product]) -> None:
    Product.objects.filter(sku="MUG-1").update(is_active=False)
    staff = api_client(make_staff())

    assert skus(staff, is_active="false") == ["MUG-1"]
    assert skus(staff, is_active="true") == ["MUG-2", "LAMP-1"]


@pytest.mark.parametrize("ordering", ["name", "-price", "created_at", "-updated_at"])
def test_pages_show_every_product_once_though_many_are_equal(ordering: str) -> None:
    made = [make_product(name="Same", price=Decimal("5.00")).sku for _ in range(7)]
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    Product.objects.update(created_at=moment, updated_at=moment)
    client = api_client()

    page = client.get(URL, {"ordering": ordering, "page_size": "3"}).json()
    seen = [product["sku"] for product in page["results"]]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [product["sku"] for product in page["results"]]

    assert seen == (sorted(made, reverse=True) if ordering.startswith("-") else sorted(made))
    assert client.get(page["previous"]).json()["next"] is not None


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("statsu=1", "statsu", "unknown_parameter"),
        ("price__gte=1e3", "price__gte", "no_amount"),
        ("price__gte=NaN", "price__gte", "no_amount"),
        ("price__lte=-1", "price__lte", "no_amount"),
        ("price__lte=99999999999999999999", "price__lte", "no_amount"),
        ("in_stock=yes", "in_stock", "no_boolean"),
        ("is_active=", "is_active", "blank"),
        ("search=" + "a" * 101, "search", "too_long"),
        ("updated_since=2026-11-01", "updated_since", "no_instant"),
        ("ordering=sku", "ordering", "invalid_choice"),
        ("ordering=name&ordering=price", "ordering", "repeated_parameter"),
        ("page_size=0", "page_size", "out_of_range"),
        ("cursor=abc", "cursor", "invalid_cursor"),
    ],
)
def test_a_bad_query_is_refused_by_name(query: str, parameter: str, code: str) -> None:
    response = api_client().get(f"{URL}?{query}")

    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["parameter"], error["code"]) == (parameter, code)


def test_a_detail_takes_no_parameters() -> None:
    response = api_client().get(f"{URL}/{make_product().id}?search=x")

    assert response.status_code == 400


def test_a_search_uses_the_trigram_indexes() -> None:
    found = ProductFilters({"search": "lamp"}, products_visible_to(actor=ANONYMOUS)).qs
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    plan = found.order_by().explain()

    assert "product_name_search" in plan
    assert "product_sku_search" in plan


@pytest.mark.parametrize(
    ("field", "index"), [("name", "product_by_name"), ("price", "product_by_price")]
)
def test_an_ordered_page_uses_its_index(field: str, index: str) -> None:
    page = products_visible_to(actor=ANONYMOUS).order_by(field, "id")[:51]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")

    assert index in page.explain()
