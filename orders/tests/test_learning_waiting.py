"""What an order lost is known, even if the order changes before it learns of it by event."""

from __future__ import annotations

import pytest

from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import make_product
from oms.testing.ordering import paid_order, place
from orders.operations.cancellations import cancel_items
from orders.operations.quantities import ItemQuantity
from orders.tests.test_allocating import (
    STAFF,
    change,
    edited,
    relay_allocations,
    ship,
    types_of,
    violations,
    waiting,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("way", "left", "types"),
    [
        ("ship", 3, ["order.items_waiting"]),
        ("cancel items", 2, ["order.items_cancelled", "order.items_waiting"]),
        ("edit", 3, ["order.items_waiting"]),
    ],
)
def test_a_loss_is_known_though_the_order_changes_before_its_event_is_read(
    way: str, left: int, types: list[str]
) -> None:
    mug, pot = make_product(stock=5), make_product()
    lines = (mug, 5), (pot, 1)
    order = place(*lines) if way == "edit" else paid_order(*lines)
    change(mug, -3)

    if way == "ship":
        ship(order, 1, 0)
    elif way == "edit":
        edited(order, (mug, 5), (pot, 2))
    else:
        [item, _] = order.items.order_by("position")
        cancel_items(
            actor=STAFF,
            order_id=order.id,
            items=[ItemQuantity(order_item_id=item.id, quantity=1)],
        )

    relay_allocations()
    assert waiting(order) == [left, 0]
    assert types_of(order) == types
    exception = ExceptionRecord.objects.get()
    assert (exception.kind, exception.resolved_at) == ("stock_lost", None)
    assert f"{left} of {mug.sku}" in exception.cause
    assert violations() == []


def test_a_loss_that_is_cancelled_before_its_event_is_read_needs_nobody() -> None:
    mug = make_product(stock=5)
    order = paid_order((mug, 5))
    change(mug, -3)
    [item] = order.items.all()

    cancel_items(
        actor=STAFF, order_id=order.id, items=[ItemQuantity(order_item_id=item.id, quantity=3)]
    )

    relay_allocations()
    assert waiting(order) == [0]
    assert types_of(order) == ["order.items_cancelled"]
    assert not ExceptionRecord.objects.exists()
    assert violations() == []


def test_lines_that_are_not_shipped_learn_what_they_were_allocated() -> None:
    mug, rare = make_product(), make_product(stock=0, backorderable=True)
    order = paid_order((mug, 1), (rare, 2))
    change(rare, 2)

    ship(order, 1, 0)

    relay_allocations()
    assert waiting(order) == [0, 0]
    assert types_of(order) == ["order.items_allocated"]
    assert violations() == []
