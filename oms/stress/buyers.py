"""Those who order in a stress test, and what there is to be had."""

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
from oms.users.models import User
from oms.users.operations.sessions import log_in

_ACTOR = system("stress test")
# Fewer calls a customer than the limit for placing in a minute (600), however fast they are made.
_CALLS_OF_A_CUSTOMER = 400


@dataclass(frozen=True, kw_only=True)
class Ware:
    """A product of the test and the pieces that there are."""

    id: UUID
    stock: int


def customers_needed(*, calls: int, concurrency: int) -> int:
    """How many customers that many calls need to stay within the rate limits."""
    return max(min(concurrency, calls), -(-calls // _CALLS_OF_A_CUSTOMER))


def access_tokens(*, run: str, customers: int) -> list[str]:
    """The access tokens of that many new customers, good for a quarter of an hour.

    They are made in the database: registering over HTTP is limited to sixty a minute. Their
    password is hashed once, and nobody knows it.
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
def wares_on_sale(*, run: str, stocks: Sequence[int]) -> Iterator[list[Ware]]:
    """Products of the test's own with those stocks, on sale as long as the block runs."""
    wares = [
        Ware(
            id=create_product(
                actor=_ACTOR,
                sku=f"STRESS-{run}-{number}",
                name=f"Stress test {run}, product {number}",
                price=Decimal("9.90") + number,
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
        yield wares
    finally:
        for ware in wares:
            change_product(actor=_ACTOR, product_id=ware.id, values={"is_active": False})
