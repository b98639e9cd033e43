"""Returns: requests, approvals, receipts and refunds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from inventory.models import StockLevel, StockMovement
from oms.core.errors import Invalid, NotFound, PermissionDenied, StaleVersion
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import (
    actor_for,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import paid_order, place, shipped_order, stock_of
from orders.errors import InvalidTransition, NothingToReturn
from orders.models import Order, OrderReturn, ReturnReceipt
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem, receive_return, record_return
from orders.operations.returns import (
    ReturnedItem,
    approve_return,
    cancel_return,
    reject_return,
    request_return,
)
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus, ReturnOutcome
from payments.models import Refund

pytestmark = pytest.mark.django_db

RESTOCK, UNUSABLE = ReturnOutcome.RESTOCK, ReturnOutcome.UNUSABLE


def returned(order: Order, *quantities: int) -> OrderReturn:
    """A return of so many units of each of the order's items, requested by its customer."""
    return request_return(
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[
            ReturnedItem(order_item_id=item.id, quantity=quantity, reason="Too small.")
            for item, quantity in zip(order.items.all(), quantities, strict=False)
            if quantity
        ],
    )


def received(
    order: Order, quantity: int, outcome: ReturnOutcome = RESTOCK, location: str = ""
) -> list[ReceivedItem]:
    """Units of the order's only item that arrived."""
    [item] = order.items.all()
    return [
        ReceivedItem(order_item_id=item.id, quantity=quantity, outcome=outcome, location=location)
    ]


def test_a_return_is_requested_approved_and_received_in_parts() -> None:
    mug, staff = make_product(price=Decimal("10.00")), actor_for(make_staff())
    order = shipped_order((mug, 5))
    assert stock_of(mug) == (5, 0)

    order_return = returned(order, 3)
    assert order_return.status == "requested"
    order_return = approve_return(actor=staff, return_id=order_return.id)
    assert order_return.status == "approved"
    order_return = receive_return(
        actor=staff, return_id=order_return.id, items=received(order, 1), refund=True
    )
    assert order_return.status == "partially_received"
    order_return = receive_return(
        actor=staff,
        return_id=order_return.id,
        items=[*received(order, 1), *received(order, 1, UNUSABLE)],
    )

    assert order_return.status == "received"
    [item] = order.items.all()
    assert (item.quantity_shipped, item.quantity_returned) == (5, 3)
    assert stock_of(mug) == (7, 0)
    moves = StockMovement.objects.filter(order_id=order.id, kind="return")
    assert sorted(moves.values_list("on_hand_delta", flat=True)) == [1, 1]
    refund = Refund.objects.get(order_id=order.id)
    assert refund.amount == Decimal("10.00")
    receipts = ReturnReceipt.objects.order_by("id")
    assert [receipt.refund_id for receipt in receipts] == [refund.id, None]
    events = Event.objects.filter(object_id=order_return.id).order_by("position")
    assert [event.type for event in events] == [
        "return.requested",
        "return.approved",
        "return.received",
        "return.received",
    ]
    first, last = events[2].data, events[3].data
    assert (first["pieces"], first["restocked"], first["amount"]) == (1, 1, "10.00")
    assert (last["pieces"], last["restocked"], last["amount"]) == (2, 1, "0.00")
    assert (first["is_complete"], last["is_complete"]) == (False, True)


def test_each_change_raises_the_version_of_the_order() -> None:
    order, staff = shipped_order((make_product(), 2)), actor_for(make_staff())

    order_return = returned(order, 2)
    with pytest.raises(StaleVersion):
        approve_return(actor=staff, return_id=order_return.id, expected_version=order.version)
    approve_return(actor=staff, return_id=order_return.id, expected_version=order.version + 1)
    receive_return(
        actor=staff,
        return_id=order_return.id,
        items=received(order, 2),
        expected_version=order.version + 2,
    )

    before = order.version
    order.refresh_from_db()
    assert order.version == before + 3


def test_units_return_to_where_they_came_from_or_to_the_given_location() -> None:
    mug, store, outlet = make_product(stock=2), make_location(), make_location()
    StockLevel.objects.create(product=mug, location=store, on_hand=3)
    order = shipped_order((mug, 4))
    staff = actor_for(make_staff())
    assert StockLevel.objects.get(product=mug, location=store).on_hand == 1

    with pytest.raises(Invalid) as refusal:
        record_return(actor=staff, order_id=order.id, items=received(order, 1, location="moon"))
    assert refusal.value.errors[0].pointer == "/items/0/location"
    record_return(actor=staff, order_id=order.id, items=received(order, 1, location=outlet.code))
    record_return(actor=staff, order_id=order.id, items=received(order, 3))

    assert StockLevel.objects.get(product=mug, location=outlet).on_hand == 1
    assert stock_of(mug) == (5, 0)


