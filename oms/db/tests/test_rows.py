"""Plain rows: the values and the bytes that instances would give."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection

from inventory.models import Product
from inventory.queries import ProductRow
from oms.db.pipeline import Pipeline, execute, rows_of
from oms.http.payloads import encode
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import place
from orders.models import Order
from orders.queries import query_orders
from orders.rows import OrderRow

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("price", ["0.00", "0.10", "100.00", "9999999.99"])
def test_rows_of_products_equal_those_of_the_orm(price: str) -> None:
    make_product(name="Ärmel „ß“ \U0001f9e6", price=Decimal(price), description="a\nb\\")

    [row] = rows_of(ProductRow, Product.objects.all())

    read = Product.objects.values_list(*ProductRow._fields).get()
    assert tuple(row) == read
    assert encode(tuple(row)) == encode(read)


@pytest.mark.parametrize("note", ["", 'Ünter "der" Tür\\u0041'])
def test_rows_of_orders_equal_those_of_the_orm(note: str) -> None:
    order = place((make_product(), 2), customer=make_customer())
    Order.objects.filter(pk=order.pk).update(
        note=note,
        shipping_address={"name": note, "line2": "\t\U0001f9e6", "postal_code": "007"},
        updated_at=datetime(2026, 11, 1, 0, 0, 0, 1, tzinfo=UTC),
        expires_at=None,
    )

    with Pipeline() as pipeline:
        [row] = query_orders([order.pk], pipeline=pipeline).rows()

    read = Order.objects.values_list(*OrderRow._fields).get()
    assert tuple(row) == read
    assert encode(tuple(row)) == encode(read)


def test_a_queryset_of_nothing_has_no_rows() -> None:
    make_product()

    assert rows_of(ProductRow, Product.objects.none()) == []
    assert rows_of(ProductRow, Product.objects.filter(pk__in=[])) == []


def test_cursors_still_read_as_django_does() -> None:
    execute("SELECT %s::jsonb", ["{}"])

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", ["{}"])
        assert cursor.fetchone() == ("{}",)
