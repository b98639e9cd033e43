"""The products of the demo shop, from products.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DemoProduct:
    """`popularity` weighs how often it is ordered; `left_over` is its final available stock.

    Below zero it is what waits for more. Without `left_over` that stock is random.
    """

    sku: str
    name: str
    category: str
    price: Decimal
    popularity: int
    description: str
    left_over: int | None
    backorderable: bool
    is_active: bool


def demo_products() -> Sequence[DemoProduct]:
    """All of them, in the order of the file."""
    with (Path(__file__).parent / "products.csv").open(newline="", encoding="utf-8") as file:
        return [
            DemoProduct(
                sku=row["sku"],
                name=row["name"],
                category=row["category"],
                price=Decimal(row["price"]),
                popularity=int(row["popularity"]),
                description=row["description"],
                left_over=int(row["left_over"]) if row["left_over"] else None,
                backorderable=row["backorderable"] == "yes",
                is_active=row["is_active"] == "yes",
            )
            for row in csv.DictReader(file)
        ]
