"""Constraints of orders in the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, models, transaction

from oms.core import clock
from oms.testing.factories import make_product
from oms.testing.ordering import place
from orders.models import Order, OrderItem, Shipment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "change", "constraint"),
    [
        (Order, {"status": "lost", "confirmed_at": clock.now()}, "order_status_known"),
        (Order, {"payment_status": "lent"}, "order_payment_status_known"),
        (Order, {"fulfilment_status": "flown"}, "order_fulfilment_status_known"),
        (Order, {"total": "-0.01"}, "order_total_not_negative"),
        (Order, {"total": "39.801"}, "order_total_fits_currency"),
        (Order, {"currency": "JPY"}, "order_total_fits_currency"),
        (Order, {"total": "1.0001", "currency": "KWD"}, "order_total_fits_currency"),
        (Order, {"status": "cancelled"}, "order_cancelled_has_its_moment"),
        (Order, {"cancelled_at": clock.now()}, "order_cancelled_has_its_moment"),
        (Order, {"status": "confirmed"}, "order_confirmed_has_its_moment"),
        (Order, {"status": "shipped"}, "order_confirmed_has_its_moment"),
        (OrderItem, {"quantity": 0, "line_total": 0}, "order_item_quantity_positive"),
        (OrderItem, {"line_total": 1}, "order_item_total_is_product"),
        (OrderItem, {"unit_price": -1, "line_total": -2}, "order_item_price_not_negative"),
        (OrderItem, {"quantity_shipped": 3}, "order_item_shipped_within_quantity"),
        (OrderItem, {"quantity_returned": 1}, "order_item_returned_within_shipped"),
        (Shipment, {"status": "flown"}, "shipment_status_known"),
    ],
)
def test_invalid_states_and_numbers_are_rejected(
    model: type[models.Model], change: dict[str, Any], constraint: str
) -> None:
    order = place((make_product(), 2))
    Shipment.objects.create(order=order, created_at=clock.now())
    manager: Any = model._default_manager

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        manager.update(**change)


def test_order_numbers_are_unique() -> None:
    mug = make_product()
    first, second = place((mug, 1)), place((mug, 1))

    with pytest.raises(IntegrityError, match="order_number_drawn"), transaction.atomic():
        Order.objects.filter(pk=second.pk).update(number=first.number)
