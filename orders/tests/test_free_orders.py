"""Orders that cost nothing any more: by an edit, or because what cost something was cancelled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from inventory.models import Product
from oms.events.models import ConsumerOffset
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, report, settle, status_changes_of
from orders.models import Order
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.status_changes import set_order_status
from orders.placements import OrderedItem
from orders.states import OrderStatus
from orders.tests.provider_webhooks import broken_checks, captured, refunded, state, succeed
from payments.gateways.base import ChargeStatus
from payments.models import Refund

pytestmark = pytest.mark.django_db


def lines() -> tuple[tuple[Product, int], tuple[Product, int]]:
    """One unit for 50.00, and one that is free."""
    return (make_product(price=Decimal("50.00")), 1), (make_product(price=Decimal(0)), 1)


def violations() -> list[tuple[str, Any]]:
    """The data checks that do not hold, those of orders whose events are processed too."""
    last = {"transaction": str(2**63 - 1), "position": 0}
    ConsumerOffset.objects.update_or_create(consumer="orders", defaults=last)
    return broken_checks()


def cancel_first(order: Order) -> None:
    first = order.items.order_by("position")[0]
    cancel_items(
        actor=actor_for(make_staff()),
        order_id=order.id,
        items=[ItemQuantity(order_item_id=first.id, quantity=1)],
    )


def ship(order: Order) -> None:
    ship_items(actor=actor_for(make_staff()), order_id=order.id)


def test_an_order_edited_to_free_items_after_a_declined_payment_is_paid() -> None:
    costly, free = lines()
    order = place(costly, token="tok_success")
    report(order, ChargeStatus.DECLINED)
    settle()

    edit_order(
        actor=actor_for(make_staff()),
        order_id=order.id,
        edit=OrderEdit(items=[OrderedItem(product_id=free[0].id, quantity=1)]),
    )

    assert state(order) == ("confirmed", "paid")
    assert violations() == []
    cancel_order(actor=actor_for(make_staff()), order_id=order.id)
    assert state(order) == ("cancelled", "paid")
    assert violations() == []


def test_an_unpaid_order_of_which_only_free_items_are_left_is_confirmed() -> None:
    order = place(*lines())

    cancel_first(order)

    assert state(order) == ("confirmed", "paid")
    assert status_changes_of(order) == [
        "order.placed",
        "order.items_cancelled",
        "order.confirmed",
    ]
    assert violations() == []
    ship(order)
    assert state(order) == ("shipped", "paid")


def test_on_hold_it_stays_on_hold_and_is_paid() -> None:
    order = place(*lines())
    staff = actor_for(make_staff())
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.ON_HOLD)

    cancel_first(order)

    assert state(order) == ("on_hold", "paid")
    assert violations() == []


def test_with_a_payment_in_progress_it_is_confirmed_once_that_has_failed() -> None:
    order = place(*lines(), token="tok_success")
    cancel_first(order)
    assert state(order) == ("pending", "processing")

    report(order, ChargeStatus.DECLINED)
    settle()

    assert state(order) == ("confirmed", "paid")
    assert violations() == []


def test_with_a_payment_in_progress_it_is_confirmed_and_refunded_once_that_is_captured() -> None:
    order = place(*lines(), token="tok_success")
    cancel_first(order)

    report(order)
    settle()
    succeed(Refund.objects.get(payment=payment_of(order)))

    assert state(order) == ("confirmed", "refunded")
    ship(order)
    assert state(order) == ("shipped", "refunded")
    assert violations() == []


def test_free_items_are_shipped_once_all_that_was_paid_is_cancelled_and_refunded() -> None:
    order = paid_order(*lines())
    cancel_first(order)
    succeed(Refund.objects.get(payment=payment_of(order)))

    ship(order)

    assert state(order) == ("shipped", "refunded")
    assert violations() == []


def test_an_order_whose_free_items_were_shipped_is_paid_once_the_rest_is_cancelled() -> None:
    order = place(*lines())
    staff = actor_for(make_staff())
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.CONFIRMED)
    free = order.items.order_by("position")[1]
    ship_items(
        actor=staff,
        order_id=order.id,
        items=[ItemQuantity(order_item_id=free.id, quantity=1)],
    )

    cancel_first(order)

    assert state(order) == ("shipped", "paid")
    assert violations() == []


def test_it_is_confirmed_too_if_a_part_of_its_price_was_paid_and_refunded_before() -> None:
    order = place(*lines(), token="tok_success")
    captured(payment_of(order), 1_00)
    refunded(payment_of(order), 1_00)
    staff = actor_for(make_staff())
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.PENDING)
    assert state(order) == ("pending", "unpaid")

    cancel_first(order)

    assert state(order) == ("confirmed", "refunded")
    assert violations() == []
    ship(order)


def test_an_unpaid_order_that_is_cancelled_as_a_whole_is_not_paid() -> None:
    order = place((make_product(price=Decimal("50.00")), 1))

    cancel_first(order)

    assert state(order) == ("cancelled", "unpaid")
    assert violations() == []
