"""Orders that staff place for customers."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import stock_of
from oms.users.models import User
from orders.models import Order
from orders.tests.test_api_placing import body, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

URL = "/api/v1/orders"
BULK = "/api/v1/orders/bulk"


@pytest.fixture
def customer() -> User:
    return make_customer(language="fr")


@pytest.fixture
def clerk() -> User:
    return make_staff(
        permissions=[Permission.ORDERS_VIEW, Permission.ORDERS_PLACE_FOR_CUSTOMER], language="de"
    )


@pytest.fixture
def staff(clerk: User) -> APIClient:
    return api_client(clerk)


def test_the_order_is_the_customers_and_the_actor_the_member_of_the_staff(
    customer: User, clerk: User, staff: APIClient
) -> None:
    mug = make_product()

    response = staff.post(
        URL,
        body((mug, 2), customer_id=str(customer.id), internal_note="By phone.", reference="T-1"),
    )

    assert response.status_code == 201
    order = response.json()
    assert (order["customer_id"], order["language"]) == (str(customer.id), "fr")
    assert order["internal_note"] == "By phone."
    assert stock_of(mug) == (10, 2)
    placed = Event.objects.get(type="order.placed")
    assert (placed.actor_id, placed.data["customer_id"]) == (clerk.id, str(customer.id))
    seen = api_client(customer).get(f"{URL}/{order['id']}").json()
    assert seen["reference"] == "T-1"
    assert "internal_note" not in seen
    assert staff.get(URL).json()["results"] == []


def test_a_reference_is_the_customers_and_not_that_of_who_orders(
    customer: User, staff: APIClient
) -> None:
    mug = make_product()
    own = api_client(customer).post(URL, body((mug, 1), reference="T-1"))

    for_customer = staff.post(URL, body((mug, 1), reference="T-1", customer_id=str(customer.id)))
    for_another = staff.post(
        URL, body((mug, 1), reference="T-1", customer_id=str(make_customer().id))
    )

    assert own.status_code == 201
    assert (for_customer.status_code, for_customer.json()["code"]) == (409, "reference_taken")
    assert for_another.status_code == 201


@pytest.mark.parametrize("who", ["unknown", "inactive", "staff"])
def test_only_customers_can_be_ordered_for(staff: APIClient, who: str) -> None:
    customer_id = {
        "unknown": new_id,
        "inactive": lambda: make_customer(is_active=False).id,
        "staff": lambda: make_staff().id,
    }[who]()

    response = staff.post(URL, body((make_product(), 1), customer_id=str(customer_id)))

    assert response.status_code == 400
    assert faults(response) == [("/customer_id", "not_found")]
    assert not Order.objects.exists()


@pytest.mark.parametrize("of_another", ["customer", "nobody"])
def test_without_the_permission_nobody_orders_for_others(customer: User, of_another: str) -> None:
    id = customer.id if of_another == "customer" else new_id()
    content = body((make_product(), 1), customer_id=str(id))
    without = set(Permission) - {Permission.ORDERS_PLACE_FOR_CUSTOMER}

    for user in (make_customer(), make_staff(permissions=without)):
        response = api_client(user).post(URL, content)
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert response.json()["permission"] == "orders.place_for_customer"
    assert not Order.objects.exists()


def test_everybody_may_name_themselves(clerk: User, staff: APIClient, customer: User) -> None:
    for user in (clerk, customer):
        content = body((make_product(), 1), customer_id=str(user.id))
        response = api_client(user).post(URL, content)
        assert (response.status_code, response.json()["customer_id"]) == (201, str(user.id))


def test_a_bulk_has_orders_for_several_customers(customer: User, staff: APIClient) -> None:
    mug, other = make_product(), make_customer()
    ids = [customer.id, other.id, new_id(), customer.id]

    response = staff.post(BULK, {"orders": [body((mug, 1), customer_id=str(id)) for id in ids]})

    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 201, 400, 201]
    assert results[2]["problem"]["errors"][0]["pointer"] == "/customer_id"
    assert Order.objects.filter(customer=customer).count() == 2
