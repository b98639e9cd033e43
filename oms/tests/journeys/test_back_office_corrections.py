"""Staff correct what an order says, and forms that were opened before it changed are refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from oms.events.models import Event
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import ADDRESS, paid_order, place, shipped_order
from orders.models import Order, OrderReturn
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.returns import ReturnedItem, request_return
from payments.models import Refund

pytestmark = pytest.mark.django_db

STALE = "This was changed after you opened the page, so nothing was done."


def page_of(obj: Any, action: str) -> str:
    return f"/admin/orders/{obj._meta.model_name}/{obj.pk}/{action}/"


def shown(client: Client, obj: Any, action: str) -> dict[str, Any]:
    """What the form of the action has at first."""
    form = client.get(page_of(obj, action)).context["form"]
    return {bound.html_name: bound.value() for bound in form if bound.value() is not None}


def send(client: Client, obj: Any, action: str, values: dict[str, Any]) -> str:
    html: str = client.post(page_of(obj, action), values, follow=True).content.decode()
    return html


def change(order: Order) -> None:
    """What somebody else does meanwhile."""
    edit = OrderEdit(internal_note="changed meanwhile")
    edit_order(actor=actor_for(make_staff()), order_id=order.id, edit=edit)


def test_note_reference_and_metadata_are_edited_at_any_time(staff: Client) -> None:
    order = shipped_order((make_product(), 1))
    values = {
        "internal_note": "Called twice.\r\nNo answer.",
        "reference": "PO-7",
        "metadata": '{"channel": "phone", "lines": "a\\nb"}',
    }

    send(staff, order, "edit_details", {**shown(staff, order, "edit_details"), **values})
    order.refresh_from_db()
    assert (order.internal_note, order.reference) == ("Called twice.\nNo answer.", "PO-7")
    assert order.metadata == {"channel": "phone", "lines": "a\nb"}
    events = Event.objects.filter(object_id=order.id).count()

    # What is sent as it was shown changes nothing; what is emptied is removed.
    again = shown(staff, order, "edit_details")
    again["internal_note"] = again["internal_note"].replace("\n", "\r\n")
    send(staff, order, "edit_details", again)
    assert Event.objects.filter(object_id=order.id).count() == events
    empty = {**again, "internal_note": "", "reference": "", "metadata": ""}
    page = send(staff, order, "edit_details", empty)

    order.refresh_from_db()
    assert f"Order {order.number} saved." in page
    assert (order.internal_note, order.reference, order.metadata) == ("", None, {})


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("{", "Enter valid JSON"),
        ('{"a": "\\ud800"}', "Enter valid JSON"),
        ('["a"]', "Expected a dictionary of items"),
        ('{"a": 1}', "a: Not a valid string."),
        ('{"a": "\\u0007"}', "a: Control characters are not allowed."),
    ],
)
def test_metadata_that_the_api_refuses_are_refused(staff: Client, metadata: str, said: str) -> None:
    order = place((make_product(), 1))

    page = send(staff, order, "edit_details", {"metadata": metadata})

    assert said in page
    order.refresh_from_db()
    assert (order.metadata, order.version) == ({}, 1)


def test_a_reference_that_the_customer_has_used_is_refused(staff: Client) -> None:
    other = place((make_product(), 1))
    order = place((make_product(), 1), customer=other.customer)
    send(staff, other, "edit_details", {"reference": "PO-7"})

    assert "PO-7" in send(staff, order, "edit_details", {"reference": "PO-7"})

    order.refresh_from_db()
    assert order.reference is None


def test_the_billing_address_is_added_corrected_and_removed(staff: Client) -> None:
    order = paid_order((make_product(), 1))
    assert shown(staff, order, "correct_billing_address").keys() == {"expected_version"}

    partly = {"name": "Ada GmbH", "country": "DE"}
    assert "This field is required." in send(staff, order, "correct_billing_address", partly)
    whole = {**ADDRESS, "name": "Ada GmbH"}
    send(staff, order, "correct_billing_address", whole)
    order.refresh_from_db()
    assert (order.billing_address, order.shipping_address) == (whole, ADDRESS)
    page = send(staff, order, "correct_billing_address", dict.fromkeys(whole, ""))

    order.refresh_from_db()
    assert "Billing address corrected." in page
    assert order.billing_address is None


ACTIONS_OF_ORDERS = {
    "ship": {},
    "hold": {},
    "cancel": {"reason": "x"},
    "refund": {"reason": "x"},
    "refund_items": {"reason": "x", "item": "1"},
    "cancel_items": {"reason": "x", "item": "1"},
    "correct_address": {"city": "Potsdam"},
    "correct_billing_address": ADDRESS,
    "edit_details": {"reference": "PO-8"},
}


@pytest.mark.parametrize("action", ACTIONS_OF_ORDERS)
def test_a_form_that_was_opened_before_the_order_changed_is_refused(
    staff: Client, action: str
) -> None:
    order = paid_order((make_product(), 2))
    values = shown(staff, order, action)
    given = dict(ACTIONS_OF_ORDERS[action])
    if "item" in given:
        given[f"item-{order.items.get().id}"] = given.pop("item")
    if "refund" in action:
        values["payment"] = str(staff.get(page_of(order, action)).context["form"].payments()[0].id)
    change(order)
    before = Order.objects.filter(pk=order.pk).values().get()

    refused = send(staff, order, action, {**values, **given})

    assert STALE in refused
    assert Order.objects.filter(pk=order.pk).values().get() == before
    fresh = {**values, **given, "expected_version": str(before["version"])}
    assert STALE not in send(staff, order, action, fresh)
    assert Order.objects.get(pk=order.pk).version > before["version"]


def test_sending_a_refund_twice_refunds_once(staff: Client) -> None:
    order = paid_order((make_product(), 2))
    values = {**shown(staff, order, "refund"), "amount": "5.00", "reason": "Late"}
    payment = staff.get(page_of(order, "refund")).context["form"].payments()[0]
    values["payment"] = str(payment.id)

    pages = [send(staff, order, "refund", values) for _ in range(2)]

    assert "Refund of 5.00 EUR requested." in pages[0]
    assert STALE in pages[1]
    assert Refund.objects.count() == 1


def test_forms_of_shipments_and_returns_are_refused_too(staff: Client) -> None:
    order = shipped_order((make_product(), 2))
    shipment = order.shipments.get()
    order_return = request_return(
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=order.items.get().id, quantity=2)],
    )
    forms = [
        (shipment, "correct", {"carrier": "UPS"}),
        (shipment, "deliver_shipment", {}),
        (order_return, "approve", {}),
        (order_return, "reject", {"reason": "x"}),
        (order_return, "receive", {}),
    ]
    values = [{**shown(staff, obj, action), **given} for obj, action, given in forms]
    change(order)

    for (obj, action, _), sent in zip(forms, values, strict=True):
        assert STALE in send(staff, obj, action, {"outcome": "restock", **sent}), action

    shipment.refresh_from_db()
    assert (shipment.carrier, shipment.status) == ("", "shipped")
    assert OrderReturn.objects.get().status == "requested"
