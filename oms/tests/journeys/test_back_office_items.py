"""Staff cancel, refund and take back items, and correct what was sent, in the back office."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from oms.testing.factories import actor_for, make_location, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, stock_of
from orders.models import Order, OrderItem, OrderReturn
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.returns import ReturnedItem, request_return
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db

ACTIONS = (
    *("cancel_items", "refund_items", "record_return"),
    *("correct_address", "correct_billing_address"),
)


def page_of(obj: Any, action: str = "change") -> str:
    return f"/admin/orders/{obj._meta.model_name}/{obj.pk}/{action}/"


def available(client: Client, order: Order) -> set[str]:
    html = client.get(page_of(order)).content.decode()
    return {action for action in ACTIONS if f'href="{page_of(order, action)}"' in html}


def run(client: Client, obj: Any, action: str, **values: Any) -> str:
    """The page after the action's form was sent."""
    response = client.post(page_of(obj, action), values, follow=True)
    assert response.status_code == 200
    html: str = response.content.decode()
    return html


@pytest.fixture
def order() -> Order:
    """Three of five units are shipped."""
    order = paid_order((make_product(stock=5, price=Decimal("10.00"), name="Cup"), 5))
    ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=order.items.get().id, quantity=3)],
        carrier="DHL",
        tracking_number="0034",
    )
    return order


def line_of(order: Order) -> OrderItem:
    return order.items.select_related("product").get()


def test_the_actions_follow_what_was_shipped(staff: Client, order: Order) -> None:
    assert available(staff, place((make_product(), 1))) == {
        *("cancel_items", "correct_address", "correct_billing_address")
    }
    assert available(staff, order) == set(ACTIONS)
    ship_items(actor=actor_for(make_staff()), order_id=order.id)
    assert available(staff, order) == {"refund_items", "record_return"}


def test_broken_items_are_cancelled_and_refunded(staff: Client, order: Order) -> None:
    field = f"item-{line_of(order).id}"
    assert "2 of 5 left to ship." in staff.get(page_of(order, "cancel_items")).content.decode()

    nothing = run(staff, order, "cancel_items", reason="Broken", **{field: "0"})
    done = run(staff, order, "cancel_items", reason="Broken", **{field: "2"})

    assert "Enter a quantity for at least one item" in nothing
    assert "2 items cancelled, worth 20.00" in done
    assert "Items cancelled" in done
    card = done.partition('aria-labelledby="cancellations"')[2].partition("</section>")[0]
    assert "2 × Cup" in card
    assert "Broken" in card
    assert "−20.00 EUR" in card
    assert f"/admin/payments/refund/{Refund.objects.get().pk}/change/" in card
    item = line_of(order)
    assert (item.quantity_cancelled, Refund.objects.get().amount) == (2, Decimal("20.00"))
    assert stock_of(item.product) == (2, 0)


def test_items_are_refunded_at_their_price(staff: Client, order: Order) -> None:
    field = f"item-{line_of(order).id}"
    values = {"reason": "Cracked", "payment": str(payment_of(order).id)}

    done = run(staff, order, "refund_items", restock="on", **values, **{field: "3"})

    assert "Refund of 30.00" in done
    item = line_of(order)
    assert (item.quantity_cancelled, item.quantity_returned) == (2, 1)
    too_many = run(staff, order, "refund_items", **values, **{field: "3"})
    assert "There are fewer items left to refund than requested." in too_many


def test_items_are_refunded_from_the_payment_that_is_chosen(staff: Client) -> None:
    order = paid_order((make_product(stock=5, price=Decimal("10.00")), 2))
    first = payment_of(order)
    other = {"order_id": order.id, "provider": "sandbox", "status": "captured", "token": ""}
    kept = {"captured_amount": Decimal("10.00"), "captured_at": first.captured_at}
    second, foreign = (
        Payment.objects.create(**other, **kept, amount=Decimal("10.00"), currency=currency)
        for currency in ("EUR", "USD")
    )

    form = staff.get(page_of(order, "refund_items")).context["form"]
    assert [id for id, _ in form.fields["payment"].choices] == [str(first.id), str(second.id)]
    values = {"reason": "Cracked", f"item-{line_of(order).id}": "1"}
    refused = run(staff, order, "refund_items", payment=str(foreign.id), **values)
    assert "Select a valid choice" in refused
    run(staff, order, "refund_items", payment=str(second.id), **values)

    refund = Refund.objects.get()
    assert (refund.payment_id, refund.amount) == (second.id, Decimal("10.00"))


def test_a_return_without_a_request_is_recorded(staff: Client, order: Order) -> None:
    outlet = make_location(name="Outlet")
    field = f"item-{line_of(order).id}"
    values = {"outcome": "restock", "location": outlet.code, "refund": "on", "reason": ""}

    done = run(staff, order, "record_return", **values, **{field: "2"})

    assert f"Return recorded for order {order.number}." in done
    assert "Returns" in done
    assert OrderReturn.objects.get().status == "received"
    assert outlet.stock_levels.get().on_hand == 2
    assert Refund.objects.get().amount == Decimal("20.00")


def test_a_requested_return_is_approved_and_received(staff: Client, order: Order) -> None:
    item = line_of(order)
    order_return = request_return(
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=item.id, quantity=2, reason="Cracked")],
    )
    listed = staff.get("/admin/orders/orderreturn/", {"q": f"#{order.number.lower()}"})
    assert order.number in listed.content.decode()
    page = staff.get(page_of(order_return)).content.decode()
    assert "0 of 2 × Cup arrived: Cracked" in page

    assert "Return approved." in run(staff, order_return, "approve")
    values = {"outcome": "unusable", "location": "", f"item-{item.id}": "1", "is_last": "on"}
    assert "Return is now received." in run(staff, order_return, "receive", **values)

    assert line_of(order).quantity_returned == 1
    for action in ("approve", "receive", "reject"):
        assert "isn&#x27;t available" in run(staff, order_return, action, reason="x")


def test_a_return_is_rejected_with_a_reason(staff: Client, order: Order) -> None:
    order_return = request_return(
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=line_of(order).id, quantity=2)],
    )

    assert "This field is required" in run(staff, order_return, "reject")
    assert "Return rejected." in run(staff, order_return, "reject", reason="Worn")
    order_return.refresh_from_db()
    assert (order_return.status, order_return.reason) == ("rejected", "Worn")


def test_tracking_and_address_are_corrected(staff: Client, order: Order) -> None:
    shipment = order.shipments.get()
    form = staff.get(page_of(shipment, "correct")).content.decode()
    assert 'value="0034"' in form

    run(staff, shipment, "correct", carrier="DHL", tracking_number="0035")
    run(staff, shipment, "deliver_shipment")
    address = {**order.shipping_address, "line1": "Torstraße 1"}
    assert 'value="Ada Lovelace"' in staff.get(page_of(order, "correct_address")).content.decode()
    run(staff, order, "correct_address", **address)

    shipment.refresh_from_db()
    order.refresh_from_db()
    assert (shipment.tracking_number, shipment.status) == ("0035", "delivered")
    assert order.shipping_address == address
    assert order.status == "processing"
