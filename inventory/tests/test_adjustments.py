"""Stock adjustments."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from rest_framework.test import APIClient

from inventory import locks
from inventory.holdings import holdings_of
from inventory.models import Product, StockLevel, StockMovement
from inventory.operations import documents, stock
from inventory.tests.stock_documents import violations
from inventory.tests.test_writing_products import the_whole_shop
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import (
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import place, stock_of
from oms.testing.threads import at_once

URL = "/api/v1/admin/inventory/adjustments"


@pytest.fixture
def staff(db: None) -> APIClient:
    return api_client(make_staff(email="sam@example.com"))


def adjust(client: APIClient, product: Product, **values: Any) -> Any:
    body = {"product_id": str(product.id), "reason": "correction", **values}
    return client.post(URL, {name: value for name, value in body.items() if value is not None})


def on_hand(product: Product) -> int:
    return sum(StockLevel.objects.filter(product=product).values_list("on_hand", flat=True))


def test_an_adjustment_returns_its_movement(staff: APIClient) -> None:
    product = make_product(stock=10, sku="LAMP")

    response = adjust(staff, product, delta=-3, reason="damaged", note="Fell off the shelf.")

    assert response.status_code == 201
    assert {
        "product_id": str(product.id),
        "sku": "LAMP",
        "location": "main",
        "kind": "adjust",
        "on_hand_delta": -3,
        "reserved_delta": 0,
        "on_hand_after": 7,
        "reserved_after": 0,
        "reason": "damaged",
        "note": "Fell off the shelf.",
        "actor": "sam@example.com",
    }.items() <= response.json().items()
    assert on_hand(product) == 7
    event = Event.objects.get(type="product.stock_adjusted")
    assert event.data["movement_id"] == response.json()["id"]
    assert (event.data["on_hand_delta"], event.data["on_hand_after"]) == (-3, 7)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("received", "receive"),
        ("returned", "return"),
        ("correction", "adjust"),
    ],
)
def test_each_reason_has_its_movement_kind(staff: APIClient, reason: str, kind: str) -> None:
    response = adjust(staff, make_product(), delta=1, reason=reason)

    assert (response.json()["kind"], response.json()["reason"]) == (kind, reason)


def test_a_count_sets_the_quantity_on_hand(staff: APIClient) -> None:
    product = make_product(stock=10)

    response = adjust(staff, product, set_to=4, expected_on_hand=10)

    assert (response.status_code, response.json()["on_hand_delta"]) == (201, -6)
    assert on_hand(product) == 4


def test_another_location_gets_its_own_stock_level(staff: APIClient) -> None:
    product = make_product(stock=10)
    make_location(code="store")

    adjust(staff, product, delta=5, location="store")

    level = StockLevel.objects.get(product=product, location__code="store")
    assert level.on_hand == 5
    assert StockLevel.objects.get(product=product, location__code="main").on_hand == 10


@pytest.mark.parametrize(
    "amount",
    [
        {"delta": -11},
        {"delta": 2_000_000_000},
        {"set_to": 12, "expected_on_hand": 9},
        {"delta": -1, "location": "store"},
    ],
)
def test_an_impossible_adjustment_is_a_conflict(staff: APIClient, amount: dict[str, Any]) -> None:
    product = make_product(stock=10)
    make_location(code="store")
    StockLevel.objects.update(reserved=4)
    before = the_whole_shop()

    response = adjust(staff, product, **amount)

    assert (response.status_code, response.json()["code"]) == (409, "stock_conflict")
    if "location" not in amount:
        assert (response.json()["on_hand"], response.json()["reserved"]) == (10, 4)
    assert the_whole_shop() == before


@pytest.mark.parametrize(
    ("reason", "amount"),
    [
        ("damaged", {"delta": -7}),
        ("lost", {"delta": -7}),
        ("correction", {"delta": -7}),
        ("correction", {"set_to": 3, "expected_on_hand": 10}),
    ],
)
def test_stock_can_fall_below_the_reserved_quantity(
    staff: APIClient, reason: str, amount: dict[str, Any]
) -> None:
    product = make_product(stock=10)
    order = place((product, 4))

    response = adjust(staff, product, reason=reason, **amount)

    assert (response.status_code, response.json()["on_hand_after"]) == (201, 3)
    assert stock_of(product) == (3, 3)
    holdings = holdings_of([order.id])[order.id]
    assert (holdings.reserved_of(product.id), holdings.waiting_of(product.id)) == (3, 1)
    assert violations() == []


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({}, "/delta", "required"),
        ({"set_to": 5}, "/expected_on_hand", "required"),
        ({"expected_on_hand": 5}, "/set_to", "required"),
        ({"delta": 1, "set_to": 5, "expected_on_hand": 10}, "/delta", "exclusive"),
        ({"delta": 1, "expected_on_hand": 10}, "/delta", "exclusive"),
        ({"delta": 0}, "/delta", "no_change"),
        ({"delta": -1, "reason": "received"}, "/delta", "wrong_sign"),
        ({"delta": 1, "reason": "damaged"}, "/delta", "wrong_sign"),
        ({"delta": 1, "reason": "lost"}, "/delta", "wrong_sign"),
        ({"set_to": 11, "expected_on_hand": 10, "reason": "lost"}, "/set_to", "wrong_sign"),
        ({"set_to": 10, "expected_on_hand": 10}, "/set_to", "no_change"),
        ({"delta": 2_000_000_001}, "/delta", "max_value"),
        ({"delta": -2_000_000_001}, "/delta", "min_value"),
        ({"delta": "5"}, "/delta", "invalid"),
        ({"delta": 1.5}, "/delta", "invalid"),
        ({"set_to": -1, "expected_on_hand": 10}, "/set_to", "min_value"),
        ({"delta": 1, "reason": "stolen"}, "/reason", "invalid_choice"),
        ({"delta": 1, "reason": None}, "/reason", "required"),
        ({"delta": 1, "product_id": "5"}, "/product_id", "invalid"),
        ({"delta": 1, "location": "nowhere"}, "/location", "not_found"),
        ({"delta": 1, "location": ""}, "/location", "blank"),
        ({"delta": 1, "note": "x" * 501}, "/note", "max_length"),
        ({"delta": 1, "actor": "me"}, "/actor", "unknown_field"),
    ],
)
def test_invalid_input_is_rejected_by_field(
    staff: APIClient, values: dict[str, Any], pointer: str, code: str
) -> None:
    product = make_product(stock=10)
    before = the_whole_shop()

    response = adjust(staff, product, **values)

    assert response.status_code == 400, response.content
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert the_whole_shop() == before


def test_an_unknown_product_is_invalid_input(staff: APIClient) -> None:
    body = {"product_id": str(new_id()), "reason": "lost", "delta": 1}

    response = staff.post(URL, body)

    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/product_id", "not_found")


def test_removed_units_are_no_return(staff: APIClient) -> None:
    movement = adjust(staff, make_product(stock=10), delta=-3, reason="returned").json()

    assert (movement["kind"], movement["reason"]) == ("adjust", "returned")


@pytest.mark.django_db
def test_only_staff_can_adjust_stock() -> None:
    product = make_product(stock=10)
    before = the_whole_shop()

    assert adjust(api_client(), product, delta=1).status_code == 401
    assert adjust(api_client(make_customer()), product, delta=1).status_code == 403
    assert the_whole_shop() == before


def test_low_stock_is_published_once(staff: APIClient) -> None:
    product = make_product(stock=10, low_stock_threshold=5)

    for delta in (-4, -1, -1, 4, -4):  # to 6, 5, 4, 8, 4
        adjust(staff, product, delta=delta)

    low_stock = Event.objects.filter(type="product.stock_ran_low").order_by("position")
    assert [event.data["available"] for event in low_stock] == [5, 4]


def _count_twice_at_once(product: Product) -> list[int]:
    clients = [api_client(make_staff()), api_client(make_staff())]
    return sorted(
        at_once(
            lambda: adjust(clients[0], product, set_to=7, expected_on_hand=10).status_code,
            lambda: adjust(clients[1], product, set_to=8, expected_on_hand=10).status_code,
        )
    )


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_counts_is_applied() -> None:
    for _ in range(5):
        product = make_product(stock=10)

        assert _count_twice_at_once(product) == [201, 409]
        assert on_hand(product) in (7, 8)
        assert StockMovement.objects.filter(product=product, kind="adjust").count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_locks_both_counts_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    both_read = threading.Barrier(2)
    unlocked = locks._LOCK_LEVELS.replace("FOR NO KEY UPDATE OF level", "")
    opened = stock.open_stock_allocator
    product = make_product(stock=10)

    def when_both_have_read(product_ids: Any) -> Any:
        allocator = opened(product_ids)
        both_read.wait(timeout=10)
        return allocator

    monkeypatch.setattr(locks, "_LOCK_LEVELS", unlocked)
    monkeypatch.setattr(documents, "open_stock_allocator", when_both_have_read)

    assert _count_twice_at_once(product) == [201, 201]
