"""The shop that is loaded: a thousand products, two hundred customers, some orders to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection
from rest_framework_simplejwt.tokens import AccessToken

from inventory.events import ProductCreated
from inventory.locks import lock_stock_levels
from inventory.models import MovementKind, Product, StockLevel
from inventory.operations.products import default_location
from inventory.operations.stock import Cause, StockAllocator
from oms.core import clock
from oms.core.actor import Actor, ActorKind, system
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.demo.consumer_offsets import step_over_the_past
from oms.demo.events import DEMO_REQUEST
from oms.events.publishing import publish_all
from oms.users.models import Session, User
from orders.operations.placing import place_orders
from orders.placements import OrderedItem, Placed, Placement

PRODUCTS = 1_000
CUSTOMERS = 200
ORDERS_OF_A_CUSTOMER = 25
PASSWORD = "bench-password-1"  # noqa: S105  # of customers that live as long as a run
ADDRESS = {
    "name": "Bench Customer",
    "line1": "Lindenstraße 1",
    "line2": "",
    "city": "Berlin",
    "postal_code": "10969",
    "region": "",
    "country": "DE",
}
# Pieces of each product: more than any run can sell.
_STOCK = 1_000_000_000
# An access token is good for 15 minutes; a measurement takes well under five.
_TOKEN_SECONDS = 8 * 60


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Somebody who is logged in."""

    id: UUID
    email: str
    session_id: UUID


@dataclass(frozen=True, kw_only=True)
class PlacedOrder:
    """An order to look at, and how many items it has."""

    id: UUID
    customer: Customer
    items: int
    etag: str


@dataclass(kw_only=True)
class Stock:
    """What a run knows of its shop."""

    products: Sequence[UUID]
    customers: Sequence[Customer]
    orders: Sequence[PlacedOrder]
    _tokens: dict[UUID, str] = field(default_factory=dict)
    _signed_at: float = 0.0

    def token(self, customer: Customer) -> str:
        """An access token of the customer that is good for some minutes more."""
        if time.monotonic() - self._signed_at > _TOKEN_SECONDS:
            self._tokens = {one.id: _access_token(one) for one in self.customers}
            self._signed_at = time.monotonic()
        return self._tokens[customer.id]


def stock_shop() -> Stock:
    """Fill the database that Django's settings name, which has been migrated and is empty.

    Its orders are unpaid, and nobody is told of them: a background that starts has nothing to do.
    """
    stock = _stocked()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return stock


@transaction
def _stocked() -> Stock:
    products = _add_products()
    customers = _add_customers()
    orders = _place_orders(products, customers)
    step_over_the_past()
    return Stock(products=products, customers=customers, orders=orders)


def _add_products() -> list[UUID]:
    now, actor, location = clock.now(), system("bench"), default_location()
    products = [
        Product(
            sku=f"BENCH-{number:04}",
            name=f"Bench product {number:04}",
            description="Sold by the thousand. " * 4,
            category="bench",
            price=Decimal("4.90") + number % 90,
            currency=settings.SHOP_CURRENCY,
            created_at=now,
            updated_at=now,
        )
        for number in range(PRODUCTS)
    ]
    Product.objects.bulk_create(products)
    StockLevel.objects.bulk_create(
        StockLevel(product=product, location=location, updated_at=now) for product in products
    )
    created = [
        ProductCreated(product_id=product.id, sku=product.sku, name=product.name)
        for product in products
    ]
    publish_all([(event, actor) for event in created], at=now)
    levels = lock_stock_levels([product.id for product in products])
    book = StockAllocator(levels)
    for level in levels:
        cause = Cause(
            actor=actor, reference=f"product:{level.product_id}:created", reason="received"
        )
        book.adjust(level, _STOCK, kind=MovementKind.RECEIVE, cause=cause)
    book.save(at=now)
    return [product.id for product in products]


def _add_customers() -> list[Customer]:
    now = clock.now()
    # Hashed once: the hash is slow on purpose.
    password = make_password(PASSWORD)
    users = User.objects.bulk_create(
        User(
            email=f"bench-{number}@example.com",
            full_name=f"Bench Customer {number}",
            password=password,
        )
        for number in range(CUSTOMERS)
    )
    sessions = Session.objects.bulk_create(
        Session(
            id=new_id(),
            user=user,
            refresh_jti=str(user.id),
            created_at=now,
            rotated_at=now,
            expires_at=now + timedelta(days=7),
        )
        for user in users
    )
    return [
        Customer(id=user.id, email=user.email, session_id=session.id)
        for user, session in zip(users, sessions, strict=True)
    ]


def _place_orders(products: Sequence[UUID], customers: Sequence[Customer]) -> list[PlacedOrder]:
    random = Random(3)
    placed: list[PlacedOrder] = []
    for customer in customers:
        placements = [
            Placement(
                customer_id=customer.id,
                items=[
                    OrderedItem(product_id=product, quantity=random.randint(1, 3))
                    for product in random.sample(products, k=random.randint(1, 3))
                ],
                shipping_address=ADDRESS,
            )
            for _ in range(ORDERS_OF_A_CUSTOMER)
        ]
        actor = Actor(
            kind=ActorKind.CUSTOMER,
            id=customer.id,
            label=customer.email,
            request_id=DEMO_REQUEST,
        )
        for outcome in place_orders(actor=actor, placements=placements):
            assert isinstance(outcome, Placed), outcome
            order = outcome.order
            placed.append(
                PlacedOrder(
                    id=order.id,
                    customer=customer,
                    items=len(outcome.items),
                    etag=f'"v{order.version}"',
                )
            )
    return placed


def _access_token(customer: Customer) -> str:
    """As the shop signs it; logging in two hundred customers would take ten seconds."""
    token = AccessToken()
    token["sub"], token["sid"] = str(customer.id), str(customer.session_id)
    return str(token)
