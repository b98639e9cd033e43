"""Returns, cancellations and shipments of one order at once never exceed what there is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx
import pytest
from django.db import connection
from django.db.models import QuerySet

from oms.core.errors import OperationError
from oms.db.transactions import DatabaseBusy
from oms.testing.factories import actor_for, make_product, make_staff, tokens_for
from oms.testing.ordering import outcomes_at_once, paid_order, payment_of, stock_of
from oms.testing.processes import Processes
from orders.errors import (
    NothingToCancel,
    NothingToRefund,
    NothingToReturn,
    NothingToShip,
    OrderNotShippable,
)
from orders.models import Cancellation, OrderItem, OrderReturn, Shipment
from orders.operations import returns
from orders.operations.cancellations import cancel_items
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity, expected_quantities
from orders.operations.receiving import ReceivedItem, record_return
from orders.operations.refunding import RefundedItem, refund_payment
from orders.operations.returns import ReturnedItem, request_return
from orders.states import ReturnOutcome
from payments.errors import RefundExceedsCaptured

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_parallel_returns_by_several_processes_never_exceed_what_was_shipped(
    processes: Processes,
) -> None:
    processes.start("web", {"WEB_WORKERS": "2", "RATE_LIMIT_USER": "100000/minute"})
    mug = make_product(stock=10)
    order = paid_order((mug, 7))
    staff = make_staff()
    ship_items(actor=actor_for(staff), order_id=order.id)
    [item] = order.items.all()
    tokens = [tokens_for(order.customer).access, tokens_for(staff).access]

    def request(number: int) -> int:
        token = tokens[number % 2]
        return httpx.post(
            f"{processes.web_url}/api/v1/orders/{order.id}/returns",
            json={"items": [{"order_item_id": str(item.id), "quantity": 1 + number % 3}]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        ).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(request, range(24)))

    assert set(statuses) == {201, 409}
    expected = sum(part.quantity for one in OrderReturn.objects.all() for part in one.items.all())
    assert expected == 7


def test_without_the_orders_lock_returns_would_exceed_what_was_shipped() -> None:
    """The negative control."""
    order = paid_order((make_product(stock=10), 7))
    ship_items(actor=actor_for(make_staff()), order_id=order.id)
    [item] = order.items.all()
    both_have_read = Barrier(2)

    def read_together(order_id: UUID) -> dict[UUID, int]:
        expected = expected_quantities(order_id)
        both_have_read.wait(timeout=60)
        return expected

    request = partial(
        request_return,
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=item.id, quantity=7)],
    )
    with (
        patch.object(QuerySet, "select_for_update", lambda rows, **_options: rows.all()),
        patch.object(returns, "expected_quantities", read_together),
    ):
        outcomes = outcomes_at_once([request, request])

    assert [type(outcome) for outcome in outcomes] == [OrderReturn, OrderReturn]
    assert expected_quantities(order.id) == {item.id: 14}


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_units_are_shipped_cancelled_returned_and_refunded_once() -> None:
    before = deadlocks()
    staff = actor_for(make_staff())
    for _ in range(5):
        mug = make_product(stock=10)
        order = paid_order((mug, 6))
        [item] = order.items.all()
        ship_items(
            actor=staff,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=3)],
        )
        payment = payment_of(order)
        line: dict[str, Any] = {"order_item_id": item.id, "quantity": 2}

        works: list[Callable[[], object]] = [
            partial(ship_items, actor=staff, order_id=order.id, items=[ItemQuantity(**line)]),
            partial(cancel_items, actor=staff, order_id=order.id, items=[ItemQuantity(**line)]),
            partial(
                record_return,
                actor=staff,
                order_id=order.id,
                items=[ReceivedItem(**line, outcome=ReturnOutcome.RESTOCK)],
                refund=True,
            ),
            partial(
                refund_payment,
                actor=staff,
                payment_id=payment.id,
                items=[RefundedItem(**line, restock=True)],
            ),
        ] * 2
        outcomes = outcomes_at_once(works)

        refusals = (
            DatabaseBusy,  # on a busy machine
            NothingToCancel,
            NothingToRefund,
            NothingToReturn,
            NothingToShip,
            OrderNotShippable,
            RefundExceedsCaptured,
        )
        for outcome in outcomes:
            assert not isinstance(outcome, Exception) or isinstance(outcome, OperationError)
            assert not isinstance(outcome, OperationError) or isinstance(outcome, refusals)
        item = OrderItem.objects.get(pk=item.id)
        assert item.quantity_shipped + item.quantity_cancelled <= item.quantity
        assert item.quantity_returned <= item.quantity_shipped
        payment.refresh_from_db()
        assert payment.refunded_amount <= payment.captured_amount
        on_hand, reserved = stock_of(mug)
        assert on_hand == 10 - item.quantity_shipped + item.quantity_returned
        order.refresh_from_db()
        assert reserved == (item.left_to_ship if order.holds_stock else 0)
        assert order.total == item.unit_price * (item.quantity - item.quantity_cancelled)
        shipped = Shipment.objects.filter(order=order).count()
        cancelled = Cancellation.objects.filter(order=order).count()
        assert shipped + cancelled > 1
    assert deadlocks() == before
