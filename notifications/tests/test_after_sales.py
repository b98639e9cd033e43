"""Messages about cancelled items, corrections and returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from notifications.models import Channel, Notification
from notifications.operations.subscriptions import EVENT_TYPES, queue_notifications
from oms.core.actor import Actor
from oms.events.models import Event
from oms.events.relay import recorded
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, report, settle, shipped_order
from orders.models import Order
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem, receive_return, record_return
from orders.operations.refunding import refund_payment
from orders.operations.returns import (
    ReturnedItem,
    approve_return,
    cancel_return,
    reject_return,
    request_return,
)
from orders.operations.shipments import correct_shipment
from orders.placements import OrderedItem
from orders.states import ReturnOutcome
from orders.tests.provider_webhooks import disputed, paid, refunded
from payments.gateways.base import ChargeStatus
from payments.models import Payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Actor:
    return actor_for(make_staff())


def mails_of(work: Callable[[], Any]) -> list[Notification]:
    """The mails about what `work` does."""
    before = Event.objects.latest("position").position
    result = work()
    assert result is not None
    types = [fact.type for fact in EVENT_TYPES]
    events = Event.objects.filter(position__gt=before, type__in=types).order_by("position")
    with transaction.atomic():
        queue_notifications([recorded(event) for event in events])
    mails = Notification.objects.filter(
        event_id__in=[event.id for event in events], channel=Channel.EMAIL
    )
    return list(mails.order_by("id"))


def kinds(mails: Iterable[Notification]) -> list[str]:
    return [mail.kind for mail in mails]


def quantities(order: Order, quantity: int) -> list[ItemQuantity]:
    return [ItemQuantity(order_item_id=i.id, quantity=quantity) for i in order.items.all()]


MONEY = ("refund", "paid", "EUR", "money")


def test_cancelling_an_unpaid_order_says_nothing_about_money() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer)

    [mail] = mails_of(lambda: cancel_order(actor=actor_for(customer), order_id=order.id))

    assert mail.kind == "order_cancelled"
    assert "We won't ship it." in mail.body
    assert not [word for word in MONEY if word in mail.body]


def test_cancelling_a_paid_order_promises_the_refund() -> None:
    order = paid_order((make_product(), 1))

    [mail] = mails_of(lambda: cancel_order(actor=actor_for(order.customer), order_id=order.id))

    assert "We'll refund your payment" in mail.body


def test_cancelling_while_a_payment_is_in_progress_says_what_happens_to_it() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_success")
    Payment.objects.filter(order_id=order.id).update(status="processing")

    [mail] = mails_of(lambda: cancel_order(actor=actor_for(customer), order_id=order.id))

    assert "If your payment still goes through, we'll refund it." in mail.body


def test_cancelling_an_authorised_order_says_that_the_amount_is_released(settings: Any) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_success")
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    [mail] = mails_of(lambda: cancel_order(actor=actor_for(order.customer), order_id=order.id))

    assert "We'll release the amount that was reserved" in mail.body
    assert "refund" not in mail.body


def test_cancelling_a_refunded_order_promises_no_other_refund(staff: Actor) -> None:
    order = paid()
    refunded(payment_of(order), 100_00)

    [mail] = mails_of(lambda: cancel_order(actor=staff, order_id=order.id))

    assert "Your payment was already refunded." in mail.body
    assert "We'll" not in mail.body


def test_a_lost_dispute_is_no_refund_of_ours() -> None:
    order = paid()

    def lose() -> Order:
        disputed(payment_of(order), 100_00)
        disputed(payment_of(order), 100_00, "lost")
        return order

    mails = mails_of(lose)

    assert kinds(mails) == ["order_refunded"]
    assert "Your bank has taken 100.00\N{NO-BREAK SPACE}EUR back from us" in mails[0].body
    assert "We've refunded" not in mails[0].body


def test_cancelled_items_are_listed_with_their_refund(staff: Actor) -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 3))

    [mail] = mails_of(
        lambda: cancel_items(
            actor=staff, order_id=order.id, items=quantities(order, 2), reason="Broken."
        )
    )

    assert mail.kind == "items_cancelled"
    assert "2 items of your order were cancelled" in mail.body
    assert "We'll refund 20.00\N{NO-BREAK SPACE}EUR" in mail.body
    assert "Broken." in mail.body
    assert f"1 × {order.items.get().name}" in mail.body


def test_cancelled_items_of_an_unpaid_order_say_nothing_about_a_refund(staff: Actor) -> None:
    order = place((make_product(), 3))

    [mail] = mails_of(
        lambda: cancel_items(actor=staff, order_id=order.id, items=quantities(order, 1))
    )

    assert "refund" not in mail.body


def test_cancelling_the_last_items_is_one_mail_about_the_order(staff: Actor) -> None:
    order = paid_order((make_product(), 2))

    mails = mails_of(
        lambda: cancel_items(actor=staff, order_id=order.id, items=quantities(order, 2))
    )

    assert kinds(mails) == ["order_cancelled"]
    assert "Any payment will be refunded" in mails[0].body


def test_a_corrected_shipment_is_mailed_with_its_link(staff: Actor) -> None:
    order = paid_order((make_product(), 2))
    shipment = ship_items(actor=staff, order_id=order.id, carrier="DHL", tracking_number="0034")

    [mail] = mails_of(lambda: correct_shipment(actor=staff, shipment_id=shipment.id, carrier="UPS"))

    assert mail.kind == "shipment_corrected"
    assert "Tracking: UPS 0034" in mail.body
    assert "https://www.ups.com/track?tracknum=0034" in mail.body
    assert not mails_of(
        lambda: correct_shipment(actor=staff, shipment_id=shipment.id, carrier="UPS")
    )


def test_a_customer_learns_of_an_address_that_staff_changed_and_of_no_other_edit(
    staff: Actor,
) -> None:
    customer = make_customer()
    order = place((make_product(), 2), customer=customer)
    address = {**order.shipping_address, "line1": "Torstraße 1"}

    [mail] = mails_of(
        lambda: edit_order(actor=staff, order_id=order.id, edit=OrderEdit(shipping_address=address))
    )

    assert mail.kind == "address_corrected"
    assert "Torstraße 1" in mail.body
    own = OrderEdit(shipping_address=order.shipping_address)
    for actor, edit in ((actor_for(customer), own), (staff, OrderEdit(note="x"))):
        assert not mails_of(
            lambda actor=actor, edit=edit: edit_order(  # type: ignore[misc]  # bound now
                actor=actor, order_id=order.id, edit=edit
            )
        )


def test_a_customer_learns_of_items_and_a_billing_address_that_staff_changed(
    staff: Actor,
) -> None:
    mug = make_product(price=Decimal("10.00"))
    order = place((mug, 2))
    items = [OrderedItem(product_id=mug.id, quantity=3)]
    billing = {**order.shipping_address, "line1": "Torstraße 1"}

    [items_mail] = mails_of(
        lambda: edit_order(actor=staff, order_id=order.id, edit=OrderEdit(items=items))
    )
    [address_mail] = mails_of(
        lambda: edit_order(actor=staff, order_id=order.id, edit=OrderEdit(billing_address=billing))
    )

    assert items_mail.kind == "order_edited"
    assert "It costs 30.00\N{NO-BREAK SPACE}EUR now." in items_mail.body
    assert address_mail.kind == "address_corrected"
    assert "the billing address" in address_mail.body
    assert "delivery" not in address_mail.subject


def test_a_return_that_staff_record_on_arrival_is_one_mail(staff: Actor) -> None:
    order = shipped_order((make_product(price=Decimal("10.00")), 2))
    [item] = order.items.all()
    arrived = [ReceivedItem(order_item_id=item.id, quantity=1, outcome=ReturnOutcome.RESTOCK)]

    mails = mails_of(lambda: record_return(actor=staff, order_id=order.id, items=arrived))

    assert kinds(mails) == ["return_received"]


def test_each_step_of_a_return_has_its_words(staff: Actor) -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 6))
    owner = actor_for(order.customer)
    ship_items(actor=staff, order_id=order.id)
    [item] = order.items.all()
    returns: list[Any] = []

    def request() -> Any:
        items = [ReturnedItem(order_item_id=item.id, quantity=2, reason="Cracked.")]
        returns.append(request_return(actor=owner, order_id=order.id, items=items))
        return returns

    def receive(outcome: ReturnOutcome, *, refund: bool) -> Any:
        items = [ReceivedItem(order_item_id=item.id, quantity=1, outcome=outcome)]
        return receive_return(actor=staff, return_id=returns[0].id, items=items, refund=refund)

    requested = mails_of(lambda: [request(), request(), request()])
    approved = mails_of(lambda: approve_return(actor=staff, return_id=returns[0].id))
    rejected = mails_of(
        lambda: reject_return(actor=staff, return_id=returns[1].id, reason="Too late.")
    )
    cancelled = mails_of(lambda: cancel_return(actor=owner, return_id=returns[2].id))
    refunded = mails_of(lambda: receive(ReturnOutcome.RESTOCK, refund=True))
    unusable = mails_of(lambda: receive(ReturnOutcome.UNUSABLE, refund=False))

    assert kinds(requested) == ["return_requested"] * 3
    assert "Cracked." in requested[0].body
    assert "Please send us the items" in approved[0].body
    assert "Too late." in rejected[0].body
    assert kinds(cancelled) == ["return_cancelled"]
    assert "We'll refund 10.00\N{NO-BREAK SPACE}EUR" in refunded[0].body
    for mail in (*requested, *approved, *rejected, *cancelled, *unusable):
        assert "refund" not in mail.body


def test_a_full_refund_of_an_unshipped_order_is_mailed_as_its_cancellation(staff: Actor) -> None:
    order = paid_order((make_product(), 2))

    mails = mails_of(lambda: refund_payment(actor=staff, payment_id=payment_of(order).id))

    assert kinds(mails) == ["order_cancelled"]
