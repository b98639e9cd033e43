"""Receipts, stock alerts, edits, returns and shipments beside changes of the same stock levels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from inventory.errors import InStock, OutOfStock, StockLinesConflict
from inventory.models import Location, Product, StockAlert, StockDocument, StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.documents import StockLine
from inventory.operations.receiving import CHUNK, receive_stock
from inventory.operations.returning import ReturnedUnits, return_units
from inventory.operations.stock import Cause, open_stock_allocator
from inventory.operations.stock_alerts import add_stock_alert, take_stock_alerts
from inventory.operations.transferring import transfer_stock
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.testing.factories import (
    actor_for,
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import (
    outcomes_at_once,
    paid_order,
    payment_of,
    place,
    report,
    settle,
    shipped_order,
)
from oms.testing.threads import at_once, until_somebody_waits_for_a_lock
from oms.tests.concurrency.test_allocation_races import deadlocks, violations
from orders.models import Order
from orders.operations.cancelling import expire_orders
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.placements import OrderedItem
from orders.tests.provider_webhooks import CHOICE
from payments.gateways.base import ChargeStatus
from payments.locks import lock_payments
from payments.models import Refund

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

STAFF = system("tests")
FULL = 2_000_000_000


def while_held(product: Product, call: Callable[[], Any], then: Callable[[], object]) -> Any:
    """What `call` returned or raised, which waits for the product's stock until `then` is done."""
    waits = threading.Event()

    @transaction.atomic
    def hold() -> None:
        open_stock_allocator([product.id])
        waits.set()
        until_somebody_waits_for_a_lock()
        then()

    def wait_and_call() -> Any:
        waits.wait(timeout=10)
        return call()

    outcome, held = outcomes_at_once([wait_and_call, hold])
    assert held is None
    return outcome


def receive(product: Product, quantity: int = 5, location: str = "second") -> StockDocument:
    """Receive that many, by default at the second location, where the product has no level yet."""
    line = StockLine(product_id=product.id, quantity=quantity)
    return receive_stock(actor=STAFF, reference=f"R-{new_id()}", lines=[line], location=location)


