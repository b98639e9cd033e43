"""The actions of staff on orders in the back office, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from oms.core.permissions import ROLES
from oms.events.models import Event
from oms.testing.factories import (
    make_product,
    make_staff,
    permission_rows,
)
from oms.testing.ordering import paid_order, place, report, settle, stock_of
from orders.errors import OrderNotShippable
from orders.models import Order, Shipment
from payments.errors import RefundExceedsCaptured
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"
ACTIONS = (
    *("confirm", "ship", "ship_part", "start_processing", "release", "deliver"),
    *("hold", "capture", "void", "refund", "cancel"),
)


def page_of(order: Order, action: str = "change") -> str:
    return f"{LIST}{order.pk}/{action}/"


def available(client: Client, order: Order) -> set[str]:
    """The actions whose links are on the order's page."""
    html = client.get(page_of(order)).content.decode()
    return {action for action in ACTIONS if f'href="{page_of(order, action)}"' in html}


def run(client: Client, order: Order, action: str, **values: Any) -> Any:
    """The response to the action's form, after redirects."""
    return client.post(page_of(order, action), values, follow=True)


def fresh(order: Order) -> Order:
    return Order.objects.get(pk=order.pk)


def test_each_status_offers_its_allowed_actions_and_no_others(staff: Client) -> None:
    mug = make_product(stock=100)
    order = paid_order((mug, 2))

    assert available(staff, place((mug, 1))) == {"confirm", "cancel", "hold"}
    assert available(staff, order) == {
        *("ship", "ship_part", "start_processing", "hold"),
        *("refund", "cancel"),
    }
    run(staff, order, "hold", reason="address")
    assert available(staff, order) == {"release", "start_processing", "refund", "cancel"}
    run(staff, order, "release")
    run(staff, order, "ship", carrier="DHL", tracking_number="1")
    assert available(staff, order) == {"deliver", "refund"}
    run(staff, order, "deliver")
    assert fresh(order).status == "delivered"
    assert available(staff, order) == {"refund"}


def test_an_action_that_is_not_available_is_refused_by_its_url_too(staff: Client) -> None:
    order = paid_order((make_product(), 2))
    run(staff, order, "ship", carrier="", tracking_number="")
    before = fresh(order)

    values = {"reason": "x", "amount": "1", "carrier": "", "tracking_number": ""}
    refused = sorted(set(ACTIONS) - {"deliver", "refund"})
    for action in refused:
        page = page_of(order, action)
        for response in (staff.get(page), staff.post(page, values)):
            assert (response.status_code, response.headers["Location"]) == (302, page_of(order))

    messages = staff.get(page_of(order)).content.decode()
    assert messages.count("isn&#x27;t available") == 2 * len(refused)

    assert fresh(order).version == before.version
    assert fresh(order).status == "shipped"


def test_opening_the_page_of_an_action_does_not_run_it(staff: Client) -> None:
    order = paid_order((make_product(), 2))

    for action in sorted(available(staff, order)):
        assert staff.get(page_of(order, action)).status_code == 200

    assert fresh(order).version == order.version


def test_an_action_needs_a_csrf_token() -> None:
    order = paid_order((make_product(), 2))
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff(is_superuser=True))

    assert run(client, order, "cancel", reason="forged").status_code == 403

    assert fresh(order).status == "confirmed"


def test_cancelling_needs_a_reason_releases_stock_and_refunds(staff: Client) -> None:
    mug = make_product(stock=10)
    order = paid_order((mug, 4))

    assert "This field is required" in run(staff, order, "cancel").content.decode()
    assert fresh(order).status == "confirmed"
    run(staff, order, "cancel", reason="damaged on the way")

    assert fresh(order).status == "cancelled"
    assert stock_of(mug) == (10, 0)
    assert Refund.objects.get(order_id=order.id).amount == order.total
    event = Event.objects.get(object_id=order.id, type="order.cancelled")
    assert (event.actor_kind, event.actor_label) == ("staff", "admin@example.com")
    assert event.data["reason"] == "damaged on the way"
    assert event.request_id
    assert event.ip == "127.0.0.1"


