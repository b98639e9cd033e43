"""Refunds of returned units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import payment_of, shipped_order
from orders.errors import NothingToRefund
from orders.models import OrderReturn
from orders.operations.receiving import ReceivedItem, receive_return, record_return
from orders.operations.refunding import RefundedItem, refund_payment
from orders.tests.test_returns import RESTOCK, UNUSABLE, received, returned
from payments.errors import RefundExceedsCaptured

pytestmark = pytest.mark.django_db


def test_a_refund_needs_its_permission_and_money() -> None:
    stock_keeper = actor_for(
        make_staff(permissions=[Permission.ORDERS_VIEW, Permission.RETURNS_HANDLE])
    )
    order = shipped_order((make_product(), 2))

    with pytest.raises(PermissionDenied) as refusal:
        record_return(actor=stock_keeper, order_id=order.id, items=received(order, 1), refund=True)
    assert refusal.value.permission == Permission.PAYMENTS_REFUND
    staff = actor_for(make_staff())
    refund_payment(actor=staff, payment_id=payment_of(order).id, amount=Decimal("30.00"))
    with pytest.raises(RefundExceedsCaptured) as exceeded:
        record_return(actor=staff, order_id=order.id, items=received(order, 1), refund=True)
    assert exceeded.value.data == {
        "requested": "19.90",
        "captured": "39.80",
        "refundable": "9.80",
    }
    assert not OrderReturn.objects.exists()
    record_return(actor=stock_keeper, order_id=order.id, items=received(order, 1))


def test_units_that_were_refunded_are_not_refunded_again_when_they_return() -> None:
    order, staff = shipped_order((make_product(), 2)), actor_for(make_staff())
    [item] = order.items.all()
    refund_payment(
        actor=staff,
        payment_id=payment_of(order).id,
        items=[RefundedItem(order_item_id=item.id, quantity=2)],
    )

    with pytest.raises(NothingToRefund):
        record_return(actor=staff, order_id=order.id, items=received(order, 1), refund=True)
    record_return(actor=staff, order_id=order.id, items=received(order, 2))


def test_receiving_takes_as_many_statements_for_ten_lines_as_for_one() -> None:
    staff = actor_for(make_staff())

    def statements(lines: int) -> int:
        order = shipped_order(*[(make_product(), 2) for _ in range(lines)])
        order_return = returned(order, *[2] * lines)
        items = [
            ReceivedItem(order_item_id=item.id, quantity=1, outcome=outcome)
            for item in order.items.all()
            for outcome in (RESTOCK, UNUSABLE)
        ]
        with CaptureQueriesContext(connection) as captured:
            receive_return(actor=staff, return_id=order_return.id, items=items, refund=True)
        return len(captured)

    assert statements(10) == statements(1)
