"""What the schedule does to orders."""

from __future__ import annotations

import pytest

from oms.core import clock
from oms.testing.factories import make_product
from oms.testing.ordering import place, stock_of
from orders.models import Order
from orders.operations import cancelling
from orders.tasks import expire_overdue_orders

pytestmark = pytest.mark.django_db


def test_all_overdue_orders_expire_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_EXPIRY_BATCH", 2)
    mug = make_product()
    overdue, waiting = [place((mug, 1)) for _ in range(5)], place((mug, 1))
    Order.objects.filter(pk__in=[order.pk for order in overdue]).update(expires_at=clock.now())

    expire_overdue_orders()

    assert Order.objects.filter(status="expired").count() == 5
    waiting.refresh_from_db()
    assert waiting.status == "pending"
    assert stock_of(mug) == (10, 1)
