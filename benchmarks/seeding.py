"""The data of the shop under test: 1,000 products, 200 customers, 5,000 unpaid orders.

One product and one customer are created through the checkout's own API, copied in SQL without
naming their columns, and ordered through the API again. So it works for any checkout.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
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
# Access tokens are signed for 15 minutes, and replaced after eight.
_TOKEN_SECONDS, _TOKEN_LIFETIME = 8 * 60, 15 * 60
_LIMITS = ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PLACE", "USER", "ANONYMOUS")
# `reconcile` demands no notifications for events of requests with this id.
_DEMO_REQUEST = "demo-shop"

_COPY = """
    INSERT INTO {table} SELECT copy.* FROM {table} AS original
    JOIN {source} ON {condition}
    CROSS JOIN LATERAL jsonb_populate_record(original, jsonb_build_object({changes})) AS copy
"""
_COPIES = (
    _COPY.format(
        table="inventory_product",
        source=f"generate_series(1, {PRODUCTS - 1}) AS number",
        condition="original.sku = 'BENCH-0000'",
        changes="'id', uuidv7(), 'sku', 'BENCH-' || lpad(number::text, 4, '0'),"
        " 'name', 'Bench product ' || lpad(number::text, 4, '0'), 'price', 4.90 + number %% 90",
    ),
    _COPY.format(
        table="inventory_stocklevel",
        source="inventory_product AS product",
        condition="product.id <> original.product_id",
        changes="'id', uuidv7(), 'product_id', product.id",
    ),
    _COPY.format(
        table="inventory_stockmovement",
        source="inventory_product AS product",
        condition="product.id <> original.product_id",
        changes="'id', uuidv7(), 'product_id', product.id,"
        " 'reference', 'product:' || product.id || ':created'",
    ),
    _COPY.format(
        table="users_user",
        source=f"generate_series(1, {CUSTOMERS - 1}) AS number",
        condition="original.email = 'bench-0@example.com'",
        changes="'id', uuidv7(), 'email', 'bench-' || number || '@example.com'",
    ),
    _COPY.format(
        table="users_session",
        source="users_user AS account",
        condition="account.id <> original.user_id AND NOT account.is_staff",
        changes="'id', uuidv7(), 'user_id', account.id, 'refresh_jti', account.id",
    ),
)
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
    """Somebody who is logged in."""

    id: str
    email: str
    session_id: str


@dataclass(frozen=True, kw_only=True)
class SeededOrder:
    """An order to read, and how many items it has."""

    id: str
    customer: Account
    items: int
    etag: str


@dataclass(kw_only=True)
class Dataset:
    """What the load generator knows of the shop; `template` is the database to copy for a run."""

    template: str
    products: Sequence[str]
    customers: Sequence[Account]
    orders: Sequence[SeededOrder]
    staff: Account
    signing_key: str
    algorithm: str
    claims: dict[str, Any]
    _tokens: dict[str, str] = field(default_factory=dict)
    _signed_at: float = float("-inf")

    def token(self, account: Account) -> str:
        """An access token of the account that stays valid for some minutes."""
        if time.monotonic() - self._signed_at > _TOKEN_SECONDS:
            self._tokens, self._signed_at = {}, time.monotonic()
        if account.id not in self._tokens:
            now = int(time.time())
            claims = {
                **self.claims,
                "iat": now,
                "exp": now + _TOKEN_LIFETIME,
                "jti": secrets.token_hex(16),
                "sub": account.id,
                "sid": account.session_id,
            }
            self._tokens[account.id] = jwt.encode(claims, self.signing_key, self.algorithm)
        return self._tokens[account.id]


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
        dataset = _seed_running_shop(shop, servers)
    with servers.connect(template) as connection:
        consumers = json.loads(shop.run_python("-c", _CONSUMERS).stdout)
        connection.execute(_SKIP_EVENTS, [consumers])
        connection.execute("VACUUM ANALYZE")
    return dataset


def _seed_running_shop(shop: Shop, servers: Servers) -> Dataset:
    staff_token = _register(shop, _STAFF)
    customer_token = _register(shop, "bench-0@example.com")
    with servers.connect(shop.database) as connection:
        connection.execute(
            "UPDATE users_user SET is_staff = true, is_superuser = true WHERE email = %s", [_STAFF]
        )
        product = {
            "sku": "BENCH-0000",
            "name": "Bench product 0000",
            "description": "Sold by the thousand. " * 4,
            "price": "4.90",
            "initial_stock": _STOCK,
        }
        shop.request("POST", "/api/v1/products", token=staff_token, body=product)
        for statement in _COPIES:
            connection.execute(statement.replace("%%", "%").encode())
        products = [
            str(id) for (id,) in connection.execute("SELECT id FROM inventory_product ORDER BY sku")
        ]
        accounts = [
            Account(id=str(id), email=email, session_id=str(session))
            for id, email, session in connection.execute(
                "SELECT account.id, email, session.id FROM users_user AS account"
                " JOIN users_session AS session ON session.user_id = account.id ORDER BY account.id"
            )
        ]
    dataset = Dataset(
        template=shop.database,
        products=products,
        customers=[account for account in accounts if account.email != _STAFF],
        orders=[],
        staff=next(account for account in accounts if account.email == _STAFF),
        signing_key=shop.settings["JWT_SIGNING_KEY"],
        algorithm=jwt.get_unverified_header(customer_token)["alg"],
        claims=jwt.decode(customer_token, options={"verify_signature": False}),
    )
    with ThreadPoolExecutor(4) as threads:
        orders = threads.map(lambda one: _place_orders(shop, dataset, *one), _drawn(dataset))
        dataset.orders = [order for placed in orders for order in placed]
    return dataset


def _register(shop: Shop, email: str) -> str:
    """Create an account and log it in; returns its access token."""
    account = {"email": email, "password": PASSWORD, "full_name": "Bench Customer"}
    shop.request("POST", "/api/v1/users", body=account)
    tokens = shop.request("POST", "/api/v1/auth/token", body={"email": email, "password": PASSWORD})
    return str(tokens["access"])


def _drawn(dataset: Dataset) -> list[tuple[Account, list[dict[str, Any]]]]:
    random = Random(3)
    return [
        (
            customer,
            [
                {
                    "items": [
                        {"product_id": product, "quantity": random.randint(1, 3)}
                        for product in random.sample(dataset.products, k=random.randint(1, 3))
                    ],
                    "shipping_address": ADDRESS,
                }
                for _ in range(ORDERS_PER_CUSTOMER)
            ],
        )
        for customer in dataset.customers
    ]


def _place_orders(
    shop: Shop, dataset: Dataset, customer: Account, orders: list[dict[str, Any]]
) -> list[SeededOrder]:
    answer = shop.request(
        "POST",
        "/api/v1/orders/bulk",
        token=dataset.token(customer),
        body={"orders": orders},
        **{"X-Request-ID": _DEMO_REQUEST},
    )
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
