"""What staff do to orders in the back office, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from oms.events.models import Event
from oms.testing.factories import make_product, make_staff
from oms.testing.ordering import paid_order, place, report, settle, status_changes_of, stock_of
from orders.models import Order, Shipment
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"
STEPS = (
    *("confirm", "ship", "ship_part", "start_processing", "release", "deliver"),
    *("hold", "capture", "void", "refund", "cancel"),
)


@pytest.fixture
def staff() -> Client:
    """A browser of a superuser."""
    client = Client()
    client.force_login(make_staff(email="boss@example.com", is_superuser=True))
    return client


def page_of(order: Order, step: str = "change") -> str:
    return f"{LIST}{order.pk}/{step}/"


def offered(client: Client, order: Order) -> set[str]:
    """The steps whose links are on the order's page."""
    html = client.get(page_of(order)).content.decode()
    return {step for step in STEPS if f'href="{page_of(order, step)}"' in html}


def take(client: Client, order: Order, step: str, **values: Any) -> Any:
    """The answer to the step's form, once redirects are followed."""
    return client.post(page_of(order, step), values, follow=True)


def fresh(order: Order) -> Order:
    return Order.objects.get(pk=order.pk)


def test_each_status_offers_its_legal_steps_and_no_others(staff: Client) -> None:
    mug = make_product(stock=100)
    order = paid_order((mug, 2))

    assert offered(staff, place((mug, 1))) == {"confirm", "cancel"}
    assert offered(staff, order) == {
        *("ship", "ship_part", "start_processing", "hold"),
        *("refund", "cancel"),
    }
    take(staff, order, "hold", reason="address")
    assert offered(staff, order) == {"release", "start_processing", "refund", "cancel"}
    take(staff, order, "release")
    take(staff, order, "ship", carrier="DHL", tracking_number="1")
    assert offered(staff, order) == {"deliver", "refund"}
    take(staff, order, "deliver")
    assert fresh(order).status == "delivered"
    assert offered(staff, order) == {"refund"}


def test_a_step_that_is_not_offered_is_refused_by_its_address_too(staff: Client) -> None:
    order = paid_order((make_product(), 2))
    take(staff, order, "ship", carrier="", tracking_number="")
    before = fresh(order)

    for step in sorted(set(STEPS) - {"deliver", "refund"}):
        for answer in (
            staff.get(page_of(order, step), follow=True),
            take(staff, order, step, reason="x", amount="1", carrier="", tracking_number=""),
        ):
            assert answer.redirect_chain[-1][0] == page_of(order)
            assert "is not possible here" in answer.content.decode()

    assert fresh(order).version == before.version
    assert fresh(order).status == "shipped"


def test_looking_at_a_step_does_not_take_it(staff: Client) -> None:
    order = paid_order((make_product(), 2))

    for step in sorted(offered(staff, order)):
        assert staff.get(page_of(order, step)).status_code == 200

    assert fresh(order).version == order.version


def test_a_step_needs_the_token_against_forged_requests() -> None:
    order = paid_order((make_product(), 2))
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff(is_superuser=True))

    assert take(client, order, "cancel", reason="forged").status_code == 403

    assert fresh(order).status == "confirmed"


def test_cancelling_needs_a_reason_and_gives_stock_and_money_back(staff: Client) -> None:
    mug = make_product(stock=10)
    order = paid_order((mug, 4))

    assert "This field is required" in take(staff, order, "cancel").content.decode()
    assert fresh(order).status == "confirmed"
    take(staff, order, "cancel", reason="damaged on the way")

    assert fresh(order).status == "cancelled"
    assert stock_of(mug) == (10, 0)
    assert Refund.objects.get(order_id=order.id).amount == order.total
    event = Event.objects.get(object_id=order.id, type="order.cancelled")
    assert (event.actor_kind, event.actor_label) == ("staff", "boss@example.com")
    assert event.data["reason"] == "damaged on the way"
    assert event.request_id
    assert event.ip == "127.0.0.1"


