"""All allowed status transitions of orders, and all others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oms.core import clock
from oms.core.actor import system
from oms.events.models import Event
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import paid_order, place, status_changes_of, stock_of
from orders.errors import InvalidTransition
from orders.models import Order
from orders.operations.allowed_actions import allowed_actions
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.status_changes import set_order_status
from orders.states import ALLOWED, OrderStatus

pytestmark = pytest.mark.django_db

S = OrderStatus

# How an order reaches each status by allowed transitions.
_PATHS: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    S.CONFIRMED: (),
    S.PROCESSING: (S.PROCESSING,),
    S.ON_HOLD: (S.ON_HOLD,),
    S.SHIPPED: (S.PROCESSING, S.SHIPPED),
    S.DELIVERED: (S.PROCESSING, S.SHIPPED, S.DELIVERED),
    S.CANCELLED: (S.CANCELLED,),
}

# What staff may set: the table without what only expiry and payments do.
_FOR_STAFF = {
    status: set() if status is S.EXPIRED else set(targets) - {S.EXPIRED, S.PENDING}
    for status, targets in ALLOWED.items()
}


def order_in(status: OrderStatus) -> Order:
    mug = make_product()
    if status in (S.PENDING, S.EXPIRED):
        order = place((mug, 1))
        if status is S.EXPIRED:
            assert expire_orders(at=clock.now() + (clock.now() - order.placed_at) * 2) == 0
            Order.objects.filter(pk=order.id).update(expires_at=clock.now())
            assert expire_orders(at=clock.now()) == 1
    else:
        order = paid_order((mug, 1))
        staff = actor_for(make_staff())
        for transition in _PATHS[status]:
            set_order_status(actor=staff, order_id=order.id, status=transition)
    order.refresh_from_db()
    assert order.status == status
    return order


LEGAL = [(a, b) for a in S for b in S if b in _FOR_STAFF[a]]
ILLEGAL = [(a, b) for a in S for b in S if a != b and b not in _FOR_STAFF[a]]


def test_the_table_has_all_statuses_and_the_final_ones() -> None:
    assert set(ALLOWED) == set(S)
    assert {status for status, targets in ALLOWED.items() if not targets} == {
        S.DELIVERED,
        S.CANCELLED,
    }
    assert len(LEGAL) + len(ILLEGAL) == len(S) * (len(S) - 1)


@pytest.mark.parametrize(("start", "target"), LEGAL)
def test_staff_can_make_every_allowed_transition(start: OrderStatus, target: OrderStatus) -> None:
    order, staff = order_in(start), actor_for(make_staff())
    assert f"set_status:{target.value}" in allowed_actions(order, actor=staff)

    changed = set_order_status(actor=staff, order_id=order.id, status=target, reason="because")

    order.refresh_from_db()
    assert changed.status == order.status == target
    event = Event.objects.filter(object_id=order.id, data__has_key="previous_status").latest(
        "position"
    )
    assert (event.data["previous_status"], event.data["status"]) == (start.value, target.value)
    assert event.data["reason"] == "because"
    assert event.actor_id == staff.id


@pytest.mark.parametrize(("start", "target"), ILLEGAL)
def test_every_other_transition_is_rejected_with_the_allowed_ones(
    start: OrderStatus, target: OrderStatus
) -> None:
    order, staff = order_in(start), actor_for(make_staff())
    before, changes = order.version, status_changes_of(order)
    assert f"set_status:{target.value}" not in allowed_actions(order, actor=staff)

    with pytest.raises(InvalidTransition) as refusal:
        set_order_status(actor=staff, order_id=order.id, status=target)

    assert refusal.value.data == {
        "current_status": start.value,
        "allowed": sorted(status.value for status in _FOR_STAFF[start]),
    }
    order.refresh_from_db()
    assert (order.status, order.version) == (start, before)
    assert status_changes_of(order) == changes


@pytest.mark.parametrize("status", list(S))
def test_setting_the_present_status_changes_nothing(status: OrderStatus) -> None:
    order = order_in(status)
    before, changes = order.version, status_changes_of(order)

    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=status)

    order.refresh_from_db()
    assert order.version == before
    assert status_changes_of(order) == changes


@pytest.mark.parametrize("status", list(S))
def test_cancelling_is_possible_exactly_when_it_is_offered(status: OrderStatus) -> None:
    order = order_in(status)
    customer = system("support")
    offered = "cancel" in allowed_actions(order, actor=customer)

    def cancelled() -> bool:
        cancel_order(actor=customer, order_id=order.id)
        return True

    assert _succeeds(cancelled) == (offered or status is S.CANCELLED)
    assert offered == (S.CANCELLED in ALLOWED[status])


def _succeeds(work: Callable[[], bool]) -> bool:
    try:
        return work()
    except InvalidTransition:
        return False


@pytest.mark.parametrize("status", list(S))
def test_stock_is_reserved_in_the_statuses_that_hold_stock(status: OrderStatus) -> None:
    order = order_in(status)
    [item] = order.items.select_related("product")

    _, reserved = stock_of(item.product)

    assert reserved == (1 if order.holds_stock else 0)