def lock_at_once(product: Product) -> None:
    """Lock the product's stock; raises if somebody else has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM inventory_stocklevel WHERE product_id = %s FOR NO KEY UPDATE NOWAIT",
            [product.id],
        )


@pytest.fixture
def scarce() -> Product:
    """A product without stock; there is a second location."""
    make_location(code="second")
    return make_product(stock=0)


# --- Receipts ---------------------------------------------------------------------------------


def test_a_dry_run_of_a_receipt_holds_locks_no_longer_than_a_chunk_does() -> None:
    products = sorted((make_product(stock=0) for _ in range(CHUNK + 1)), key=lambda p: p.id)
    items = [{"product_id": str(product.id), "quantity": 5} for product in products]
    client = api_client(make_staff())
    path = "/api/v1/admin/inventory/receipts?dry_run=true"

    answer = while_held(
        products[-1],
        call=lambda: client.post(path, {"reference": "DN-1", "items": items}),
        then=lambda: lock_at_once(products[0]),
    )

    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown["items_booked"] == CHUNK + 1
    assert [level["on_hand_delta"] for level in shown["stock"]] == [5] * (CHUNK + 1)
    assert not StockLevel.objects.filter(on_hand__gt=0).exists()
    assert not StockDocument.objects.exists()


def test_two_receipts_of_more_than_can_be_on_hand_are_a_conflict() -> None:
    mug = make_product(stock=0)

    outcome = while_held(
        mug,
        call=lambda: receive(mug, FULL, location="main"),
        then=lambda: receive(mug, FULL, location="main"),
    )

    assert isinstance(outcome, StockLinesConflict)
    assert [(error.pointer, error.data["on_hand"]) for error in outcome.errors] == [
        ("/items/0/quantity", FULL)
    ]
    assert StockLevel.objects.get(product=mug).on_hand == FULL
    assert StockDocument.objects.count() == 1


def test_a_later_chunk_without_room_leaves_the_receipt_unfinished() -> None:
    products = sorted((make_product(stock=0) for _ in range(CHUNK + 1)), key=lambda p: p.id)
    lines = [StockLine(product_id=product.id, quantity=5) for product in products]
    last = products[-1]

    document = while_held(
        last,
        call=lambda: receive_stock(actor=STAFF, reference="DN-1", lines=lines),
        then=lambda: adjust_stock(
            actor=STAFF,
            product_id=last.id,
            reason=AdjustmentReason.RECEIVED,
            amount=Change(delta=FULL),
        ),
    )

    assert (document.items_booked, document.completed_at) == (CHUNK, None)
    assert violations() == []


# --- A level that was made while somebody waited for the others -------------------------------


def test_a_stock_alert_is_not_kept_for_what_arrived_meanwhile(scarce: Product) -> None:
    customer = actor_for(make_customer())

    def arrive() -> None:
        receive(scarce)
        take_stock_alerts([scarce.id])

    outcome = while_held(
        scarce, call=lambda: add_stock_alert(actor=customer, product_id=scarce.id), then=arrive
    )

    assert isinstance(outcome, InStock)
    assert not StockAlert.objects.exists()


def test_a_late_payment_gets_what_arrived_meanwhile(scarce: Product) -> None:
    receive(scarce, 1, location="main")
    order = place((scarce, 1), token="tok_success")
    Order.objects.update(expires_at=clock.now(), payment_status="failed")
    assert expire_orders(at=clock.now()) == 1
    place((scarce, 1))
    report(order)

    while_held(scarce, call=settle, then=partial(receive, scarce))

    settle()
    order.refresh_from_db()
    assert order.status == "confirmed"
    assert not Refund.objects.filter(payment=payment_of(order)).exists()
    assert violations() == []


def test_an_edit_gets_what_arrived_meanwhile(scarce: Product) -> None:
    mug = make_product()
    order = place((mug, 1))
    edit = OrderEdit(items=[OrderedItem(product_id=scarce.id, quantity=2)])

    outcome = while_held(
        scarce,
        call=lambda: edit_order(actor=STAFF, order_id=order.id, edit=edit),
        then=partial(receive, scarce),
    )

    assert not isinstance(outcome, OutOfStock), outcome
    assert StockLevel.objects.get(location__code="second").reserved == 2
    assert violations() == []


def test_a_transfer_gets_what_arrived_meanwhile(scarce: Product) -> None:
    line = StockLine(product_id=scarce.id, quantity=5)

    outcome = while_held(
        scarce,
        call=lambda: transfer_stock(
            actor=STAFF, reference="T-1", lines=[line], from_location="second", to="main"
        ),
        then=partial(receive, scarce),
    )

    assert isinstance(outcome, StockDocument), outcome
    assert StockLevel.objects.get(product=scarce, location__code="main").on_hand == 5


# --- The order of locks -----------------------------------------------------------------------


def test_a_return_to_a_new_location_and_a_receipt_there_do_not_wait_for_each_other() -> None:
    make_location(code="second")
    mug = make_product()
    order = shipped_order((mug, 1))
    locked, inserted = threading.Event(), threading.Event()
    before = deadlocks()

    @transaction.atomic
    def receipt() -> None:
        # As a receipt does: the level first, and then the lock of all.
        location = Location.objects.get(code="second")
        StockLevel.objects.create(product=mug, location=location)
        inserted.set()
        locked.wait(timeout=1)
        open_stock_allocator([mug.id])

    @transaction.atomic
    def put_back() -> None:
        inserted.wait(timeout=10)
        unit = ReturnedUnits(product_id=mug.id, quantity=1, location="second")
        cause = Cause(actor=STAFF, reference="return:1", order_id=order.id)
        return_units([unit], cause=cause, at=clock.now())

    at_once(receipt, put_back)

    assert deadlocks() == before
    assert StockLevel.objects.get(product=mug, location__code="second").on_hand == 1


def test_a_refund_locks_the_payments_of_its_order_as_those_who_record_outcomes_do() -> None:
    customer = make_customer()
    order = place((make_product(), 1), customer=customer, token="tok_success")
    declined = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    report(order)
    settle()
    captured, waits, before = payment_of(order), threading.Event(), deadlocks()

    @transaction.atomic
    def record() -> None:
        lock_payments([declined.id])
        waits.set()
        until_somebody_waits_for_a_lock()
        lock_payments([captured.id])

    def refund() -> None:
        waits.wait(timeout=10)
        refund_payment(actor=STAFF, payment_id=captured.id)

    at_once(record, refund)

    assert deadlocks() == before
    order.refresh_from_db()
    assert order.status == "cancelled"


def test_many_shipments_hold_the_stock_of_one_order_at_a_time() -> None:
    first, last = make_product(), make_product()
    orders = [paid_order((product, 1)) for product in (first, last)]
    client = api_client(make_staff())
    rows = [{"order_number": order.number} for order in orders]

    answer = while_held(
        last,
        call=lambda: client.post("/api/v1/admin/shipments/bulk", {"shipments": rows}),
        then=lambda: lock_at_once(first),
    )

    assert answer.status_code == 207, answer.content
    assert [result["status"] for result in answer.json()["results"]] == [201, 201]
