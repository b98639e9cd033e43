"""Reference, metadata, billing address, language and internal note of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import ADDRESS, paid_order, stock_of
from oms.users.models import User
from orders.models import Order
from orders.tests.test_api_placing import body, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"
BULK = "/api/v1/orders/bulk"
BILLING = {**ADDRESS, "name": "Analytical Engines Ltd", "city": "London", "country": "GB"}


@pytest.fixture
def customer() -> User:
    return make_customer(language="de-AT")


@pytest.fixture
def client(customer: User) -> APIClient:
    return api_client(customer)


def placed(client: APIClient, **members: Any) -> Any:
    response = client.post(URL, body((make_product(), 1), **members))
    assert response.status_code == 201, response.content
    return response.json()


def test_an_order_without_them_has_none_and_the_accounts_language(client: APIClient) -> None:
    order = placed(client)

    assert (order["reference"], order["metadata"], order["billing_address"]) == (None, {}, None)
    assert order["language"] == "de-AT"
    assert "internal_note" not in order


def test_what_is_given_is_shown_wherever_the_order_is(client: APIClient) -> None:
    given = {
        "reference": "PO-4711/ä",
        "metadata": {"cost centre": " R&D\n", "empty": ""},
        "billing_address": BILLING,
        "language": "pt-BR",
    }

    order = placed(client, **given)

    assert {name: order[name] for name in given} == given
    assert client.get(f"{URL}/{order['id']}").json() == order
    assert client.get(URL).json()["results"] == [order]
    saved = Order.objects.get()
    assert (saved.reference, saved.language) == ("PO-4711/ä", "pt-BR")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reference": ""}, [("/reference", "blank")]),
        ({"reference": "x" * 65}, [("/reference", "max_length")]),
        ({"metadata": {f"n{n}": "" for n in range(21)}}, [("/metadata", "max_members")]),
        ({"metadata": {"x" * 41: ""}}, [(f"/metadata/{'x' * 41}", "name")]),
        ({"metadata": {"": "x"}}, [("/metadata/", "name")]),
        ({"metadata": {"a\tb": "x"}}, [("/metadata/a\tb", "name")]),
        ({"metadata": {"a/b": 7}}, [("/metadata/a~1b", "invalid")]),
        ({"metadata": {"a": "x" * 501}}, [("/metadata/a", "max_length")]),
        ({"metadata": ["a"]}, [("/metadata", "not_a_dict")]),
        ({"billing_address": {**ADDRESS, "country": "XX"}}, [("/billing_address/country",) * 2]),
        ({"language": "german!"}, [("/language", "invalid_language")]),
        ({"language": "d"}, [("/language", "invalid_language")]),
        ({"language": ""}, [("/language", "blank")]),
    ],
)
def test_what_is_too_much_names_its_place(
    client: APIClient, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    response = client.post(URL, body((make_product(), 1), **change))

    assert response.status_code == 400
    found = faults(response)
    if expected == [("/billing_address/country",) * 2]:
        found = [(pointer, pointer) for pointer, _ in found]
    assert found == expected
    assert not Order.objects.exists()


def test_the_most_that_is_allowed_is_taken(client: APIClient) -> None:
    metadata = {f"{n:040}": "ü" * 500 for n in range(20)}

    order = placed(client, metadata=metadata, reference="x" * 64)

    assert order["metadata"] == metadata


def test_a_reference_is_a_customers_once_for_ever(client: APIClient) -> None:
    order = placed(client, reference="PO-1")
    assert client.delete(f"{URL}/{order['id']}").status_code == 204
    mug = make_product()

    again = client.post(URL, body((mug, 1), reference="PO-1"))
    others = api_client(make_customer()).post(URL, body((mug, 1), reference="PO-1"))
    spelt = client.post(URL, body((mug, 1), reference="po-1"))

    assert (again.status_code, again.json()["code"]) == (409, "reference_taken")
    assert again.json()["reference"] == "PO-1"
    assert (others.status_code, spelt.status_code) == (201, 201)
    assert stock_of(mug) == (10, 2)


def test_a_reference_that_is_taken_refuses_its_order_alone(client: APIClient) -> None:
    placed(client, reference="PO-1")
    mug = make_product()
    wanted = ["PO-1", "PO-2", "PO-2", "PO-3"]

    response = client.post(BULK, {"orders": [body((mug, 1), reference=r) for r in wanted]})

    results = response.json()["results"]
    assert [result["status"] for result in results] == [409, 201, 409, 201]
    assert {r["problem"]["code"] for r in results if "problem" in r} == {"reference_taken"}
    assert stock_of(mug) == (10, 2)


def test_the_reference_of_an_order_that_was_refused_is_free(client: APIClient) -> None:
    none, mug = make_product(stock=0), make_product()
    orders = [body((none, 1), reference="PO-1"), body((mug, 1), reference="PO-1")]

    by_itself = client.post(BULK, {"orders": orders})
    together = client.post(
        BULK,
        {
            "orders": [body((mug, 1), reference="PO-2"), body((none, 1))],
            "on_error": "reject_all",
        },
    )
    later = client.post(URL, body((mug, 1), reference="PO-2"))

    assert [result["status"] for result in by_itself.json()["results"]] == [409, 201]
    assert [result["status"] for result in together.json()["results"]] == [409, 409]
    assert later.status_code == 201


def test_only_orders_with_a_reference_ask_for_more_statements(client: APIClient) -> None:
    mug = make_product()
    counts = []

    for members in ({}, {"metadata": {"a": "b"}, "billing_address": BILLING}, {"reference": "x"}):
        with CaptureQueriesContext(connection) as statements:
            assert client.post(URL, body((mug, 1), **members)).status_code == 201
        counts.append(len(statements))

    assert counts == [counts[0], counts[0], counts[0] + 2]


def test_lists_are_filtered_by_the_reference(client: APIClient) -> None:
    order = placed(client, reference="PO-1")
    other = placed(api_client(make_customer()), reference="PO-1")
    placed(client, reference="PO-10")
    staff = api_client(make_staff())

    own = client.get(URL, {"reference": "PO-1"}).json()["results"]
    all_ = staff.get("/api/v1/admin/orders", {"reference": "PO-1"}).json()["results"]

    assert [one["id"] for one in own] == [order["id"]]
    assert [one["id"] for one in all_] == [other["id"], order["id"]]
    assert client.get(URL, {"reference": "PO-2"}).json()["results"] == []
    found = staff.get("/api/v1/admin/orders", {"search": "PO-10"}).json()["results"]
    assert [one["reference"] for one in found] == ["PO-10"]


def test_an_edit_replaces_them(client: APIClient) -> None:
    order = placed(client, reference="PO-1", metadata={"a": "1", "b": "2"})
    change = {
        "reference": "PO-2",
        "metadata": {"c": "3"},
        "billing_address": BILLING,
        "language": "fr",
    }

    response = client.patch(f"{URL}/{order['id']}", change)

    assert response.status_code == 200
    assert {name: response.json()[name] for name in change} == change
    event = Event.objects.get(type="order.edited")
    assert event.data["changes"]["metadata"] == [{"a": "1", "b": "2"}, {"c": "3"}]
    assert client.post(URL, body((make_product(), 1), reference="PO-1")).status_code == 201


def test_an_edit_to_a_taken_reference_changes_nothing(client: APIClient) -> None:
    placed(client, reference="PO-1")
    order = placed(client, reference="PO-2")

    response = client.patch(f"{URL}/{order['id']}", {"reference": "PO-1", "note": "x"})

    assert (response.status_code, response.json()["code"]) == (409, "reference_taken")
    assert client.get(f"{URL}/{order['id']}").json() == order
    assert client.patch(f"{URL}/{order['id']}", {"reference": "PO-2"}).json() == order


def test_internal_notes_are_staffs_alone(customer: User, client: APIClient) -> None:
    order, staff = placed(client), api_client(make_staff())
    path = f"{URL}/{order['id']}"

    noted = staff.patch(path, {"internal_note": "Calls often."})

    assert noted.json()["internal_note"] == "Calls often."
    assert staff.get(path).json()["internal_note"] == "Calls often."
    listed = staff.get("/api/v1/admin/orders").json()["results"]
    assert [one["internal_note"] for one in listed] == ["Calls often."]
    seen = [
        client.get(path, {"expand": "payments,shipments,history"}),
        client.get(path),
        client.get(URL),
        client.get(f"{path}/status"),
        client.get("/api/v1/events", {"order_id": order["id"]}),
    ]
    assert [answer.status_code for answer in seen] == [200] * 5
    assert not [answer for answer in seen if b"Calls often." in answer.content]
    assert not [answer for answer in seen if b"internal_note" in answer.content]
    # The version shows that something has changed, as it does for allowed_actions.
    assert client.get(path).json()["version"] == 2
    assert Event.objects.filter(type="order.internal_note_changed").count() == 1
    assert not Event.objects.filter(type="order.edited").exists()


def test_customers_give_no_internal_note(client: APIClient) -> None:
    order = placed(client)

    for response, permission in (
        (
            client.post(URL, body((make_product(), 1), internal_note="x")),
            Permission.ORDERS_PLACE_FOR_CUSTOMER,
        ),
        (client.patch(f"{URL}/{order['id']}", {"internal_note": "x"}), Permission.ORDERS_EDIT),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert response.json()["permission"] == permission
    assert Order.objects.get().version == 1


def test_staff_correct_a_paid_order_until_it_is_shipped(customer: User) -> None:
    order, staff = paid_order((make_product(), 2), customer=customer), api_client(make_staff())
    path, change = f"{URL}/{order.id}", {"shipping_address": BILLING}

    corrected = staff.patch(path, change)
    items = staff.patch(path, {"items": [{"product_id": str(make_product().id), "quantity": 1}]})
    own = api_client(customer).patch(path, change)
    shipped = staff.post(
        f"/api/v1/admin/orders/{order.id}/shipments", {"carrier": "DHL", "tracking_number": "1"}
    )
    late = staff.patch(path, {"billing_address": BILLING})
    noted = staff.patch(path, {"internal_note": "Lost once.", "metadata": {"a": "b"}})

    assert corrected.status_code == 200
    assert corrected.json()["shipping_address"]["city"] == "London"
    assert shipped.status_code == 201
    for refused in (items, own, late):
        assert (refused.status_code, refused.json()["code"]) == (409, "order_not_editable")
    assert (noted.status_code, noted.json()["metadata"]) == (200, {"a": "b"})


def test_staff_note_something_of_a_free_order(client: APIClient) -> None:
    free = make_product(price=Decimal("0.00"))
    order = client.post(URL, body((free, 1))).json()
    assert order["status"] == "confirmed"

    noted = api_client(make_staff()).patch(f"{URL}/{order['id']}", {"internal_note": "Sample."})

    assert (noted.status_code, noted.json()["status"]) == (200, "confirmed")


def test_customers_set_their_language(customer: User, client: APIClient) -> None:
    me = "/api/v1/users/me"

    assert client.get(me).json()["language"] == "de-AT"
    assert client.patch(me, {"language": "fr"}).json()["language"] == "fr"
    assert placed(client)["language"] == "fr"
    assert client.patch(me, {"language": "?"}).status_code == 400
    assert client.patch(me, {"language": ""}).json()["language"] == ""
    assert placed(client)["language"] == ""
