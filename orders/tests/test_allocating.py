"""Orders whose items wait for stock: placing, arriving, shipping, cancelling, editing, expiring."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from inventory.errors import OutOfStock
from inventory.models import Product, StockLevel, WaitingItem
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from oms.checks import CHECKS
from oms.core import clock
from oms.core.actor import system
from oms.events.models import ConsumerOffset, Event
from oms.events.relay import recorded
from oms.exceptions.models import ExceptionRecord
from oms.reconcile.runner import run_checks
from oms.testing.factories import (
    actor_for,
    api_client,
    make_customer,
    make_location,
    make_product,
    make_staff,
)
from oms.testing.ordering import paid_order, place, placement, report, settle, stock_of
from orders.errors import NothingToShip
from orders.models import Order, OrderItem
from orders.operations.allocating import EVENT_TYPES, apply_allocation_events
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order, delete_order, expire_orders
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.placing import place_orders
from orders.operations.quantities import ItemQuantity
from orders.operations.status_changes import set_order_status
from orders.placements import OrderedItem
from orders.states import OrderStatus
from payments.models import Payment

pytestmark = pytest.mark.django_db

STAFF = system("tests")


def change(product: Product, delta: int, *, at: str = "main") -> None:
    """Receive stock at a location, or find it broken."""
    reason = AdjustmentReason.RECEIVED if delta > 0 else AdjustmentReason.DAMAGED
    adjust_stock(
        actor=STAFF, product_id=product.id, amount=Change(delta=delta), reason=reason, location=at
    )


@transaction.atomic
def relay_allocations() -> None:
    """Pass all events of allocations to the orders, those of before once more."""
    types = [fact.type for fact in EVENT_TYPES]
    events = Event.objects.filter(type__in=types).order_by("position")
    apply_allocation_events([recorded(event) for event in events])


def waiting(order: Order) -> list[int]:
    return list(order.items.order_by("position").values_list("quantity_waiting", flat=True))


def ship(order: Order, *quantities: int) -> Order:
    items = [
        ItemQuantity(order_item_id=item.id, quantity=quantity)
        for item, quantity in zip(order.items.order_by("position"), quantities, strict=False)
        if quantity
    ]
    ship_items(actor=STAFF, order_id=order.id, items=items or None)
    order.refresh_from_db()
    return order


def edited(order: Order, *lines: tuple[Product, int]) -> None:
    items = [OrderedItem(product_id=product.id, quantity=n) for product, n in lines]
    edit_order(actor=STAFF, order_id=order.id, edit=OrderEdit(items=items))


def violations() -> list[str]:
    """The names of the failed checks that are about stock, once the events are processed."""
    checks = [check for check in CHECKS if "stock" in check.name or "wait" in check.name]
    return [finding.name for finding in run_checks(checks) if not finding.holds]


def types_of(order: Order) -> list[str]:
    events = Event.objects.filter(object_id=order.id, type__startswith="order.items")
    return list(events.order_by("position").values_list("type", flat=True))


@pytest.fixture
def rare() -> Product:
    """A product that may be ordered beyond its stock, of which there is none."""
    return make_product(stock=0, backorderable=True)


def test_what_is_not_there_waits_and_the_line_says_so() -> None:
    rare, customer = make_product(stock=1, backorderable=True), make_customer()
    body = {
        "items": [{"product_id": str(rare.id), "quantity": 4}],
        "shipping_address": {
            "name": "A",
            "line1": "B 1",
            "city": "C",
            "postal_code": "12345",
            "country": "DE",
        },
    }
    client = api_client(customer)

    placed = client.post("/api/v1/orders", body, headers={"Idempotency-Key": "k1"})

    assert placed.status_code == 201
    [line] = placed.json()["items"]
    assert (line["quantity"], line["quantity_waiting"]) == (4, 3)
    assert client.get(f"/api/v1/orders/{placed.json()['id']}").json()["items"] == [line]
    assert stock_of(rare) == (1, 1)
    assert violations() == []


def test_what_was_sold_beforehand_ships_from_wherever_it_arrives(rare: Product) -> None:
    make_location(code="second")
    order = paid_order((rare, 5))

    change(rare, 20, at="second")
    relay_allocations()

    assert waiting(order) == [0]
    assert types_of(order) == ["order.items_allocated"]
    assert ship(order).status == "shipped"
    assert stock_of(rare) == (15, 0)
    assert violations() == []


def test_of_two_backorders_the_first_is_served_first(rare: Product) -> None:
    first, second = paid_order((rare, 5)), paid_order((rare, 5))

    change(rare, 5)

    with pytest.raises(NothingToShip) as refusal:
        ship(second)
    [item] = second.items.all()
    assert refusal.value.data["items"] == [{"order_item_id": str(item.id), "left": 0, "waiting": 5}]
    assert ship(first).status == "shipped"
    relay_allocations()
    assert (waiting(first), waiting(second)) == ([0], [5])
    assert violations() == []


def test_reserved_stock_that_is_broken_is_replaced_by_that_of_another_location() -> None:
    mug = make_product(stock=5)
    make_location(code="second")
    order = paid_order((mug, 5))
    change(mug, 20, at="second")

    change(mug, -3)
    relay_allocations()

    assert waiting(order) == [0]
    assert types_of(order) == []
    levels = StockLevel.objects.filter(product=mug).order_by("location__priority")
    assert [(level.on_hand, level.reserved) for level in levels] == [(2, 2), (20, 3)]
    assert ship(order).status == "shipped"
    assert violations() == []


def test_an_order_that_loses_stock_waits_and_learns_of_both() -> None:
    mug, customer = make_product(stock=5), make_customer()
    order = paid_order((mug, 5), customer=customer)
    version = order.version

    change(mug, -2)
    relay_allocations()

    order.refresh_from_db()
    assert (waiting(order), order.version) == ([2], version + 1)
    assert types_of(order) == ["order.items_waiting"]
    exception = ExceptionRecord.objects.get()
    assert (exception.kind, exception.order_id) == ("stock_lost", order.id)
    assert f"2 of {mug.sku}" in exception.cause
    assert exception.resolved_at is None
    with pytest.raises(OutOfStock):
        place((mug, 1))
    change(mug, 2)
    relay_allocations()
    relay_allocations()

    order.refresh_from_db()
    assert (waiting(order), order.version) == ([0], version + 2)
    assert types_of(order) == ["order.items_waiting", "order.items_allocated"]
    exception.refresh_from_db()
    assert exception.resolved_at is not None
    last = Event.objects.filter(object_id=order.id).order_by("position").last()
    assert last is not None
    assert last.data["quantities"] == {str(mug.id): 2}
    assert violations() == []


@pytest.mark.parametrize("way", ["cancel", "cancel items", "edit", "ship at once"])
def test_an_order_that_lost_stock_and_waits_for_nothing_needs_nobody_any_more(way: str) -> None:
    mug = make_product(stock=5)
    order = place((mug, 5)) if way == "edit" else paid_order((mug, 5))
    change(mug, -2)
    relay_allocations()
    [item] = order.items.all()

    if way == "cancel":
        cancel_order(actor=STAFF, order_id=order.id)
    elif way == "edit":
        edited(order, (mug, 3))
    elif way == "ship at once":  # before the order learns that it has its stock again
        change(mug, 2)
        ship(order)
        relay_allocations()
    else:
        cancel_items(
            actor=STAFF,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=2)],
        )

    assert ExceptionRecord.objects.get().resolved_at is not None
    assert waiting(order) == [0]
    assert violations() == []


def test_what_came_back_before_the_orders_learned_of_it_changes_nothing() -> None:
    mug = make_product(stock=5)
    order = paid_order((mug, 5))
    change(mug, -2)
    change(mug, 2)

    relay_allocations()

    assert waiting(order) == [0]
    assert types_of(order) == []
    assert Order.objects.get(pk=order.pk).version == order.version


def test_shipping_sends_what_is_allocated_and_leaves_what_waits(rare: Product) -> None:
    mug = make_product()
    order = paid_order((mug, 2), (rare, 3))

    with pytest.raises(NothingToShip) as refusal:
        ship(order, 2, 1)
    assert refusal.value.data["items"][0]["waiting"] == 3
    set_order_status(actor=STAFF, order_id=order.id, status=OrderStatus.PROCESSING)
    with pytest.raises(NothingToShip):
        set_order_status(actor=STAFF, order_id=order.id, status=OrderStatus.SHIPPED)
    ship(order)

    assert (order.status, order.fulfilment_status) == ("processing", "partially_shipped")
    assert waiting(order) == [0, 3]
    change(rare, 3)
    # The orders have not learned of it yet.
    assert ship(order).status == "shipped"
    assert waiting(order) == [0, 0]
    relay_allocations()
    assert types_of(order) == ["order.items_allocated"]
    assert violations() == []


def test_the_api_names_the_lines_that_wait(rare: Product) -> None:
    order, client = paid_order((rare, 3)), api_client(make_staff())
    [item] = order.items.all()
    url = f"/api/v1/admin/orders/{order.id}/shipments"

    refused = client.post(url, {"items": [{"order_item_id": str(item.id), "quantity": 1}]})

    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_ship")
    assert refused.json()["items"] == [
        {"order_item_id": str(item.id), "left": 0, "waiting": 3, "requested": 1}
    ]


@pytest.mark.parametrize("end", ["cancel", "expire", "delete"])
def test_an_order_that_ends_leaves_the_queue_and_its_stock_to_others(end: str) -> None:
    rare = make_product(stock=2, backorderable=True)
    first, second = place((rare, 3)), place((rare, 4))
    assert (waiting(first), waiting(second)) == ([1], [4])

    if end == "cancel":
        cancel_order(actor=STAFF, order_id=first.id)
    elif end == "delete":
        delete_order(actor=STAFF, order_id=first.id)
    else:
        expire_orders(at=clock.now() + timedelta(days=2))
        assert not WaitingItem.objects.exists()
        assert (waiting(first), waiting(second)) == ([0], [0])
        assert violations() == []
        return
    relay_allocations()

    assert (waiting(first), waiting(second)) == ([0], [2])
    assert (types_of(first), types_of(second)) == ([], ["order.items_allocated"])
    assert WaitingItem.objects.get().order_id == second.id
    assert stock_of(rare) == (2, 2)
    assert violations() == []


def test_editing_lowers_first_what_waits_and_raises_at_the_end_of_the_queue() -> None:
    rare = make_product(stock=2, backorderable=True)
    order, other = place((rare, 4)), place((rare, 1))

    edited(order, (rare, 3))
    assert (waiting(order), stock_of(rare)) == ([1], (2, 2))
    edited(order, (rare, 5))
    assert waiting(order) == [3]
    change(rare, 2)
    relay_allocations()
    # One for what waited from the start, one for the other order.
    assert (waiting(order), waiting(other)) == ([2], [0])
    edited(order, (rare, 1))
    relay_allocations()
    assert (waiting(order), stock_of(rare)) == ([0], (4, 2))
    assert violations() == []


def test_removing_a_line_gives_its_stock_to_those_who_wait(rare: Product) -> None:
    mug = make_product()
    change(rare, 2)
    order, other = place((rare, 2), (mug, 1)), place((rare, 3))

    edited(order, (mug, 1))
    relay_allocations()

    assert waiting(other) == [1]
    assert violations() == []


def test_a_late_payment_confirms_an_expired_order_whose_items_may_wait() -> None:
    rare = make_product(stock=1, backorderable=True)
    order = place((rare, 2), token="tok_success")
    Payment.objects.update(status="processing")  # the provider has been called
    expire_orders(at=clock.now() + timedelta(days=2))
    order.refresh_from_db()
    assert order.status == "expired"
    between = place((rare, 1))

    report(order)
    settle()

    order.refresh_from_db()
    assert (order.status, waiting(order)) == ("confirmed", [2])
    change(rare, 1)
    relay_allocations()
    assert (waiting(between), waiting(order)) == ([0], [1])
    assert violations() == []


def test_a_batch_queues_in_the_order_of_its_orders_and_takes_one_statement_more() -> None:
    rare, customer = make_product(stock=3, backorderable=True), make_customer()
    placements = [placement((rare, 2), customer=customer) for _ in range(3)]

    with CaptureQueriesContext(connection) as statements:
        outcomes = place_orders(actor=actor_for(customer), placements=placements)

    sql = [query["sql"] for query in statements if "SAVEPOINT" not in query["sql"]]
    # The locks, whether levels were made meanwhile, and all that is written.
    assert len(sql) == 3
    lines = [outcome.items[0].quantity_waiting for outcome in outcomes]  # type: ignore[union-attr]
    assert lines == [0, 1, 2]
    assert violations() == []


def test_a_rejected_batch_leaves_nothing_in_the_queue(rare: Product) -> None:
    mug, customer = make_product(stock=0), make_customer()
    placements = [placement((one, 1), customer=customer) for one in (rare, mug)]

    place_orders(actor=actor_for(customer), placements=placements, all_or_nothing=True)

    assert not WaitingItem.objects.exists()
    assert not OrderItem.objects.exists()


@pytest.mark.parametrize("lost", [0, 2])
def test_cancelling_takes_no_more_statements_when_somebody_waits(lost: int) -> None:
    mug = make_product(stock=5)
    order, _ = place((mug, 3)), place((mug, 2))
    if lost:
        change(mug, -lost)

    with CaptureQueriesContext(connection) as statements:
        cancel_order(actor=STAFF, order_id=order.id)

    assert len([one for one in statements if "SAVEPOINT" not in one["sql"]]) == 9
    assert violations() == []


def test_a_migration_shows_what_waited_before_and_skips_the_old_log(rare: Product) -> None:
    order = place((rare, 3))
    OrderItem.objects.update(quantity_waiting=0)
    ConsumerOffset.objects.create(consumer="orders", transaction="7", position=9)
    migration = import_module("orders.migrations.0018_backorders_wait")

    migration.show_what_waits(None, SimpleNamespace(connection=connection))
    with connection.cursor() as cursor:
        cursor.execute(migration._OFFSET)

    assert waiting(order) == [3]
    assert Order.objects.get(pk=order.pk).version == order.version + 1
    offset = ConsumerOffset.objects.get(consumer="allocation")
    assert (offset.transaction, offset.position) == ("7", 9)
