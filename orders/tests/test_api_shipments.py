"""The API of shipments."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.testing.factories import make_product
from oms.testing.ordering import paid_order, place
from oms.users.models import User
from orders.models import Order

pytestmark = pytest.mark.django_db

API = "/api/v1"


@pytest.fixture
def order(customer: User) -> Order:
    return paid_order((make_product(stock=5), 5), customer=customer)


def lines(order: Order, quantity: int, **values: object) -> list[dict[str, Any]]:
    return [
        {"order_item_id": str(item.id), "quantity": quantity, **values}
        for item in order.items.all()
    ]


def ship(staff: APIClient, order: Order, **body: Any) -> dict[str, Any]:
    answer = staff.post(f"{API}/admin/orders/{order.id}/shipments", body)
    assert answer.status_code == 201, answer.content
    shipment: dict[str, Any] = answer.json()
    return shipment


def test_an_empty_body_ships_all_that_is_left_without_a_carrier(
    staff: APIClient, order: Order
) -> None:
    shipment = ship(staff, order)

    assert (shipment["carrier"], shipment["tracking_number"], shipment["tracking_url"]) == (
        "",
        "",
        "",
    )
    assert shipment["items"] == lines(order, 5)


def test_carrier_and_tracking_number_are_corrected(
    client: APIClient, staff: APIClient, order: Order
) -> None:
    shipment = ship(staff, order, carrier="DHL", tracking_number="0034")
    order.refresh_from_db()
    path = f"{API}/admin/shipments/{shipment['id']}"

    stale = staff.patch(path, {"carrier": "UPS"}, headers={"if-match": '"v1"'})
    corrected = staff.patch(
        path,
        {"carrier": "UPS", "tracking_number": "1Z 999"},
        headers={"if-match": f'"v{order.version}"'},
    )
    same = staff.patch(path, {"carrier": "UPS"})

    assert stale.status_code == 412
    assert corrected.json()["tracking_url"] == "https://www.ups.com/track?tracknum=1Z999"
    assert same.json() == corrected.json()
    version = order.version
    order.refresh_from_db()
    assert order.version == version + 1
    listed = client.get(f"{API}/orders/{order.id}/shipments").json()["results"]
    assert listed == [corrected.json()]


def test_an_order_is_delivered_when_all_its_shipments_are(staff: APIClient, order: Order) -> None:
    shipments = [ship(staff, order, items=lines(order, 2)) for _ in range(2)]
    shipments.append(ship(staff, order))

    def deliver(number: int) -> str:
        answer = staff.post(f"{API}/admin/shipments/{shipments[number]['id']}/delivered")
        assert (answer.status_code, answer.json()["status"]) == (200, "delivered")
        status: str = staff.get(f"{API}/orders/{order.id}").json()["status"]
        return status

    assert [deliver(0), deliver(0), deliver(2), deliver(1)] == [
        "shipped",
        "shipped",
        "shipped",
        "delivered",
    ]


@pytest.mark.parametrize("is_csv", [False, True])
def test_many_orders_are_shipped_at_once(staff: APIClient, order: Order, is_csv: bool) -> None:
    other, unpaid = paid_order((make_product(), 1)), place((make_product(), 1))
    rows = [
        (order.number, "DHL", "0034"),
        (unpaid.number, "DHL", "0035"),
        ("20260101-NONE", "", ""),
        (other.number.lower(), "GLS; Nord", "0036"),
        (order.number, "DHL", "0037"),
    ]
    path = f"{API}/admin/shipments/bulk"
    if is_csv:
        text = "order_number,carrier,tracking_number\r\n" + "".join(
            ",".join(row) + "\r\n" for row in rows
        )
        answer = staff.generic("POST", path, text, content_type="text/csv")
    else:
        names = ("order_number", "carrier", "tracking_number")
        answer = staff.post(
            path, {"shipments": [dict(zip(names, row, strict=True)) for row in rows]}
        )

    assert answer.status_code == 207, answer.content
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 409, 400, 201, 409]
    assert results[0]["shipment"]["tracking_number"] == "0034"
    assert results[1]["problem"]["code"] == "order_not_shippable"
    assert results[2]["problem"]["errors"][0]["pointer"] == "/order_number"
    order.refresh_from_db()
    other.refresh_from_db()
    assert (order.status, other.status) == ("shipped", "shipped")


def test_an_invalid_row_does_not_affect_the_others(staff: APIClient, order: Order) -> None:
    rows = [
        {"carrier": "DHL"},
        {"order_number": "A" * 21},
        {"order_number": order.number, "carrier": "DHL", "tracking_number": "0034"},
        {"order_number": order.number, "weight": 1},
        7,
    ]

    answer = staff.post(f"{API}/admin/shipments/bulk", {"shipments": rows})

    assert answer.status_code == 207, answer.content
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [400, 400, 201, 400, 400]
    pointers = [r["problem"]["errors"][0]["pointer"] for r in results if "problem" in r]
    assert pointers == ["/order_number", "/order_number", "/weight", ""]
    order.refresh_from_db()
    assert order.status == "shipped"


def test_with_an_idempotency_key_many_shipments_are_one_transaction(
    staff: APIClient, order: Order
) -> None:
    unpaid = place((make_product(), 1))
    rows = [{"order_number": each.number} for each in (unpaid, order)]

    answers = [
        staff.post(
            f"{API}/admin/shipments/bulk",
            {"shipments": rows},
            headers={"Idempotency-Key": "k"},
        )
        for _ in range(2)
    ]

    assert [result["status"] for result in answers[0].json()["results"]] == [409, 201]
    assert answers[1].content == answers[0].content
    assert order.shipments.count() == 1


def test_the_document_describes_csv_with_an_example_that_is_understood(staff: APIClient) -> None:
    document = staff.get("/api/schema", HTTP_ACCEPT="application/json").json()
    body = document["paths"][f"{API}/admin/shipments/bulk"]["post"]["requestBody"]

    assert body["required"] is True
    assert body["content"].keys() == {"application/json", "text/csv"}
    schema = body["content"]["text/csv"]["schema"]
    assert schema["type"] == "string"
    for text in schema["examples"]:
        answer = staff.generic("POST", f"{API}/admin/shipments/bulk", text, content_type="text/csv")
        # There is no such order in this shop.
        assert [result["status"] for result in answer.json()["results"]] == [400]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (b"number,carrier\n1,2\n", "The first line names columns of"),
        (b"order_number,order_number\n1,2\n", "The first line names columns of"),
        (b"order_number\n1,2\n", "A line has more cells"),
        (b"order_number\n\xff\n", "The CSV is not UTF-8."),
        (b'order_number\n"1" 2\n', "Line 2 is not CSV"),
    ],
)
def test_what_is_no_csv_of_shipments_is_refused(staff: APIClient, text: bytes, detail: str) -> None:
    client: Any = staff  # the stubs know no bytes
    answer = client.generic("POST", f"{API}/admin/shipments/bulk", text, content_type="text/csv")

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(detail)
