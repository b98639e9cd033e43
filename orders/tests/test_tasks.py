"""Scheduled tasks of orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from inventory.models import StockLevel
from oms.checks import reconcile
from oms.core import clock
from oms.queue.leases import is_due
from oms.testing.factories import make_product
from oms.testing.ordering import PROVIDER, payment_of, place, result, settle, stock_of
from orders.models import Order
from orders.operations import cancelling
from orders.tasks import expire_overdue_orders
from payments.gateways.base import ChargeStatus
from payments.models import Payment
from payments.operations.outcomes import record_charge

pytestmark = pytest.mark.django_db


def make_overdue(orders: list[Order], *, since: timedelta = timedelta(0)) -> None:
    Order.objects.filter(pk__in=[order.pk for order in orders]).update(
        expires_at=clock.now() - since
    )


def test_all_overdue_orders_expire_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_EXPIRY_BATCH", 2)
    mug = make_product()
    overdue, waiting = [place((mug, 1)) for _ in range(5)], place((mug, 1))
    make_overdue(overdue)

    expire_overdue_orders()

    assert Order.objects.filter(status="expired").count() == 5
    waiting.refresh_from_db()
    assert waiting.status == "pending"
    assert stock_of(mug) == (10, 1)


def test_orders_that_cannot_expire_stop_no_others_and_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cancelling, "_EXPIRY_BATCH", 3)
    mug, cup = make_product(), make_product()
    good = [place((mug, 1)) for _ in range(4)]
    bad = [place((cup, 2)) for _ in range(3)]
    good += [place((mug, 1)) for _ in range(2)]
    make_overdue([*good, *bad], since=timedelta(hours=2))
    # Made inconsistent: releasing the reserved units would make the level negative.
    StockLevel.objects.filter(product=cup).update(reserved=1)

    expire_overdue_orders()
    expire_overdue_orders()

    assert set(Order.objects.filter(status="expired")) == set(good)
    assert stock_of(mug) == (10, 0)
    assert stock_of(cup) == (10, 1)
    failures: list[Any] = [
        r.msg for r in caplog.records if r.name == "orders.operations.cancelling"
    ]
    assert {line["order_id"] for line in failures} == {str(order.id) for order in bad}
    [overdue] = [found for found in reconcile(offline=True) if found.name == "no_overdue_orders"]
    assert {violation.id for violation in overdue.violations} == {str(order.id) for order in bad}

    StockLevel.objects.filter(product=cup).update(reserved=6)
    expire_overdue_orders()
    assert stock_of(cup) == (10, 0)


@pytest.mark.parametrize("status", [ChargeStatus.CAPTURED, ChargeStatus.AUTHORIZED])
def test_a_paid_order_does_not_expire_while_its_confirmation_is_late(status: ChargeStatus) -> None:
    mug = make_product()
    order = place((mug, 1), token="tok_success")
    payment = payment_of(order)
    record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment, status))
    make_overdue([order], since=timedelta(hours=2))

    expire_overdue_orders()

    order.refresh_from_db()
    assert order.status == "pending"
    assert stock_of(mug) == (10, 1)
    settle()
    order.refresh_from_db()
    assert order.status == "confirmed"


def test_without_a_look_at_the_payments_a_paid_order_would_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control of the test above."""
    order = place((make_product(), 1), token="tok_success")
    payment = payment_of(order)
    record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment))
    make_overdue([order], since=timedelta(hours=2))
    monkeypatch.setattr(cancelling, "void_unsent", lambda **_: set())

    expire_overdue_orders()

    order.refresh_from_db()
    assert order.status == "expired"


def test_expiring_an_order_voids_a_payment_that_was_never_sent() -> None:
    order = place((make_product(), 1), token="tok_success")
    make_overdue([order], since=timedelta(hours=2))

    expire_overdue_orders()

    order.refresh_from_db()
    payment = payment_of(order)
    assert (order.status, payment.status) == ("expired", "voided")
    assert payment.next_attempt_at is None
    assert not is_due(Payment)
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("expired", "unpaid")


def test_an_expiring_order_leaves_a_payment_in_progress_to_its_outcome() -> None:
    order = place((make_product(), 1), token="tok_success")
    Payment.objects.update(status="unknown")
    make_overdue([order], since=timedelta(hours=2))

    expire_overdue_orders()

    order.refresh_from_db()
    assert (order.status, payment_of(order).status) == ("expired", "unknown")
