"""The API of cancelled, returned and refunded items."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.testing.factories import make_product
from oms.testing.ordering import paid_order, payment_of, stock_of
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


def test_staff_cancel_items_and_get_the_order(staff: APIClient, order: Order) -> None:
    path = f"{API}/admin/orders/{order.id}/cancellations"
    body = {"items": lines(order, 2), "reason": "Broken."}
    stale = staff.post(path, body, headers={"if-match": f'"v{order.version - 1}"'})

    answer = staff.post(path, body, headers={"if-match": f'"v{order.version}"'})

    assert stale.status_code == 412
    assert answer.status_code == 201, answer.content
    said = answer.json()
    assert answer["ETag"] == f'"v{order.version + 1}"'
    assert (said["items"], said["amount"], said["reason"]) == (body["items"], "39.80", "Broken.")
    assert said["order"]["version"] == order.version + 1
    assert said["order"]["total"] == "59.70"
    [line] = said["order"]["items"]
    assert (line["quantity"], line["quantity_cancelled"], line["line_total"]) == (5, 2, "59.70")
    payment = payment_of(order)
    assert [str(refund.id) for refund in payment.refunds.all()] == [said["refund_id"]]
    listed = staff.get(path).json()["results"]
    del said["order"]
    assert listed == [said]


def test_more_than_there_is_to_cancel_is_a_conflict_naming_the_lines(
    staff: APIClient, order: Order
) -> None:
    answer = staff.post(f"{API}/admin/orders/{order.id}/cancellations", {"items": lines(order, 6)})

    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_cancel")
    [line] = answer.json()["items"]
    assert (line["requested"], line["left"]) == (6, 5)


@pytest.mark.parametrize(
    "path", ["orders/{}/cancellations", "orders/{}/returns", "orders/{}/shipments"]
)
def test_an_empty_list_never_means_everything(staff: APIClient, order: Order, path: str) -> None:
    answer = staff.post(f"{API}/admin/{path.format(order.id)}", {"items": []})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/items"


def test_the_allowed_actions_name_the_way_out(
    staff: APIClient, client: APIClient, order: Order
) -> None:
    def actions(caller: APIClient) -> set[str]:
        found: list[str] = caller.get(f"{API}/orders/{order.id}").json()["allowed_actions"]
        return set(found)

    assert {"cancel", "cancel_items", "edit_address"} <= actions(staff)
    assert "return" not in actions(staff) | actions(client)
    ship(staff, order, items=lines(order, 3))
    refused = client.put(f"{API}/orders/{order.id}/cancel", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert "cancel" not in actions(staff)
    assert {"cancel_items", "return", "edit_address"} <= actions(staff)
    assert actions(client) == {"return"}
    ship(staff, order)
    assert not {"cancel_items", "edit_address"} & actions(staff)


def test_refunds_by_items(staff: APIClient, order: Order) -> None:
    ship(staff, order, items=lines(order, 3))
    path = f"{API}/admin/payments/{payment_of(order).id}/refunds"

    ambiguous = staff.post(path, {"amount": "39.80", "reason": "Broken.", "restock": True})
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (409, "restock_ambiguous")
    both = staff.post(path, {"amount": "1.00", "items": lines(order, 2), "reason": "Broken."})
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (400, "/amount")
    misplaced = staff.post(path, {"items": lines(order, 1, location="main"), "reason": "Broken."})
    assert misplaced.json()["errors"][0]["pointer"] == "/items/0/location"
    unknown = staff.post(
        path, {"items": lines(order, 1, restock=True, location="moon"), "reason": "Broken."}
    )
    assert unknown.json()["errors"][0]["pointer"] == "/items/0/location"

    done = staff.post(path, {"items": lines(order, 2), "reason": "Broken."})

    assert (done.status_code, done.json()["amount"]) == (202, "39.80")
    shown = staff.get(f"{API}/orders/{order.id}").json()
    assert (shown["status"], shown["total"]) == ("shipped", "59.70")
    [item] = order.items.all()
    assert stock_of(item.product) == (2, 0)


def test_a_customer_returns_items_and_staff_receive_them(
    client: APIClient, staff: APIClient, order: Order
) -> None:
    ship(staff, order)
    requested = client.post(
        f"{API}/orders/{order.id}/returns", {"items": lines(order, 2, reason="Cracked.")}
    )
    assert requested.status_code == 201, requested.content
    returned = requested.json()
    assert (returned["status"], returned["receipts"]) == ("requested", [])
    assert returned["items"] == lines(order, 2, reason="Cracked.", quantity_received=0)
    admin = f"{API}/admin/returns/{returned['id']}"

    approved = staff.post(f"{admin}/approve").json()
    received = staff.post(
        f"{admin}/receive",
        {"items": lines(order, 1, outcome="restock"), "refund": True},
    ).json()
    unusable = lines(order, 1, outcome="unusable")
    done = staff.post(f"{admin}/receive", {"items": unusable}).json()

    assert (approved["status"], received["status"], done["status"]) == (
        "approved",
        "partially_received",
        "received",
    )
    first, second = done["receipts"]
    assert first["items"] == lines(order, 1, outcome="restock", location="")
    assert first["refund_id"] is not None
    assert (second["items"][0]["outcome"], second["refund_id"]) == ("unusable", None)
    assert client.get(f"{API}/returns/{returned['id']}").json() == done
    assert staff.get(admin).json() == done
    assert client.get(f"{API}/orders/{order.id}/returns").json()["results"] == [done]
    query = f"status=received&order_id={order.id}&customer_id={order.customer_id}"
    assert staff.get(f"{API}/admin/returns?{query}").json()["results"] == [done]
    assert staff.get(f"{API}/admin/returns?status=requested").json()["results"] == []
    [line] = client.get(f"{API}/orders/{order.id}").json()["items"]
    assert line["quantity_returned"] == 2
    again = staff.post(f"{admin}/reject", {"reason": "Worn."})
    assert (again.status_code, again.json()["current_status"]) == (409, "received")


def test_an_owner_cancels_a_return_once(client: APIClient, staff: APIClient, order: Order) -> None:
    ship(staff, order)
    path = f"{API}/orders/{order.id}/returns"
    returned = client.post(path, {"items": lines(order, 5)}).json()
    too_many = client.post(path, {"items": lines(order, 1)})

    cancelled = client.put(f"{API}/returns/{returned['id']}/cancel", {"reason": "I keep them."})
    again = client.put(f"{API}/returns/{returned['id']}/cancel", {})

    assert (too_many.status_code, too_many.json()["code"]) == (409, "nothing_to_return")
    assert (cancelled.json()["status"], cancelled.json()["reason"]) == ("cancelled", "I keep them.")
    assert (again.status_code, again.json()["allowed"]) == (409, [])


def test_an_order_or_another_objects_id_is_no_return(staff: APIClient, order: Order) -> None:
    for path in (f"returns/{order.id}", f"returns/{order.items.get().id}"):
        assert staff.get(f"{API}/admin/{path}").status_code == 404
        assert staff.post(f"{API}/admin/{path}/approve").status_code == 404
    assert staff.patch(f"{API}/admin/shipments/{order.id}", {}).status_code == 404


def test_staff_correct_the_address_of_a_paid_order_until_all_is_shipped(
    client: APIClient, staff: APIClient, order: Order
) -> None:
    address = {**order.shipping_address, "line1": "Torstraße 1"}
    path = f"{API}/orders/{order.id}"

    own = client.patch(path, {"shipping_address": address})
    with_note = staff.patch(path, {"shipping_address": address, "note": "x"})
    corrected = staff.patch(path, {"shipping_address": address})
    ship(staff, order)
    late = staff.patch(path, {"shipping_address": order.shipping_address})

    assert (own.status_code, with_note.status_code, late.status_code) == (409, 409, 409)
    assert corrected.json()["shipping_address"]["line1"] == "Torstraße 1"
    assert corrected.json()["payment_status"] == "paid"


def test_a_repeated_key_cancels_and_returns_once(staff: APIClient, order: Order) -> None:
    ship(staff, order, items=lines(order, 2))
    for path, body in (
        (f"admin/orders/{order.id}/cancellations", {"items": lines(order, 1)}),
        (f"orders/{order.id}/returns", {"items": lines(order, 1)}),
        (f"admin/orders/{order.id}/returns", {"items": lines(order, 1, outcome="restock")}),
    ):
        first, again = (
            staff.post(f"{API}/{path}", body, headers={"idempotency-key": path}) for _ in range(2)
        )
        assert (first.status_code, again.status_code) == (201, 201), first.content
        assert again.json() == first.json()
        assert again["Idempotent-Replayed"] == "true"
    [item] = order.items.all()
    assert (item.quantity_cancelled, item.quantity_returned) == (1, 1)


def test_a_dry_run_shows_what_would_be_cancelled_returned_and_refunded(
    staff: APIClient, order: Order
) -> None:
    ship(staff, order, items=lines(order, 3))
    [item] = order.items.all()
    place_of = {"product_id": str(item.product_id), "location": "main"}

    cancelled = staff.post(
        f"{API}/admin/orders/{order.id}/cancellations?dry_run=true", {"items": lines(order, 1)}
    ).json()
    returned = staff.post(
        f"{API}/admin/orders/{order.id}/returns?dry_run=true",
        {"items": lines(order, 2, outcome="restock"), "refund": True},
    ).json()
    refunded = staff.post(
        f"{API}/admin/payments/{payment_of(order).id}/refunds?dry_run=true",
        {"items": lines(order, 2), "reason": "Broken."},
    ).json()

    assert cancelled["stock"] == [{**place_of, "on_hand_delta": 0, "reserved_delta": -1}]
    assert cancelled["money"] == {"currency": "EUR", "total_delta": "-19.90", "refund": "19.90"}
    assert returned["status"] == "received"
    assert returned["stock"] == [{**place_of, "on_hand_delta": 2, "reserved_delta": 0}]
    assert returned["money"]["refund"] == "39.80"
    assert refunded["money"] == {"currency": "EUR", "total_delta": "-39.80", "refund": "39.80"}
    [item] = order.items.all()
    assert (item.quantity_cancelled, item.quantity_returned) == (0, 0)
    assert not payment_of(order).refunded_amount
