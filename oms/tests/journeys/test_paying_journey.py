"""Orders paid with every token of the sandbox, through real processes: web, workers, provider."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import pytest

from oms.testing.factories import make_customer, make_product, make_staff, tokens_for
from oms.testing.ordering import ADDRESS, stock_of
from oms.testing.processes import Processes
from oms.users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

OUTCOMES = {
    "tok_success": ("confirmed", "paid"),
    "tok_declined": ("pending", "failed"),
    "tok_insufficient_funds": ("pending", "failed"),
    "tok_error_then_success": ("confirmed", "paid"),
    "tok_timeout_success": ("confirmed", "paid"),
    "tok_timeout_declined": ("pending", "failed"),
    "tok_slow": ("confirmed", "paid"),
    "tok_duplicate_webhook": ("confirmed", "paid"),
}


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Closes the clients that enter it."""
    with ExitStack() as stack:
        yield stack


def client(processes: Processes, user: User) -> httpx.Client:
    return httpx.Client(
        base_url=f"{processes.web_url}/api/v1",
        headers={"Authorization": f"Bearer {tokens_for(user).access}"},
        timeout=20,
        trust_env=False,
    )


def wait_for(
    shop: httpx.Client, order_id: str, expected: tuple[str, str], *, seconds: float
) -> None:
    until = time.monotonic() + seconds
    while True:
        order = shop.get(f"/orders/{order_id}/status").json()
        seen = (order["status"], order["payment_status"])
        if seen == expected:
            return
        assert time.monotonic() < until, (seen, expected, order["history"])
        time.sleep(0.2)


def rows(processes: Processes, query: str, *values: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(processes.ledger, timeout=5)) as ledger:
        return ledger.execute(query, values).fetchall()


def test_every_token_has_its_outcome_with_one_charge_each(
    processes: Processes, clients: ExitStack
) -> None:
    mug = make_product(stock=100)
    processes.start_all()
    processes.start("beat")
    shop = clients.enter_context(client(processes, make_customer()))
    orders = {}
    for token in OUTCOMES:
        response = shop.post(
            "/orders",
            json={
                "items": [{"product_id": str(mug.id), "quantity": 1}],
                "shipping_address": {k: v for k, v in ADDRESS.items() if v},
                "payment": {"provider": "sandbox", "token": token},
            },
        )
        assert response.status_code == 201, response.text
        orders[token] = response.json()["id"]

    for token, expected in OUTCOMES.items():
        wait_for(shop, orders[token], expected, seconds=60)

    for token, order_id in orders.items():
        charges = rows(processes, "SELECT status FROM charges WHERE reference = ?", order_id)
        paid = OUTCOMES[token][1] == "paid"
        assert charges == [("captured" if paid else "declined",)], token
        history = shop.get(f"/orders/{order_id}/status").json()["history"]
        assert [entry["status"] for entry in history] == (
            ["pending", "confirmed"] if paid else ["pending"]
        )
    assert stock_of(mug) == (100, len(OUTCOMES))

    # A paid order is cancelled and refunded once.
    cancelled = orders["tok_timeout_success"]
    assert shop.put(f"/orders/{cancelled}/cancel").status_code == 200
    wait_for(shop, cancelled, ("cancelled", "refunded"), seconds=30)
    assert rows(
        processes,
        "SELECT count(*), r.status FROM refunds r JOIN charges c ON c.id = r.charge_id"
        " WHERE c.reference = ?",
        cancelled,
    ) == [(1, "succeeded")]

    # Staff ship another one, and its customer sees the shipment.
    staff = clients.enter_context(client(processes, make_staff()))
    shipment = {"carrier": "DHL", "tracking_number": "JD01"}
    shipped = staff.post(f"/admin/orders/{orders['tok_success']}/shipments", json=shipment)
    assert shipped.status_code == 201, shipped.text
    seen = shop.get(f"/orders/{orders['tok_success']}", params={"expand": "shipments"}).json()
    assert (seen["status"], seen["shipments"][0]["tracking_number"]) == ("shipped", "JD01")
    assert stock_of(mug) == (99, len(OUTCOMES) - 2)
