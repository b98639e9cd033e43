"""Notifications delivered by the relay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction

from notifications.models import Notification
from notifications.tests.conftest import PlaceOrder
from oms.core import clock
from oms.core.actor import system
from oms.events.publishing import publish
from oms.testing.factories import actor_for, make_customer, make_staff
from orders.events import OrderDelivered
from orders.operations.cancelling import cancel_order
from orders.states import OrderStatus

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = system("tests")
Relay = Callable[[], int]


def test_a_rolled_back_operation_sends_no_notification(place: PlaceOrder, relay: Relay) -> None:
    order = place(make_customer())
    relay()
    before = Notification.objects.count()

    with transaction.atomic():
        cancel_order(actor=actor_for(make_staff()), order_id=order.id)
        transaction.set_rollback(True)
    relay()

    assert Notification.objects.count() == before


def test_a_failing_event_affects_neither_the_order_nor_other_notifications(
    place: PlaceOrder, relay: Relay
) -> None:
    order = place(make_customer())
    with transaction.atomic():
        publish(
            OrderDelivered(
                order_id=uuid4(),
                number="20261121-XXXXXX",
                customer_id=uuid4(),  # nobody
                previous_status="shipped",
                status="delivered",
            ),
            actor=STAFF,
            at=clock.now() - timedelta(seconds=1),
        )

    relay()

    assert {row.order_id for row in Notification.objects.all()} == {order.id}
    order.refresh_from_db()
    assert order.status == OrderStatus.PENDING
