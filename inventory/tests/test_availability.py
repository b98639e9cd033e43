"""Why so much is available, and how the stock was at some time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inventory import availability
from inventory.models import Product, WaitingItem
from inventory.operations import receiving
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.operations.transferring import transfer_stock
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.testing.factories import (
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import place
from orders.operations.cancelling import cancel_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def url(product: Product) -> str:
    return f"/api/v1/admin/inventory/{product.id}/availability"


def stock_url(product: Product) -> str:
    return f"/api/v1/products/{product.id}/inventory"


def receive(product: Product, quantity: int, *, location: str = "main") -> None:
    adjust_stock(
        actor=system("tests"),
        product_id=product.id,
        amount=Change(delta=quantity),
        reason=AdjustmentReason.RECEIVED,
        location=location,
    )


def test_it_names_what_is_reserved_waiting_and_not_booked_yet(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_location(code="store")
    product = make_product(stock=5, sku="LAMP")
    receive(product, 3, location="store")
    first, second, third = (place((product, n)) for n in (4, 3, 1))
    cancel_order(actor=system("tests"), order_id=third.id)
    monkeypatch.setattr(receiving, "CHUNK", 1)
    monkeypatch.setattr(receiving, "in_transaction", lambda: True)
    lines = [
        StockLine(product_id=make_product().id, quantity=1),
        StockLine(product_id=product.id, quantity=24),
    ]
    receipt = receive_stock(actor=system("tests"), reference="DN-1", lines=lines)

    body = staff.get(url(product)).json()

    assert body == {
        "product_id": str(product.id),
        "sku": "LAMP",
        "on_hand": 8,
        "reserved": 7,
        "available": 1,
        "waiting": 0,
        "locations": [
            {"code": "main", "on_hand": 5, "reserved": 5, "available": 0},
            {"code": "store", "on_hand": 3, "reserved": 2, "available": 1},
        ],
        "reserved_by": [
            {"order_id": str(first.id), "location": "main", "quantity": 4},
            {"order_id": str(second.id), "location": "main", "quantity": 1},
            {"order_id": str(second.id), "location": "store", "quantity": 2},
        ],
        "queue": [],
        "under_way": [
            {
                "receipt_id": str(receipt.id),
                "reference": "DN-1",
                "location": "main",
                "quantity": 24,
            }
        ],
        "is_truncated": False,
    }


def test_the_queue_is_in_its_order(staff: APIClient) -> None:
    product = make_product(stock=0)
    places = [new_id() for _ in range(3)]
    now = clock.now()
    for place_, quantity in ((places[2], 1), (places[0], 2), (places[1], 3)):
        WaitingItem.objects.create(
            product=product, order_id=new_id(), place=place_, quantity=quantity, created_at=now
        )

    body = staff.get(url(product)).json()

    assert body["waiting"] == 6
    assert [row["quantity"] for row in body["queue"]] == [2, 3, 1]
    assert body["queue"][0]["since"] == now.isoformat().replace("+00:00", "Z")


def test_long_lists_are_cut(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "MOST", 2)
    product = make_product(stock=9)
    for _ in range(3):
        place((product, 1))

    body = staff.get(url(product)).json()

    assert (len(body["reserved_by"]), body["is_truncated"], body["reserved"]) == (2, True, 3)


def test_orders_are_shown_to_those_who_may_view_them() -> None:
    product = make_product(stock=5)
    place((product, 2))
    keeper = api_client(make_staff(permissions=[Permission.STOCK_VIEW]))

    body = keeper.get(url(product)).json()

    assert (body["reserved"], body["waiting"]) == (2, 0)
    assert not {"reserved_by", "queue"} & set(body)
    other = api_client(make_staff(permissions=set(Permission) - {Permission.STOCK_VIEW}))
    assert other.get(url(product)).status_code == 403
    assert api_client(make_customer()).get(url(product)).status_code == 403
    assert keeper.get(f"/api/v1/admin/inventory/{new_id()}/availability").status_code == 404


def test_it_takes_the_same_number_of_statements_for_many_orders(staff: APIClient) -> None:
    few, many = make_product(stock=50), make_product(stock=50)
    place((few, 1))
    for _ in range(10):
        place((many, 1))

    def statements(product: Product) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(url(product)).status_code == 200
        return len(captured)

    assert statements(few) == statements(many)


def test_the_stock_as_of_a_past_time_is_that_of_the_ledger(staff: APIClient) -> None:
    make_location(code="store")
    started = clock.now()
    product = make_product(stock=5)
    seen: list[tuple[datetime, Any]] = []

    def remember() -> None:
        body = staff.get(stock_url(product)).json()
        seen.append((clock.now(), body))

    remember()
    order = place((product, 3))
    remember()
    receive(product, 4, location="store")
    remember()
    cancel_order(actor=system("tests"), order_id=order.id)
    remember()
    transfer_stock(
        actor=system("tests"),
        reference="TR-1",
        lines=[StockLine(product_id=product.id, quantity=2)],
        from_location="main",
        to="store",
    )
    remember()

    for at, body in seen:
        then = staff.get(stock_url(product), {"at": at.isoformat()}).json()
        for name in ("available", "in_stock", "on_hand", "reserved"):
            assert then[name] == body[name], (name, at)
        kept = [level for level in then["locations"] if level["on_hand"]]
        assert kept == body["locations"]
    before = staff.get(stock_url(product), {"at": (started - timedelta(days=1)).isoformat()})
    assert (before.json()["on_hand"], before.json()["available"]) == (0, 0)


def test_the_past_is_for_those_who_may_view_the_stock(staff: APIClient) -> None:
    product = make_product(stock=5)
    at = {"at": clock.now().isoformat()}

    assert api_client().get(stock_url(product), at).status_code == 401
    for user in (make_customer(), make_staff(permissions=[Permission.PRODUCTS_EDIT])):
        response = api_client(user).get(stock_url(product), at)
        assert (response.status_code, response.json()["permission"]) == (403, "stock.view")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-11-21", "no_instant"),
        ("2026-11-21T09:30:00", "no_instant"),
        ("9999-12-31T23:59:59Z", "in_the_future"),
        ("", "blank"),
    ],
)
def test_a_time_that_is_none_or_in_the_future_is_refused(
    staff: APIClient, text: str, code: str
) -> None:
    response = staff.get(stock_url(make_product()), {"at": text})

    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["parameter"], error["code"]) == ("at", code)


def test_the_earliest_time_is_taken(staff: APIClient) -> None:
    response = staff.get(stock_url(make_product(stock=5)), {"at": "0001-01-01T00:00:00Z"})

    assert (response.status_code, response.json()["on_hand"]) == (200, 0)
