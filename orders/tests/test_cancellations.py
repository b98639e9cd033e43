"""Cancelling quantities of an order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from oms.core.errors import Invalid, PermissionDenied, StaleVersion
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import (
    paid_order,
    payment_of,
    place,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from orders.errors import NothingToCancel, OrderNotEditable
from orders.models import Cancellation, Order
from orders.operations.cancellations import cancel_items
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.status_changes import set_order_status
from orders.placements import OrderedItem
from orders.states import OrderStatus
from payments.models import Refund

pytestmark = pytest.mark.django_db


def cancel(order: Order, *lines: tuple[int, int], **values: object) -> Cancellation:
    """Cancel quantities of the order's items by position."""
    items = list(order.items.all())
    cancellation, _ = cancel_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[
            ItemQuantity(order_item_id=items[position].id, quantity=quantity)
            for position, quantity in lines
        ],
        **values,  # type: ignore[arg-type]  # the keywords of the operation
    )
    order.refresh_from_db()
    return cancellation


def ship(order: Order, *lines: tuple[int, int]) -> None:
    items = list(order.items.all())
    ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=items[p].id, quantity=n) for p, n in lines],
    )
    order.refresh_from_db()


def test_broken_units_of_a_partly_shipped_order_are_cancelled_refunded_and_booked() -> None:
    mug = make_product(stock=5, price=Decimal("10.00"))
    order = paid_order((mug, 5))
    ship(order, (0, 3))

    cancellation = cancel(order, (0, 2), reason="Broken in the warehouse.")
    adjust_stock(
        actor=actor_for(make_staff()),
        product_id=mug.id,
        reason=AdjustmentReason.DAMAGED,
        amount=Change(delta=-2),
    )

    [item] = order.items.all()
    assert (item.quantity, item.quantity_shipped, item.quantity_cancelled) == (5, 3, 2)
    assert (item.line_total, order.total) == (Decimal("30.00"), Decimal("30.00"))
    assert (order.status, order.fulfilment_status) == ("shipped", "shipped")
    refund = Refund.objects.get(order_id=order.id)
    assert (refund.amount, refund.id) == (Decimal("20.00"), cancellation.refund_id)
    assert stock_of(mug) == (0, 0)
    event = Event.objects.get(type="order.items_cancelled")
    assert (event.data["pieces"], event.data["amount"], event.data["refunded"]) == (
        2,
        "20.00",
        "20.00",
    )


def test_some_units_are_cancelled_and_the_rest_ships() -> None:
    mug, pot = make_product(price=Decimal("10.00")), make_product(price=Decimal("25.00"))
    order = paid_order((mug, 3), (pot, 2))
    version = order.version

    cancel(order, (0, 1), (1, 2))

    assert (order.status, order.total, order.version) == (
        "confirmed",
        Decimal("20.00"),
        version + 1,
    )
    assert (stock_of(mug), stock_of(pot)) == ((10, 2), (10, 0))
    assert Refund.objects.get(order_id=order.id).amount == Decimal("60.00")
    ship_items(actor=actor_for(make_staff()), order_id=order.id)
    order.refresh_from_db()
    assert (order.status, order.fulfilment_status) == ("shipped", "shipped")
    assert (stock_of(mug), stock_of(pot)) == ((8, 0), (10, 0))


def test_cancelling_everything_cancels_the_order() -> None:
    mug = make_product(price=Decimal("10.00"))
    order = paid_order((mug, 3))

    cancel(order, (0, 1))
    cancel(order, (0, 2), reason="Sold out.")

    assert (order.status, order.fulfilment_status, order.total) == ("cancelled", "unfulfilled", 0)
    assert stock_of(mug) == (10, 0)
    amounts = Refund.objects.filter(order_id=order.id).order_by("id")
    assert [refund.amount for refund in amounts] == [Decimal("10.00"), Decimal("20.00")]
    assert payment_of(order).refundable == 0
    assert status_changes_of(order)[-2:] == ["order.items_cancelled", "order.cancelled"]


def test_an_order_whose_shipments_all_arrived_is_delivered_once_the_rest_is_cancelled() -> None:
    order = paid_order((make_product(), 3))
    ship(order, (0, 2))
    order.shipments.update(status="delivered", delivered_at=order.placed_at)
    staff = actor_for(make_staff())
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.ON_HOLD)

    cancel(order, (0, 1))

    assert (order.status, order.fulfilment_status) == ("delivered", "delivered")
    assert status_changes_of(order)[-4:] == [
        "order.items_cancelled",
        "order.processing_started",
        "order.shipped",
        "order.delivered",
    ]


