"""Scheduled tasks of orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from inventory.models import StockLevel
from oms.checks import reconcile
from oms.core import clock
from oms.testing.factories import make_product
from oms.testing.ordering import place, stock_of
from orders.models import Order
from orders.operations import cancelling
from orders.tasks import expire_overdue_orders

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
