"""Who follows the changes of a list misses none, however long a writer waits for a lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from inventory.models import Product
from inventory.operations.products import change_product
from oms.testing.factories import actor_for, api_client, make_product, make_staff
from oms.testing.ordering import place
from orders.operations.cancelling import cancel_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Follower:
    """Asks a list from the greatest `updated_at` it has seen; remembers each object as it was."""

    def __init__(self, client: APIClient, path: str) -> None:
        self._client, self._path = client, path
        self._since = "2020-01-01T00:00:00Z"
        self.seen: dict[str, Any] = {}

    def follow(self) -> None:
        query = {"ordering": "updated_at", "updated_since": self._since, "page_size": "200"}
        answer = self._client.get(self._path, query)
        assert answer.status_code == 200, answer.content
        for row in answer.json()["results"]:
            self.seen[row["id"]] = row
            self._since = row["updated_at"]

    def follow_until(self, is_there: Callable[[dict[str, Any]], bool]) -> None:
        """Follow on until that has been seen, for ten seconds at most."""
        deadline = time.monotonic() + 10
        while not is_there(self.seen) and time.monotonic() < deadline:
            self.follow()
            time.sleep(0.05)
        assert is_there(self.seen), "missed"


@contextmanager
def waiting_for_stock(product: Product, work: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `work` waits for the product's stock, which another session holds."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with psycopg.connect(connection.connection.info.dsn) as other:
        other.execute(
            "SELECT FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE", [product.id]
        )
        thread.start()
        time.sleep(0.3)
        yield
    thread.join()


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def test_an_order_that_waited_for_stock_is_not_passed(staff: APIClient) -> None:
    hot, other = make_product(stock=10), make_product(stock=10)
    waiting = place((hot, 1), token="tok_success")
    orders = Follower(staff, "/api/v1/admin/orders")
    payments = Follower(staff, "/api/v1/admin/payments")
    orders.follow_until(lambda seen: str(waiting.id) in seen)

    def cancel() -> None:
        cancel_order(actor=actor_for(waiting.customer), order_id=waiting.id)

    with waiting_for_stock(hot, cancel):
        placed = place((other, 1), token="tok_success")
        orders.follow()
        payments.follow()

    orders.follow_until(lambda seen: str(placed.id) in seen)
    orders.follow_until(lambda seen: seen[str(waiting.id)]["status"] == "cancelled")
    payments.follow_until(
        lambda seen: sorted(row["status"] for row in seen.values()) == ["created", "voided"]
    )


def test_a_product_that_waited_for_stock_is_not_passed(staff: APIClient) -> None:
    hot, clerk = make_product(stock=10), actor_for(make_staff())
    products = Follower(staff, "/api/v1/products")
    products.follow_until(lambda seen: str(hot.id) in seen)

    def change() -> None:
        change_product(actor=clerk, product_id=hot.id, values={"name": "A", "backorderable": True})

    with waiting_for_stock(hot, change):
        other = make_product(stock=10)
        products.follow()

    products.follow_until(lambda seen: str(other.id) in seen)
    products.follow_until(lambda seen: seen[str(hot.id)]["name"] == "A")
