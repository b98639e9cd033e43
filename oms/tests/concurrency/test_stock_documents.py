"""Receipts, transfers and counts on real servers: one reference, killed processes, locks."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from django.db import connection

from inventory.models import Product, StockDocument, StockLevel, StockMovement
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.operations.transferring import transfer_stock
from inventory.tests.stock_documents import RECEIPTS, TRANSFERS, violations
from oms.core.actor import system
from oms.core.ids import new_id
from oms.testing.factories import make_location, make_product, make_staff, tokens_for
from oms.testing.ordering import place
from oms.testing.processes import Processes
from oms.testing.threads import at_once

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LINES = 1_000


def make_products(number: int) -> list[Product]:
    """Many products without stock, faster than by the operation."""
    products = Product.objects.bulk_create(
        [
            Product(sku=f"P-{position}", name=f"P {position}", price=1, currency="EUR")
            for position in range(number)
        ]
    )
    return list(products)


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens_for(make_staff()).access}"}


def body(products: list[Product], *, quantity: int = 2, **values: Any) -> dict[str, Any]:
    items = [{"product_id": str(product.id), "quantity": quantity} for product in products]
    return {"reference": "R-1", "items": items, **values}


def test_one_reference_in_parallel_calls_to_two_processes_is_booked_once(
    processes: Processes,
) -> None:
    processes.start("web", {"WEB_WORKERS": "2"})
    make_location(code="store")
    products, credentials = make_products(150), headers()
    sent = {
        RECEIPTS: body(products),
        TRANSFERS: body(products, quantity=1, **{"from": "main", "to": "store"}),
    }

    for path, content in sent.items():

        def post(_: int, path: str = path, content: dict[str, Any] = content) -> httpx.Response:
            with httpx.Client(base_url=processes.web_url, timeout=60) as client:
                return client.post(path, json=content, headers=credentials)

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(post, range(8)))

        statuses = {answer.status_code for answer in answers}
        # Those that waited longer than a lock timeout may try again.
        assert statuses <= {201, 503}, [answer.text for answer in answers]
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1

    assert StockDocument.objects.count() == 2
    assert StockMovement.objects.filter(kind="receive").count() == 150
    assert StockMovement.objects.filter(kind="transfer").count() == 300
    levels = StockLevel.objects.filter(product__in=products)
    assert set(levels.values_list("location__code", "on_hand")) == {("main", 1), ("store", 1)}
    assert violations() == []


def test_one_reference_with_different_contents_belongs_to_one_of_them(
    processes: Processes,
) -> None:
    processes.start("web", {"WEB_WORKERS": "2"})
    product, credentials = make_product(stock=0), headers()

    def post(quantity: int) -> httpx.Response:
        content = body([product], quantity=quantity)
        with httpx.Client(base_url=processes.web_url, timeout=60) as client:
            # Who waited longer than a lock timeout tries again.
            for _ in range(5):
                answer = client.post(RECEIPTS, json=content, headers=credentials)
                if answer.status_code != 503:
                    break
            return answer

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(post, range(1, 9)))

    refused = [answer for answer in answers if answer.status_code != 201]
    assert [answer.json()["code"] for answer in refused] == ["reference_taken"] * 7
    [made] = [answer for answer in answers if answer not in refused]
    [movement] = StockMovement.objects.all()
    assert movement.on_hand_delta == made.json()["items"][0]["quantity"]
    assert violations() == []


@pytest.mark.timeout(600)
def test_a_receipt_whose_process_is_killed_is_finished_by_repeating_it(
    processes: Processes,
) -> None:
    unhurried = {"REQUEST_DEADLINE": "300"}
    web = processes.start("web", unhurried)
    products, credentials = make_products(LINES), headers()

    def post() -> httpx.Response:
        with httpx.Client(base_url=processes.web_url, timeout=300) as client:
            return client.post(RECEIPTS, json=body(products), headers=credentials)

    def post_to_the_killed() -> None:
        with suppress(httpx.TransportError):
            post()

    first = threading.Thread(target=post_to_the_killed)
    first.start()
    deadline = time.monotonic() + 300
    while not StockDocument.objects.filter(items_booked__gte=200).exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(web.pid, signal.SIGKILL)
    first.join()
    document = StockDocument.objects.get()
    assert 200 <= document.items_booked < LINES
    assert document.completed_at is None
    assert violations() == []

    processes.start("web", unhurried)
    answer = post()

    assert (answer.status_code, answer.json()["id"]) == (201, str(document.id))
    assert answer.json()["items_booked"] == LINES
    assert StockMovement.objects.filter(kind="receive").count() == LINES
    assert set(StockLevel.objects.values_list("on_hand", flat=True)) == {2}
    assert violations() == []


def test_transfers_in_opposite_directions_beside_orders_do_not_deadlock() -> None:
    make_location(code="store")
    products = [make_product(stock=40) for _ in range(12)]
    lines = [StockLine(product_id=product.id, quantity=1) for product in products]

    def move(source: str, target: str, order: int) -> None:
        for _ in range(4):
            transfer_stock(
                actor=system("tests"),
                reference=str(new_id()),
                lines=lines[::order],
                from_location=source,
                to=target,
            )

    def receive() -> None:
        for _ in range(4):
            receive_stock(actor=system("tests"), reference=str(new_id()), lines=lines[::-1])

    receive_stock(
        actor=system("tests"),
        reference="start",
        lines=[StockLine(product_id=product.id, quantity=40) for product in products],
        location="store",
    )

    def buy() -> None:
        for _ in range(4):
            place(*((product, 1) for product in products[::-1]))

    at_once(
        lambda: move("main", "store", 1),
        lambda: move("store", "main", -1),
        receive,
        buy,
    )

    assert violations() == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(on_hand), sum(reserved) FROM inventory_stocklevel")
        assert cursor.fetchone() == (12 * (40 + 40 + 4), 12 * 4)
