"""The requests of a stress test, prepared before the clock runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from oms.stress.fixtures import StockedProduct

_ADDRESS = {
    "name": "Stress Test",
    "line1": "Lindenstraße 1",
    "city": "Berlin",
    "postal_code": "10969",
    "country": "DE",
}


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """One request; the `notes` of its orders are unique in the shop."""

    path: str
    key: str
    customer: int
    body: bytes
    notes: tuple[str, ...]


def order_requests(
    *,
    run: str,
    orders: int,
    batch: int,
    customers: int,
    products: Sequence[StockedProduct],
) -> list[OrderRequest]:
    """Requests for `orders` orders of one to three products, `batch` in each."""
    random = Random(run)
    requests = []
    for number, start in enumerate(range(0, orders, batch)):
        notes = tuple(f"stress {run} {n}" for n in range(start, min(start + batch, orders)))
        bodies = [_order(note, products, random=random) for note in notes]
        requests.append(
            OrderRequest(
                path="/api/v1/orders" if batch == 1 else "/api/v1/orders/bulk",
                key=f"stress-{run}-{number}",
                customer=number % customers,
                body=json.dumps(bodies[0] if batch == 1 else {"orders": bodies}).encode(),
                notes=notes,
            )
        )
    return requests


def _order(note: str, products: Sequence[StockedProduct], *, random: Random) -> dict[str, Any]:
    chosen = random.sample(products, k=min(random.randint(1, 3), len(products)))
    is_single = len(products) == 1
    return {
        "items": [
            {"product_id": str(product.id), "quantity": 1 if is_single else random.randint(1, 3)}
            for product in chosen
        ],
        "shipping_address": _ADDRESS,
        "note": note,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }
