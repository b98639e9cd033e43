"""GET /admin/customers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from notifications.models import Channel, DeliveryState, Kind, Notification
from oms.core import clock
from oms.core.ids import new_id
from oms.customers.api import CustomerDetailOutput, CustomerOutput
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, refund_of
from oms.users.models import User
from orders.operations.cancelling import cancel_order, delete_order
from orders.tests.provider_webhooks import refunded, succeed

pytestmark = pytest.mark.django_db

URL = "/api/v1/admin/customers"


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff(permissions=["customers.view"]))


def mail(customer: User, *, state: DeliveryState = DeliveryState.SENT) -> Notification:
    return Notification.objects.create(
        event_id=new_id(),
        recipient=customer,
        email=customer.email,
        channel=Channel.EMAIL,
        kind=Kind.ORDER_PLACED,
        subject="Your order",
        state=state,
        sent_at=clock.now() if state is DeliveryState.SENT else None,
    )


def test_customers_are_listed_newest_first_without_staff(staff: APIClient) -> None:
    first, second = make_customer(), make_customer(is_active=False)
    make_staff()

    results = staff.get(URL).json()["results"]

    assert [one["id"] for one in results] == [str(second.id), str(first.id)]
    assert set(results[0]) == set(CustomerOutput().fields)
    assert (results[0]["is_active"], results[0]["orders_count"]) == (False, 0)
    assert (results[0]["last_order_at"], results[0]["total_spent"]) == (None, [])


def test_figures_are_those_of_the_customers_own_orders(staff: APIClient) -> None:
    ada, other = make_customer(), make_customer()
    euro = make_product(price=Decimal("10.00"))
    yen = make_product(price=Decimal("1200"), currency="JPY")
    kept = paid_order((euro, 3), customer=ada)
    succeed(refund_of(payment_of(kept), amount=Decimal("4.00")))
    cancelled = paid_order((euro, 5), customer=ada)
    cancel_order(actor=actor_for(ada), order_id=cancelled.id)  # its refund is still to be made
    refunded_twice = paid_order((euro, 1), customer=ada)
    refund_of(payment_of(refunded_twice))
    refunded(payment_of(refunded_twice), 10_00)
    paid_order((yen, 1), customer=ada)
    last = place((euro, 1), customer=ada)
    deleted = place((euro, 1), customer=ada)
    delete_order(actor=actor_for(ada), order_id=deleted.id)
    paid_order((euro, 1), customer=other)
    sent = mail(ada)
    mail(ada, state=DeliveryState.DEAD)

    shown = staff.get(f"{URL}/{ada.id}").json()

    assert set(shown) == set(CustomerDetailOutput().fields)
    assert shown["orders_count"] == 5
    assert shown["last_order_at"] == last.placed_at.isoformat().replace("+00:00", "Z")
    assert shown["total_spent"] == [
        {"currency": "EUR", "amount": "26.00"},
        {"currency": "JPY", "amount": "1200"},
    ]
    assert shown["mails_sent"] == 1
    assert [one["state"] for one in shown["mails"]] == ["dead", "sent"]
    assert shown["mails"][1]["id"] == str(sent.id)
    listed = {one["id"]: one for one in staff.get(URL).json()["results"]}
    assert listed[str(ada.id)] == {name: v for name, v in shown.items() if name != "mails"}
    assert listed[str(other.id)]["total_spent"] == [{"currency": "EUR", "amount": "10.00"}]


@pytest.mark.parametrize("text", ["lovelace", "ADA@", "1234567", "ada love"])
def test_search_finds_name_address_and_phone(staff: APIClient, text: str) -> None:
    ada = make_customer(email="ada@example.org", full_name="Ada Lovelace", phone="+49 30 1234567")
    make_customer()

    results = staff.get(URL, {"search": text}).json()["results"]

    assert [one["id"] for one in results] == [str(ada.id)]


def test_a_page_takes_as_many_statements_for_many_customers_as_for_one(staff: APIClient) -> None:
    counts: list[int] = []
    for _ in range(2):
        for customer in [make_customer() for _ in range(3)]:
            place((make_product(), 1), customer=customer)
        with CaptureQueriesContext(connection) as statements:
            answer = staff.get(URL)
        assert len(answer.json()["results"]) == 3 * (len(counts) + 1)
        counts.append(len(statements))

    assert counts[0] == counts[1]


def test_pages_are_linked(staff: APIClient) -> None:
    ids = [str(make_customer().id) for _ in range(3)]

    first = staff.get(URL, {"page_size": 2}).json()
    second = staff.get(first["next"]).json()

    assert [one["id"] for one in first["results"] + second["results"]] == ids[::-1]
    assert second["next"] is None


def test_staff_are_no_customers(staff: APIClient) -> None:
    assert staff.get(f"{URL}/{make_staff().id}").status_code == 404
    assert staff.get(f"{URL}/{new_id()}").status_code == 404
