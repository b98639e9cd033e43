"""Orders on hold, and what their release confirms."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from oms.core.permissions import Permission
from oms.testing.factories import actor_for, api_client, make_product, make_staff
from oms.testing.ordering import payment_of, place, refund_of
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from orders.tests.provider_webhooks import captured, order_of, state, succeed

pytestmark = pytest.mark.django_db

HELD = (Permission.ORDERS_VIEW, Permission.ORDERS_HOLD)


@pytest.mark.parametrize("status", ["confirmed", "processing"])
def test_an_unpaid_order_is_not_confirmed_by_way_of_a_hold(status: str) -> None:
    order = place((make_product(), 1))
    path = reverse("admin-order-status", kwargs={"id": order.id})
    clerk = api_client(make_staff(permissions=HELD))
    actions = clerk.put(path, {"status": "on_hold"}).json()["allowed_actions"]

    denied = clerk.put(path, {"status": status})

    assert (denied.status_code, denied.json()["permission"]) == (403, "orders.edit")
    assert [each for each in actions if each.startswith("set_status")] == ["set_status:pending"]
    editor = api_client(make_staff(permissions=[*HELD, Permission.ORDERS_EDIT]))
    offered = editor.get(f"/api/v1/orders/{order.id}").json()["allowed_actions"]
    assert f"set_status:{status}" in offered
    assert editor.put(path, {"status": status}).json()["status"] == status
    # What was confirmed once is not confirmed by the release.
    assert clerk.put(path, {"status": "on_hold"}).status_code == 200
    again = clerk.put(path, {"status": status})
    assert (again.status_code, again.json()["status"]) == (200, status)


def test_the_back_office_releases_an_unpaid_order_to_wait_for_its_payment() -> None:
    order = place((make_product(), 1))
    clerk = make_staff(permissions=HELD)
    set_order_status(actor=actor_for(clerk), order_id=order.id, status=OrderStatus.ON_HOLD)
    order.refresh_from_db()
    browser = Client()
    browser.force_login(clerk)
    answer = browser.post(
        f"/admin/orders/order/{order.pk}/release/",
        {"reason": "Called the customer.", "expected_version": order.version},
    )

    assert answer.status_code == 302, answer.content
    order.refresh_from_db()
    assert (order.status, order.confirmed_at) == ("pending", None)


def test_an_order_that_was_paid_is_confirmed_by_the_release_of_its_hold() -> None:
    order = order_of()
    captured(payment_of(order), 120_00)
    succeed(refund_of(payment_of(order), amount=Decimal("20.00")))
    assert state(order) == ("on_hold", "partially_refunded")
    clerk = api_client(make_staff(permissions=HELD))

    answer = clerk.put(f"/api/v1/admin/orders/{order.id}/status", {"status": "confirmed"})

    assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