def test_a_part_is_shipped_and_the_rest_later(staff: Client) -> None:
    mug, pot = make_product(stock=10), make_product(stock=10)
    order = paid_order((mug, 3), (pot, 1))
    first, second = order.items.order_by("position")

    response = run(
        staff,
        order,
        "ship_part",
        carrier="DHL",
        tracking_number="A1",
        **{f"item-{first.id}": "2", f"item-{second.id}": "0"},
    )

    assert "A1" in response.content.decode()
    assert fresh(order).fulfilment_status == "partially_shipped"
    assert stock_of(mug) == (8, 1)
    too_many = {f"item-{first.id}": "2", f"item-{second.id}": "1"}
    response = run(staff, order, "ship_part", carrier="", tracking_number="", **too_many)
    assert "less than or equal to 1" in response.content.decode()
    nothing = {f"item-{first.id}": "0", f"item-{second.id}": "0"}
    response = run(staff, order, "ship_part", carrier="", tracking_number="", **nothing)
    assert "Enter a quantity for at least one item" in response.content.decode()
    assert Shipment.objects.filter(order=order).count() == 1


def test_a_refund_above_the_paid_amount_shows_an_error_in_its_form(staff: Client) -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 2))
    payment = Payment.objects.get(order_id=order.id)

    run(staff, order, "refund", payment=payment.id, amount="15.00", reason="broken")
    response = run(staff, order, "refund", payment=payment.id, amount="5.01", reason="again")

    assert response.redirect_chain == []
    assert RefundExceedsCaptured().message in response.content.decode()
    assert [refund.amount for refund in Refund.objects.all()] == [Decimal("15.00")]


def test_an_authorised_payment_can_be_captured_or_voided_once(staff: Client, settings: Any) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_success")
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    assert {"capture", "void"} <= available(staff, order)
    run(staff, order, "capture")

    assert Payment.objects.get(order_id=order.id).requested_action == "capture"
    assert not {"capture", "void"} & available(staff, order)
    assert "isn&#x27;t available" in run(staff, order, "void").content.decode()


def test_a_bulk_action_reports_what_was_done_and_what_failed(staff: Client) -> None:
    mug = make_product(stock=100)
    ready, unpaid = paid_order((mug, 1)), place((mug, 1))
    chosen = {"action": "ship_all", "_selected_action": [str(ready.pk), str(unpaid.pk)]}

    form = staff.post(LIST, chosen)
    assert form.status_code == 200
    assert fresh(ready).status == "confirmed"
    response = staff.post(LIST, {**chosen, "confirmed": "1", "carrier": "DHL"}, follow=True)

    html = response.content.decode()
    assert "Ship all items: 1 order updated." in html
    assert f"{unpaid.number}: {OrderNotShippable().message}" in html
    assert fresh(ready).status == "shipped"
    assert fresh(unpaid).status == "pending"


def test_staff_see_only_what_their_permissions_allow() -> None:
    order = paid_order((make_product(), 2))
    clerk = make_staff(permissions=())
    client = Client()
    client.force_login(clerk)

    assert client.get(LIST).status_code == 403
    assert client.get(page_of(order)).status_code == 403
    assert client.get("/admin/").status_code == 200

    clerk.user_permissions.add(*permission_rows(["orders.view"]))
    assert client.get(LIST).status_code == 200
    assert available(client, order) == set()
    assert run(client, order, "cancel", reason="not permitted").status_code == 403
    chosen = {"action": "cancel_all", "_selected_action": [str(order.pk)], "confirmed": "1"}
    client.post(LIST, {**chosen, "reason": "not permitted"})
    assert fresh(order).status == "confirmed"

    clerk.user_permissions.add(*permission_rows(ROLES["clerk"]))
    unpaid = place((make_product(), 1))
    # What is paid is refunded when it is cancelled.
    assert not {"refund", "cancel"} & available(client, order)
    assert {"ship", "hold"} <= available(client, order)
    assert "cancel" in available(client, unpaid)
    assert run(client, order, "cancel", reason="not permitted").status_code == 403
    orders = [str(order.pk), str(unpaid.pk)]
    page = client.post(LIST, {**chosen, "_selected_action": orders, "reason": "x"}, follow=True)
    assert "You need the permission “Refund payments”" in page.content.decode()
    assert (fresh(order).status, fresh(unpaid).status) == ("confirmed", "cancelled")
    payment = Payment.objects.get(order_id=order.id)
    refund = run(client, order, "refund", payment=payment.id, amount="1", reason="not permitted")
    assert refund.status_code == 403
    assert Refund.objects.count() == 0


def test_an_order_page_takes_as_many_queries_for_nine_items_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    small = paid_order((make_product(), 1))
    large = paid_order(*((make_product(), 1) for _ in range(9)))
    run(staff, small, "ship", carrier="", tracking_number="")
    run(staff, large, "ship", carrier="", tracking_number="")
    with django_assert_max_num_queries(18) as few:
        staff.get(page_of(small))

    with django_assert_max_num_queries(len(few)):
        assert staff.get(page_of(large)).status_code == 200
