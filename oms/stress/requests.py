"""The calls of a stress test, drawn before the clock runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from oms.stress.buyers import Ware

_ADDRESS = {
    "name": "Stress Test",
    "line1": "Lindenstraße 1",
    "city": "Berlin",
    "postal_code": "10969",
    "country": "DE",
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: its orders are known by their notes, which no other order of the shop has."""

    path: str
    key: str
    customer: int
    body: bytes
    notes: tuple[str, ...]


def calls(
    *, run: str, orders: int, batch: int, customers: int, wares: Sequence[Ware], payment_token: str
) -> list[Call]:
    """Calls that place `orders` orders, `batch` at once, of one to three of the wares each.

    With an empty `payment_token` the orders are not paid.
    """
    random = Random(run)
    made = []
    for number, start in enumerate(range(0, orders, batch)):
        notes = tuple(f"stress {run} {n}" for n in range(start, min(start + batch, orders)))
        bodies = [_order(note, wares, payment_token, random=random) for note in notes]
        made.append(
            Call(
                path="/api/v1/orders" if batch == 1 else "/api/v1/orders/bulk",
                key=f"stress-{run}-{number}",
                customer=number % customers,
                body=json.dumps(bodies[0] if batch == 1 else {"orders": bodies}).encode(),
                notes=notes,
            )
        )
    return made


def _order(
    note: str, wares: Sequence[Ware], payment_token: str, *, random: Random
) -> dict[str, Any]:
    chosen = random.sample(wares, k=min(random.randint(1, 3), len(wares)))
    lone = len(wares) == 1
    order: dict[str, Any] = {
        "items": [
            {"product_id": str(ware.id), "quantity": 1 if lone else random.randint(1, 3)}
            for ware in chosen
        ],
        "shipping_address": _ADDRESS,
        "note": note,
    }
    if payment_token:
        order["payment"] = {"provider": "sandbox", "token": payment_token}
    return order