def test_a_part_is_shipped_and_the_rest_later(staff: Client) -> None:
    mug, pot = make_product(stock=10), make_product(stock=10)
    order = paid_order((mug, 3), (pot, 1))
    first, second = order.items.order_by("position")

    answer = take(
        staff,
        order,
        "ship_part",
        carrier="DHL",
        tracking_number="A1",
        **{f"item-{first.id}": "2", f"item-{second.id}": "0"},
    )

    assert "A1" in answer.content.decode()
    assert fresh(order).fulfilment_status == "partially_shipped"
    assert stock_of(mug) == (8, 1)
    too_many = {f"item-{first.id}": "2", f"item-{second.id}": "1"}
    answer = take(staff, order, "ship_part", carrier="", tracking_number="", **too_many)
    assert "less than or equal to 1" in answer.content.decode()
    nothing = {f"item-{first.id}": "0", f"item-{second.id}": "0"}
    answer = take(staff, order, "ship_part", carrier="", tracking_number="", **nothing)
    assert "The parcel would be empty" in answer.content.decode()
    assert Shipment.objects.filter(order=order).count() == 1


def test_a_refund_beyond_what_was_paid_is_refused_in_its_form(staff: Client) -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 2))
    payment = Payment.objects.get(order_id=order.id)

    take(staff, order, "refund", payment=payment.id, amount="15.00", reason="broken")
    answer = take(staff, order, "refund", payment=payment.id, amount="5.01", reason="again")

    assert answer.redirect_chain == []
    assert "more than was captured" in answer.content.decode()
    assert [refund.amount for refund in Refund.objects.all()] == [Decimal("15.00")]


def test_an_authorised_payment_can_be_captured_or_voided_once(staff: Client, settings: Any) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_success")
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    assert {"capture", "void"} <= offered(staff, order)
    take(staff, order, "capture")

    assert Payment.objects.get(order_id=order.id).requested_action == "capture"
    assert not {"capture", "void"} & offered(staff, order)
    assert "is not possible here" in take(staff, order, "void").content.decode()


def test_a_bulk_step_tells_what_was_done_and_what_was_refused(staff: Client) -> None:
    mug = make_product(stock=100)
    ready, unpaid = paid_order((mug, 1)), place((mug, 1))
    chosen = {"action": "ship_all", "_selected_action": [str(ready.pk), str(unpaid.pk)]}

    asked = staff.post(LIST, chosen)
    assert asked.status_code == 200
    assert fresh(ready).status == "confirmed"
    answer = staff.post(LIST, {**chosen, "confirmed": "1", "carrier": "DHL"}, follow=True)

    html = answer.content.decode()
    assert "done for 1" in html
    assert f"{unpaid.number}: Only an order that is confirmed" in html
    assert fresh(ready).status == "shipped"
    assert fresh(unpaid).status == "pending"


def test_staff_see_only_what_they_have_a_right_to() -> None:
    order = paid_order((make_product(), 2))
    clerk = make_staff()
    client = Client()
    client.force_login(clerk)

    assert client.get(LIST).status_code == 403
    assert client.get(page_of(order)).status_code == 403
    assert client.get("/admin/").status_code == 200

    clerk.user_permissions.add(Permission.objects.get(codename="view_order"))
    assert client.get(LIST).status_code == 200
    assert offered(client, order) == set()
    assert take(client, order, "cancel", reason="no right").status_code == 403
    chosen = {"action": "cancel_all", "_selected_action": [str(order.pk)], "confirmed": "1"}
    client.post(LIST, {**chosen, "reason": "no right"})
    assert fresh(order).status == "confirmed"

    clerk.user_permissions.add(Permission.objects.get(codename="change_order"))
    assert "refund" not in offered(client, order)
    assert "cancel" in offered(client, order)
    payment = Payment.objects.get(order_id=order.id)
    refund = take(client, order, "refund", payment=payment.id, amount="1", reason="no right")
    assert refund.status_code == 403
    assert Refund.objects.count() == 0


def test_nothing_of_an_order_is_written_by_hand(staff: Client) -> None:
    order = paid_order((make_product(), 2))
    steps = status_changes_of(order)

    assert staff.post(page_of(order), {"status": "delivered", "total": "0"}).status_code == 403
    assert staff.post(page_of(order, "delete"), {"post": "yes"}).status_code == 403
    assert staff.get(f"{LIST}add/").status_code == 403

    assert (fresh(order).status, status_changes_of(order)) == ("confirmed", steps)


def test_an_orders_page_takes_as_many_statements_for_nine_lines_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    small = paid_order((make_product(), 1))
    large = paid_order(*((make_product(), 1) for _ in range(9)))
    take(staff, small, "ship", carrier="", tracking_number="")
    take(staff, large, "ship", carrier="", tracking_number="")
    with django_assert_max_num_queries(16) as few:
        staff.get(page_of(small))

    with django_assert_max_num_queries(len(few)):
        assert staff.get(page_of(large)).status_code == 200