def test_more_than_is_left_is_refused_naming_every_line() -> None:
    mug, pot = make_product(), make_product()
    order = paid_order((mug, 3), (pot, 1))
    ship(order, (0, 2))
    items = list(order.items.all())

    with pytest.raises(NothingToCancel) as refusal:
        cancel(order, (0, 2), (1, 2))

    assert refusal.value.data["items"] == [
        {"order_item_id": str(items[0].id), "requested": 2, "left": 1, "waiting": 0},
        {"order_item_id": str(items[1].id), "requested": 2, "left": 1, "waiting": 0},
    ]
    assert stock_of(mug) == (8, 1)
    assert not Refund.objects.exists()
    ship(order, (0, 1), (1, 1))
    with pytest.raises(NothingToCancel):
        cancel(order, (0, 1))


def test_items_of_other_orders_and_old_versions_are_refused() -> None:
    order = paid_order((make_product(), 3))
    staff = actor_for(make_staff())

    with pytest.raises(Invalid) as refusal:
        cancel_items(
            actor=staff,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=new_id(), quantity=1)],
        )
    assert refusal.value.errors[0].pointer == "/items/0/order_item_id"
    with pytest.raises(StaleVersion):
        cancel(order, (0, 1), expected_version=order.version - 1)
    assert not Cancellation.objects.exists()


def test_an_unpaid_order_shrinks_without_a_refund() -> None:
    order = place((make_product(price=Decimal("10.00")), 3))

    cancellation = cancel(order, (0, 1))

    assert (order.status, order.total) == ("pending", Decimal("20.00"))
    assert cancellation.refund_id is None
    assert not Refund.objects.exists()
    event = Event.objects.get(type="order.items_cancelled")
    assert event.data["refunded"] == "0.00"


def test_what_is_cancelled_while_a_payment_is_in_progress_is_refunded_once_it_is_captured() -> None:
    order = place((make_product(price=Decimal("10.00")), 5), token="tok_success")
    cancellation = cancel(order, (0, 2))
    assert payment_of(order).amount == Decimal("50.00")
    assert cancellation.refund_id is None

    report(order)
    settle()
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    refund = Refund.objects.get(order_id=order.id)
    assert refund.amount == Decimal("20.00")
    cancellation.refresh_from_db()
    assert cancellation.refund_id == refund.id
    cancel(order, (0, 1))
    assert payment_of(order).refundable == Decimal("20.00")


def test_cancelling_what_is_not_paid_fully_refunds_what_exceeds_the_rest() -> None:
    order = paid_order((make_product(price=Decimal("10.00")), 10))
    payment = payment_of(order)
    payment.captured_amount = Decimal("70.00")
    payment.save()

    cancel(order, (0, 5))

    assert Refund.objects.get(order_id=order.id).amount == Decimal("20.00")


def test_staff_without_the_permission_to_refund_cancel_only_what_is_not_paid() -> None:
    clerk = actor_for(make_staff(permissions=[Permission.ORDERS_VIEW, Permission.ORDERS_CANCEL]))
    paid, unpaid = paid_order((make_product(), 2)), place((make_product(), 2))

    [item] = paid.items.all()
    with pytest.raises(PermissionDenied) as refusal:
        cancel_items(
            actor=clerk,
            order_id=paid.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=1)],
        )
    assert refusal.value.permission == Permission.PAYMENTS_REFUND
    [item] = unpaid.items.all()
    cancel_items(
        actor=clerk, order_id=unpaid.id, items=[ItemQuantity(order_item_id=item.id, quantity=1)]
    )
    unpaid.refresh_from_db()
    assert unpaid.total == item.unit_price


def test_customers_cancel_no_quantities_of_their_own_orders() -> None:
    customer = make_customer()
    order = place((make_product(), 2), customer=customer)
    [item] = order.items.all()

    with pytest.raises(PermissionDenied):
        cancel_items(
            actor=actor_for(customer),
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=1)],
        )


def test_the_items_of_an_order_with_cancelled_quantities_are_not_edited() -> None:
    mug, customer = make_product(), make_customer()
    order = place((mug, 3), customer=customer)
    cancel(order, (0, 1))

    with pytest.raises(OrderNotEditable):
        edit_order(
            actor=actor_for(customer),
            order_id=order.id,
            edit=OrderEdit(items=[OrderedItem(product_id=mug.id, quantity=5)]),
        )
    edited = edit_order(
        actor=actor_for(customer), order_id=order.id, edit=OrderEdit(note="Ring twice.")
    )

    assert edited.note == "Ring twice."
    assert stock_of(mug) == (10, 2)


def test_cancelling_takes_as_many_statements_for_ten_lines_as_for_one() -> None:
    def statements(lines: int) -> int:
        order = paid_order(*[(make_product(), 2) for _ in range(lines)])
        with CaptureQueriesContext(connection) as captured:
            cancel(order, *[(position, 1) for position in range(lines)])
        return len(captured)

    assert statements(10) == statements(1)
