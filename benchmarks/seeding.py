"""The data of the shop under test: 1,000 products, 200 customers, 5,000 unpaid orders.

All of it is created through the API, so it works for any checkout.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import jwt

from benchmarks.processes import Checkout, Shop
from benchmarks.servers import BenchError, Servers

PRODUCTS = 1_000
CUSTOMERS = 200
ORDERS_PER_CUSTOMER = 25
PASSWORD = "bench-password-1"  # noqa: S105  # of accounts that exist during a run
ADDRESS = {
    "name": "Bench Customer",
    "line1": "Lindenstraße 1",
    "line2": "",
    "city": "Berlin",
    "postal_code": "10969",
    "region": "",
    "country": "DE",
}
# More than any run can sell.
_STOCK = 1_000_000_000
_STAFF = "bench-staff@example.com"
_TOKEN_LIFETIME, _TOKEN_REUSED = 15 * 60, 5 * 60
_LIMITS = ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PLACE", "USER", "ANONYMOUS")
_THREADS = 4

_SKIP_EVENTS = """
    INSERT INTO events_consumeroffset (consumer, transaction, position, updated_at)
    SELECT name, last.transaction, last.position, now() FROM unnest(%s::text[]) AS name,
        (SELECT transaction, position FROM events_event
         ORDER BY transaction DESC, position DESC LIMIT 1) AS last
    ON CONFLICT (consumer) DO UPDATE
    SET transaction = excluded.transaction, position = excluded.position
"""
_CONSUMERS = """
import django, json
django.setup()
from oms.subscriptions import CONSUMERS
print(json.dumps([consumer.name for consumer in CONSUMERS]))
"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody who has logged in; `claims` are those of an access token of the shop."""

    email: str
    claims: dict[str, Any]
    signing_key: str

    def token(self) -> str:
        """An access token, valid for ten minutes at least; the same one within five minutes."""
        at = int(time.time()) // _TOKEN_REUSED * _TOKEN_REUSED
        claims = {**self.claims, "iat": at, "exp": at + _TOKEN_LIFETIME}
        return jwt.encode(claims, self.signing_key, algorithm="HS256")


@dataclass(frozen=True, kw_only=True)
class SeededOrder:
    """An order to read, and how many items it has."""

    id: str
    customer: Account
    items: int
    etag: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What the load generator knows of the shop; `template` is the database to copy for a run."""

    template: str
    products: Sequence[str]
    customers: Sequence[Account]
    staff: Account
    orders: Sequence[SeededOrder]


def random_items(products: Sequence[str], lines: int, *, random: Random) -> list[dict[str, Any]]:
    """The items of an order: one to `lines` products, one to three units of each."""
    chosen = random.sample(products, k=random.randint(1, lines))
    return [{"product_id": product, "quantity": random.randint(1, 3)} for product in chosen]


def production_settings() -> dict[str, str]:
    """Environment variables of a production shop, with new secrets.

    Rate limits count every request, but are too high to refuse any.
    """
    return {
        "DEBUG": "0",
        "HTTPS": "0",  # the load generator takes the place of the proxy
        "ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "oms.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
        "SANDBOX_API_KEY": secrets.token_urlsafe(24),
        "SANDBOX_WEBHOOK_SECRET": secrets.token_urlsafe(24),
        **{f"RATE_LIMIT_{name}": "1000000000/minute" for name in _LIMITS},
    }


def seed(*, servers: Servers, checkout: Checkout, settings: dict[str, str]) -> Dataset:
    """Create the template database of a checkout. Raises BenchError if the checkout fails."""
    template = f"seeded_{checkout.name}"
    servers.create_database(template)
    with ExitStack() as cleanup:
        shop = Shop(
            checkout=checkout,
            servers=servers,
            database=template,
            redis_number=0,
            settings=settings,
            cleanup=cleanup,
        )
        migrated = shop.run_python("manage.py", "migrate", "--no-input", "--verbosity", "0")
        if migrated.returncode:
            raise BenchError(f"manage.py migrate failed:\n{migrated.stderr[-3000:]}")
        shop.start_web()
        staff = _account(shop, _STAFF)
        with servers.connect(template) as connection:
            connection.execute(
                "UPDATE users_user SET is_staff = true, is_superuser = true WHERE email = %s",
                [_STAFF],
            )
        with ThreadPoolExecutor(_THREADS) as threads:
            products = list(threads.map(partial(_product, shop, staff), range(PRODUCTS)))
            emails = [f"bench-{number}@example.com" for number in range(CUSTOMERS)]
            customers = list(threads.map(partial(_account, shop), emails))
            placed = threads.map(partial(_place_orders, shop, products), customers)
            orders = [order for some in placed for order in some]
    with servers.connect(template) as connection:
        consumers = json.loads(shop.run_python("-c", _CONSUMERS).stdout)
        connection.execute(_SKIP_EVENTS, [consumers])
        connection.execute("VACUUM ANALYZE")
    return Dataset(
        template=template,
        products=products,
        customers=customers,
        staff=staff,
        orders=orders,
    )


def _account(shop: Shop, email: str) -> Account:
    """Create an account and log it in."""
    account = {"email": email, "password": PASSWORD, "full_name": "Bench Customer"}
    shop.request("POST", "/api/v1/users", body=account)
    tokens = shop.request("POST", "/api/v1/auth/token", body={"email": email, "password": PASSWORD})
    claims = jwt.decode(tokens["access"], options={"verify_signature": False})
    return Account(email=email, claims=claims, signing_key=shop.settings["JWT_SIGNING_KEY"])


def _product(shop: Shop, staff: Account, number: int) -> str:
    product = {
        "sku": f"BENCH-{number:04d}",
        "name": f"Bench product {number:04d}",
        "description": "Sold by the thousand. " * 4,
        "price": f"{4 + number % 90}.90",
        "initial_stock": _STOCK,
    }
    return str(shop.request("POST", "/api/v1/products", token=staff.token(), body=product)["id"])


def _place_orders(shop: Shop, products: Sequence[str], customer: Account) -> list[SeededOrder]:
    random = Random(customer.email)
    orders = [
        {"items": random_items(products, 3, random=random), "shipping_address": ADDRESS}
        for _ in range(ORDERS_PER_CUSTOMER)
    ]
    path, body = "/api/v1/orders/bulk", {"orders": orders}
    answer = shop.request("POST", path, token=customer.token(), body=body)
    if bad := [result for result in answer["results"] if result["status"] != 201]:
        raise BenchError(f"An order of the seeded shop was not placed: {bad[0]}")
    return [
        SeededOrder(
            id=result["order"]["id"],
            customer=customer,
            items=len(result["order"]["items"]),
            etag=f'"v{result["order"]["version"]}"',
        )
        for result in answer["results"]
    ]
