"""Lists are planned for their own values, however often they are requested."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from oms.db.pipeline import execute
from oms.testing.factories import api_client, make_product, make_staff
from oms.testing.fastpath import FastPathClient
from oms.testing.ordering import paid_order

pytestmark = pytest.mark.django_db

# After five times psycopg would prepare a statement by itself.
_OFTEN = 8


def prepared(table: str) -> int:
    """How many statements about the table this connection has prepared."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s",
            [f'SELECT%FROM "{table}"%WHERE%'],
        )
        [count] = cursor.fetchone()
    return int(count)


@pytest.mark.parametrize("path", ["/api/v1/admin/payments", "/api/v1/admin/orders"])
def test_a_list_of_the_api_is_never_prepared(path: str) -> None:
    paid_order((make_product(), 1))
    staff = api_client(make_staff())
    table = f"{path.rpartition('/')[2]}_{path.rpartition('/')[2][:-1]}"
    before = prepared(table)

    for _ in range(_OFTEN):
        assert staff.get(path, {"created_at__gte": "2020-01-01T00:00:00Z"}).status_code == 200

    assert prepared(table) == before


def test_a_product_list_of_the_fast_path_is_never_prepared() -> None:
    before, client = prepared("inventory_product"), FastPathClient()

    for number in range(_OFTEN):
        assert client.get("/api/v1/products", {"price__gte": number}).status_code == 200

    assert client.taken == [True] * _OFTEN
    assert prepared("inventory_product") == before


def test_a_page_of_the_back_office_is_never_prepared() -> None:
    paid_order((make_product(), 1))
    browser = Client()
    browser.force_login(make_staff(is_superuser=True))
    before = prepared("payments_payment")

    for _ in range(_OFTEN):
        page = browser.get("/admin/payments/payment/", {"status__exact": "captured"})
        assert page.status_code == 200

    assert prepared("payments_payment") == before


def test_a_statement_of_a_pipeline_is_prepared_once() -> None:
    before = prepared("payments_payment")
    statement = 'SELECT FROM "payments_payment" WHERE order_id = %s'

    for _ in range(_OFTEN):
        execute(statement, [uuid4()])

    assert prepared("payments_payment") == before + 1
