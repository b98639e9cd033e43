"""Refunds and returned items."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.models import StockLevel
from oms.core import clock
from oms.core.errors import StaleVersion
from oms.testing.factories import actor_for, make_location, make_product, make_staff
from oms.testing.ordering import (
    paid_order,
    payment_of,
    place,
    refund_of,
    report,
    report_refund,
    settle,
    status_changes_of,
    stock_of,
)
from orders.errors import NothingToRefund, OrderNotShippable, RestockAmbiguous
from orders.models import Cancellation, Order
from orders.operations.cancelling import expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.refunding import RefundedItem, refund_payment
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from payments.errors import RefundExceedsCaptured
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund

pytestmark = pytest.mark.django_db


def test_refunds_add_up_to_partially_and_then_wholly_refunded() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 2))
    payment, staff = payment_of(order), actor_for(make_staff())

    part = refund_of(payment, amount=Decimal("30.00"))
    settle()
    order.refresh_from_db()
    assert order.payment_status == "paid"  # it has not gone yet
    assert report_refund(part)
    settle()
    order.refresh_from_db()
    assert order.payment_status == "partially_refunded"

    rest = refund_of(payment)
    assert rest.amount == Decimal("70.00")
    with pytest.raises(RefundExceedsCaptured) as refusal:
        refund_payment(actor=staff, payment_id=payment.id, amount=Decimal("0.01"))
    assert refusal.value.data == {"captured": "100.00", "refundable": "0.00"}
    assert report_refund(rest)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("cancelled", "refunded")


def test_a_refund_that_failed_can_be_given_again() -> None:
    order = paid_order((make_product(), 1))
    payment, staff = payment_of(order), actor_for(make_staff())
    refund = refund_of(payment)

    report_refund(refund, RefundOutcome.FAILED)
    settle()

    order.refresh_from_db()
    assert order.payment_status == "paid"
    assert refund_payment(actor=staff, payment_id=payment.id).amount == refund.amount


def test_a_refund_with_restock_returns_the_shipped_units() -> None:
    mug = make_product()
    order = paid_order((mug, 2))
    staff = actor_for(make_staff())
    for status in (OrderStatus.PROCESSING, OrderStatus.SHIPPED):
        set_order_status(actor=staff, order_id=order.id, status=status)
    assert stock_of(mug) == (8, 0)

    with pytest.raises(RestockAmbiguous):
        refund_payment(
            actor=staff, payment_id=payment_of(order).id, amount=Decimal("5.00"), restock=True
        )
    refund_payment(actor=staff, payment_id=payment_of(order).id, restock=True)

    assert stock_of(mug) == (10, 0)
    [item] = order.items.all()
    assert (item.quantity_shipped, item.quantity_returned) == (2, 2)
    assert status_changes_of(order).count("order.items_returned") == 1


def test_a_refund_of_nothing_captured_is_refused() -> None:
    order = place((make_product(), 1), token="tok_success")

    with pytest.raises(RefundExceedsCaptured):
        refund_of(payment_of(order))
    assert not Refund.objects.exists()


def test_a_late_payment_is_refunded_if_the_stock_is_sold() -> None:
    mug = make_product(stock=2)
    order = place((mug, 2), token="tok_success")
    Payment.objects.filter(order_id=order.id).update(status="processing")
    expire_orders(at=clock.now() + timedelta(hours=2))
    place((mug, 1))

    report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("expired", "paid")
    assert stock_of(mug) == (2, 1)
    refund = Refund.objects.get(order_id=order.id)
    assert refund.amount == order.total
    assert report_refund(refund)
    settle()
    order.refresh_from_db()
    assert order.payment_status == "refunded"


def refund_units(order: Order, quantity: int, **values: Any) -> Refund:
    """Refund units of the order's only item at its price."""
    [item] = order.items.all()
    refunded = RefundedItem(order_item_id=item.id, quantity=quantity, **values)
    refund = refund_of(payment_of(order), items=[refunded])
    order.refresh_from_db()
    return refund


def ship_units(order: Order, quantity: int) -> None:
    [item] = order.items.all()
    ship_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=item.id, quantity=quantity)],
    )


