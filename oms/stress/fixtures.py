"""The customers and products of a stress test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password

from inventory.operations.products import change_product, create_product
from oms.core.actor import system
from oms.core.money import rounded
from oms.users.models import User
from oms.users.operations.sessions import log_in

_ACTOR = system("stress test")
# Below the rate limit for placing, 600 a minute, however fast the requests are sent.
_REQUESTS_PER_CUSTOMER = 400


@dataclass(frozen=True, kw_only=True)
class StockedProduct:
    """A product of the test and its initial stock."""

    id: UUID
    stock: int


def required_customers(*, requests: int, concurrency: int) -> int:
    """How many customers stay within the rate limits."""
    return max(min(concurrency, requests), -(-requests // _REQUESTS_PER_CUSTOMER))


def create_customers(*, run: str, customers: int) -> list[str]:
    """The access tokens of so many new customers, valid for 15 minutes.

    They are created in the database, because registering over HTTP is limited to 60 a minute, with
    one random password that is hashed once.
    """
    password = secrets.token_urlsafe(24)
    hashed = make_password(password)
    users = User.objects.bulk_create(
        User(
            email=f"stress-{run}-{number}@example.com",
            full_name=f"Stress Test {number}",
            password=hashed,
        )
        for number in range(customers)
    )
    return [log_in(actor=_ACTOR, email=user.email, password=password).access for user in users]


@contextmanager
def products_on_sale(*, run: str, stocks: Sequence[int]) -> Iterator[list[StockedProduct]]:
    """New products with those stocks, active while the block runs."""
    products = [
        StockedProduct(
            id=create_product(
                actor=_ACTOR,
                sku=f"STRESS-{run}-{number}",
                name=f"Stress test {run}, product {number}",
                price=rounded(Decimal("9.90") + number, settings.SHOP_CURRENCY),
                currency=settings.SHOP_CURRENCY,
                category="stress test",
                initial_stock=stock,
                low_stock_threshold=0,
            ).id,
            stock=stock,
        )
        for number, stock in enumerate(stocks)
    ]
    try:
        yield products
    finally:
        for product in products:
            change_product(actor=_ACTOR, product_id=product.id, values={"is_active": False})
