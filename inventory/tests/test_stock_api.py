"""Stock as anyone and as staff read it: one product, the ledger, what runs out."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from inventory.models import Product, StockLevel, StockMovement
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.stock import Cause, open_stock_allocator
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.testing.factories import (
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)

pytestmark = pytest.mark.django_db

MOVEMENTS = "/api/v1/admin/inventory/movements"
LOW_STOCK = "/api/v1/admin/inventory/low-stock"


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def url(product: Product) -> str:
    return f"/api/v1/products/{product.id}/inventory"


def receive(product: Product, quantity: int, *, location: str | None = None) -> StockMovement:
    return adjust_stock(
        actor=system("tests"),
        product_id=product.id,
        amount=Change(delta=quantity),
        reason=AdjustmentReason.RECEIVED,
        location=location,
    )


@transaction
def reserve(product: Product, quantity: int, *, order_id: Any = None) -> None:
    allocator = open_stock_allocator([product.id])
    cause = Cause(actor=system("tests"), reference=f"order:{new_id()}", order_id=order_id)
    allocator.reserve(product.id, quantity, cause=cause)
    allocator.save(at=clock.now())


@pytest.fixture
def product() -> Product:
    """5 units at the default location and 3 at "store", 6 of them reserved."""
    product = make_product(stock=5, sku="LAMP", low_stock_threshold=2)
    receive(product, 3, location=make_location(code="store").code)
    reserve(product, 6)
    return product


def test_anyone_sees_the_availability(product: Product) -> None:
    for client in (api_client(), api_client(make_customer())):
        response = client.get(url(product))

        assert response.status_code == 200
        moved_at = max(StockLevel.objects.values_list("updated_at", flat=True))
        assert response.json() == {
            "product_id": str(product.id),
            "sku": "LAMP",
            "available": 2,
            "in_stock": True,
            "updated_at": moved_at.isoformat().replace("+00:00", "Z"),
        }


def test_staff_see_each_location(product: Product, staff: APIClient) -> None:
    body = staff.get(url(product)).json()

    assert {
        "available": 2,
        "on_hand": 8,
        "reserved": 6,
        "low_stock_threshold": 2,
        "is_low_stock": True,
        "locations": [
            {"code": "main", "on_hand": 5, "reserved": 5, "available": 0},
            {"code": "store", "on_hand": 3, "reserved": 1, "available": 2},
        ],
    }.items() <= body.items()


def test_a_product_is_in_stock_down_to_its_last_unit(staff: APIClient) -> None:
    product = make_product(stock=3, low_stock_threshold=2)
    assert staff.get(url(product)).json()["is_low_stock"] is False

    reserve(product, 3)

    body = staff.get(url(product)).json()
    assert (body["in_stock"], body["is_low_stock"], body["available"]) == (False, True, 0)


@pytest.mark.parametrize("locations", [1, 5])
def test_the_stock_takes_two_statements_however_many_locations(
    locations: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    product = make_product()
    for _ in range(locations):
        receive(product, 1, location=make_location().code)

    with django_assert_num_queries(2):
        api_client().get(url(product))


def test_the_ledger_shows_every_step_newest_first(product: Product, staff: APIClient) -> None:
    results = staff.get(MOVEMENTS).json()["results"]

    newest = StockMovement.objects.order_by("-id")[0]
    assert [(m["kind"], m["location"]) for m in results] == [
        ("reserve", "store"),
        ("reserve", "main"),
        ("receive", "store"),
        ("receive", "main"),
    ]
    assert results[0] == {
        "id": str(newest.id),
        "product_id": str(product.id),
        "sku": "LAMP",
        "location": "store",
        "kind": "reserve",
        "on_hand_delta": 0,
        "reserved_delta": 1,
        "on_hand_after": 3,
        "reserved_after": 1,
        "reference": newest.reference,
        "reason": "",
        "note": "",
        "order_id": None,
        "actor": "tests",
        "actor_id": None,
        "created_at": newest.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_the_ledger_is_filtered(product: Product, staff: APIClient) -> None:
    order_id, other = new_id(), make_product(sku="MUG")
    reserve(other, 1, order_id=order_id)
    before = StockMovement.objects.get(order_id=order_id).created_at.isoformat()

    def found(**query: Any) -> list[tuple[str, str]]:
        results = staff.get(MOVEMENTS, query).json()["results"]
        return [(m["sku"], m["kind"]) for m in results]

    assert found(product_id=other.id) == [("MUG", "reserve"), ("MUG", "receive")]
    assert found(order_id=order_id) == [("MUG", "reserve")]
    assert found(kind="receive") == [("MUG", "receive"), ("LAMP", "receive"), ("LAMP", "receive")]
    assert found(kind="ship") == []
    assert found(created_at__gte=before) == [("MUG", "reserve")]
    assert len(found(created_at__lt=before)) == 5
    assert found(kind="receive", product_id=other.id) == [("MUG", "receive")]


@pytest.mark.parametrize("query", ["kind=sold", "product_id=5", "order_id=x", "sku=LAMP"])
def test_a_bad_query_of_the_ledger_is_refused(staff: APIClient, query: str) -> None:
    response = staff.get(f"{MOVEMENTS}?{query}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == query.partition("=")[0]


def test_pages_of_the_ledger_take_two_statements(
    product: Product, staff: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):  # who asks, the page
        page = staff.get(MOVEMENTS, {"page_size": 3}).json()

    assert len(page["results"]) == 3
    [last] = staff.get(page["next"]).json()["results"]
    assert (last["kind"], last["on_hand_after"]) == ("receive", 5)


@pytest.fixture
def running_out() -> list[str]:
    """The SKUs of what runs out, the scarcest first, among products that do not."""
    make_product(sku="PLENTY", stock=6, low_stock_threshold=5)
    make_product(sku="AT", stock=5, low_stock_threshold=5)
    make_product(sku="NONE", stock=0, low_stock_threshold=0)
    below = make_product(sku="BACKORDER", stock=1, low_stock_threshold=0, backorderable=True)
    reserve(below, 4, order_id=new_id())
    promised = make_product(sku="PROMISED", stock=50, low_stock_threshold=5)
    reserve(promised, 48)
    return ["NONE", "BACKORDER", "PROMISED", "AT"]


def test_low_stock_is_listed_with_the_scarcest_first(
    running_out: list[str], staff: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):  # who asks, the page
        results = staff.get(LOW_STOCK).json()["results"]

    assert [p["sku"] for p in results] == running_out
    assert [p["available"] for p in results] == [0, 0, 2, 5]
    assert results[0]["low_stock_threshold"] == 0


def test_pages_of_low_stock_continue_where_the_last_one_ended(
    running_out: list[str], staff: APIClient
) -> None:
    first = staff.get(LOW_STOCK, {"page_size": 3}).json()
    second = staff.get(first["next"]).json()

    assert [p["sku"] for page in (first, second) for p in page["results"]] == running_out
    assert second["next"] is None
    back = staff.get(second["previous"]).json()
    assert [p["sku"] for p in back["results"]] == running_out[:3]


@pytest.mark.parametrize("path", [MOVEMENTS, LOW_STOCK])
def test_only_staff_read_ledger_and_shortages(path: str) -> None:
    assert api_client().get(path).status_code == 401
    assert api_client(make_customer()).get(path).status_code == 403


def test_a_stock_allocator_needs_a_transaction() -> None:
    product = make_product()

    with pytest.raises(RuntimeError, match="must run inside a transaction"):
        open_stock_allocator([product.id])