@pytest.mark.parametrize("restock", [False, True])
def test_a_refund_of_undelivered_units_cancels_them_and_restocks_nothing(restock: bool) -> None:
    mug = make_product(stock=5, price=Decimal("10.00"))
    order = paid_order((mug, 5))
    ship_units(order, 3)

    refund = refund_units(order, 2, restock=restock)

    assert refund.amount == Decimal("20.00")
    [item] = order.items.all()
    assert (item.quantity_cancelled, item.quantity_returned) == (2, 0)
    assert (order.status, order.total) == ("shipped", Decimal("30.00"))
    assert stock_of(mug) == (2, 0)
    assert Cancellation.objects.get(order=order).refund_id == refund.id


def test_an_amount_does_not_say_which_units_to_restock() -> None:
    mug = make_product(stock=5, price=Decimal("10.00"))
    order = paid_order((mug, 5))
    ship_units(order, 3)

    for amount in (Decimal("20.00"), None):
        with pytest.raises(RestockAmbiguous):
            refund_of(payment_of(order), amount=amount, restock=True)

    assert stock_of(mug) == (2, 2)
    assert not Refund.objects.exists()


def test_refunded_units_return_to_a_location_or_where_they_came_from() -> None:
    mug, store = make_product(stock=5, price=Decimal("10.00")), make_location()
    order = paid_order((mug, 5))
    ship_units(order, 4)

    refund_units(order, 1, restock=True, location=store.code)
    assert StockLevel.objects.get(product=mug, location=store).on_hand == 1
    [item] = order.items.all()
    assert (item.quantity_returned, item.quantity_cancelled) == (1, 0)
    refund_units(order, 3, restock=True)

    [item] = order.items.all()
    assert (item.quantity_returned, item.quantity_cancelled) == (3, 1)
    assert order.status == "shipped"
    assert stock_of(mug) == (4, 0)
    with pytest.raises(NothingToRefund) as refusal:
        refund_units(order, 2)
    assert refusal.value.data["items"] == [
        {"order_item_id": str(item.id), "requested": 2, "left": 1, "waiting": 0}
    ]


@pytest.mark.parametrize("is_by_items", [False, True])
def test_an_unshipped_order_that_is_fully_refunded_has_nothing_left_to_ship(
    is_by_items: bool,
) -> None:
    mug = make_product()
    order = paid_order((mug, 2))

    if is_by_items:
        refund_units(order, 2)
    else:
        refund_of(payment_of(order))

    order.refresh_from_db()
    [item] = order.items.all()
    assert (order.status, item.quantity_cancelled) == ("cancelled", 2)
    assert stock_of(mug) == (10, 0)
    assert Refund.objects.filter(order_id=order.id).count() == 1
    with pytest.raises(OrderNotShippable):
        ship_items(actor=actor_for(make_staff()), order_id=order.id)


def test_the_full_refund_of_a_partly_shipped_order_cancels_the_rest() -> None:
    mug = make_product()
    order = paid_order((mug, 3))
    ship_units(order, 1)

    refund_of(payment_of(order))

    order.refresh_from_db()
    [item] = order.items.all()
    assert (order.status, item.quantity_cancelled) == ("shipped", 2)
    assert stock_of(mug) == (9, 0)


def test_a_refund_that_failed_leaves_its_units_to_be_refunded() -> None:
    order = paid_order((make_product(), 2))
    ship_units(order, 2)
    refund = refund_units(order, 2)
    report_refund(refund, RefundOutcome.FAILED)

    assert refund_units(order, 2).amount == order.total


def test_a_refund_raises_the_version_and_honours_the_expected_one() -> None:
    order = paid_order((make_product(), 2))
    payment = payment_of(order)

    with pytest.raises(StaleVersion):
        refund_of(payment, amount=Decimal("1.00"), expected_version=order.version - 1)
    refund_of(payment, amount=Decimal("1.00"), expected_version=order.version)

    before = order.version
    order.refresh_from_db()
    assert order.version == before + 1


def test_refunding_items_takes_as_many_statements_for_ten_lines_as_for_one() -> None:
    staff = actor_for(make_staff())

    def statements(lines: int) -> int:
        order = paid_order(*[(make_product(), 3) for _ in range(lines)])
        items = list(order.items.all())
        ship_items(
            actor=staff,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=2) for item in items],
        )
        refunded = [RefundedItem(order_item_id=item.id, quantity=2, restock=True) for item in items]
        with CaptureQueriesContext(connection) as captured:
            refund_payment(actor=staff, payment_id=payment_of(order).id, items=refunded)
        return len(captured)

    assert statements(10) == statements(1)