def test_staff_create_and_receive_a_return_at_once() -> None:
    mug, staff = make_product(), actor_for(make_staff())
    order = shipped_order((mug, 2))

    order_return = record_return(
        actor=staff, order_id=order.id, items=received(order, 2), refund=True
    )

    assert order_return.status == "received"
    assert Refund.objects.get(order_id=order.id).amount == order.total
    assert stock_of(mug) == (10, 0)


def test_a_return_that_was_not_approved_is_received_all_the_same() -> None:
    order = shipped_order((make_product(), 2))
    order_return = returned(order, 2)

    done = receive_return(
        actor=actor_for(make_staff()),
        return_id=order_return.id,
        items=received(order, 1),
        is_last=True,
    )

    assert done.status == "received"
    assert returned(order, 1).status == "requested"  # the unit that did not arrive


def test_open_returns_together_never_exceed_what_was_shipped() -> None:
    mug, pot = make_product(), make_product()
    order = paid_order((mug, 5), (pot, 2))
    items = list(order.items.all())
    ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=items[0].id, quantity=3)],
    )
    returned(order, 2)

    with pytest.raises(NothingToReturn) as refusal:
        returned(order, 2, 1)

    assert refusal.value.data["items"] == [
        {"order_item_id": str(items[0].id), "requested": 2, "left": 1, "waiting": 0},
        {"order_item_id": str(items[1].id), "requested": 1, "left": 0, "waiting": 0},
    ]
    returned(order, 1)


def test_a_rejected_or_cancelled_return_expects_nothing() -> None:
    order = shipped_order((make_product(), 1))
    staff, owner = actor_for(make_staff()), actor_for(order.customer)

    first = returned(order, 1)
    rejected = reject_return(actor=staff, return_id=first.id, reason="Worn.")
    second = returned(order, 1)
    cancelled = cancel_return(actor=owner, return_id=second.id)
    third = returned(order, 1)

    assert (rejected.status, rejected.reason) == ("rejected", "Worn.")
    assert (cancelled.status, third.status) == ("cancelled", "requested")
    for ended in (first, second):
        with pytest.raises(InvalidTransition):
            approve_return(actor=staff, return_id=ended.id)
        with pytest.raises(NothingToReturn):
            receive_return(actor=staff, return_id=ended.id, items=received(order, 2))
        with pytest.raises(InvalidTransition):
            receive_return(actor=staff, return_id=ended.id, items=received(order, 1))


def test_what_arrived_in_part_can_neither_be_rejected_nor_cancelled() -> None:
    order, staff = shipped_order((make_product(), 2)), actor_for(make_staff())
    order_return = returned(order, 2)
    with pytest.raises(InvalidTransition, match="reject it instead"):
        receive_return(actor=staff, return_id=order_return.id, items=[], is_last=True)
    receive_return(actor=staff, return_id=order_return.id, items=received(order, 1))

    with pytest.raises(InvalidTransition) as refusal:
        reject_return(actor=staff, return_id=order_return.id, reason="Worn.")
    assert refusal.value.data["allowed"] == ["partially_received", "received"]
    with pytest.raises(InvalidTransition):
        cancel_return(actor=actor_for(order.customer), return_id=order_return.id)
    done = receive_return(actor=staff, return_id=order_return.id, items=[], is_last=True)
    assert done.status == "received"


def test_nothing_shipped_nothing_returned() -> None:
    with pytest.raises(NothingToReturn):
        returned(place((make_product(), 1)), 1)


def test_delivered_orders_are_returned_by_their_owners_alone() -> None:
    order = shipped_order((make_product(), 2))
    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.DELIVERED)
    [item] = order.items.all()
    items = [ReturnedItem(order_item_id=item.id, quantity=1)]

    with pytest.raises(NotFound):
        request_return(actor=actor_for(make_customer()), order_id=order.id, items=items)
    with pytest.raises(PermissionDenied):
        request_return(
            actor=actor_for(make_staff(permissions=[Permission.ORDERS_VIEW])),
            order_id=order.id,
            items=items,
        )
    order_return = returned(order, 1)
    for change in (approve_return, cancel_return):
        with pytest.raises((NotFound, PermissionDenied)):
            change(actor=actor_for(make_customer()), return_id=order_return.id)
