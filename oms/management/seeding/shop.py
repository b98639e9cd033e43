"""Making the demo shop: all of it in one transaction, or nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from inventory.events import ProductCreated
from inventory.models import Location, Product, StockLevel
from oms.core.clock import business_date
from oms.events.partitions import make_partitions
from oms.management.seeding.accounts import Accounts, open_accounts
from oms.management.seeding.books import Books
from oms.management.seeding.catalogue import CATALOGUE, LOCATIONS, Article
from oms.management.seeding.copying import Rows
from oms.management.seeding.dice import Dice
from oms.management.seeding.history import History
from oms.management.seeding.journal import Journal
from oms.management.seeding.moments import DAYS, placing_moments
from oms.management.seeding.money import Money
from oms.management.seeding.past import step_over_the_past
from oms.management.seeding.plans import Plan, phase_sizes, plans
from oms.management.seeding.steps import Goods
from oms.management.seeding.supplies import Supplies
from oms.management.seeding.telling import tell_the_newest
from oms.management.seeding.warehouse import Warehouse
from orders.models import Order
from reports.models import DailyReport

_OPENED_BEFORE = timedelta(days=DAYS + 15)


class ShopNotEmpty(Exception):
    """The shop has products or orders already."""


@dataclass(frozen=True, kw_only=True)
class SeededShop:
    """How much was made."""

    products: int
    customers: int
    orders: int


def require_empty_shop() -> None:
    """Raises ShopNotEmpty, saying what there is."""
    products, orders = Product.objects.count(), Order.objects.count()
    if products or orders:
        raise ShopNotEmpty(f"The shop has {products} products and {orders} orders already.")


def seed_shop(
    *,
    orders: int,
    seed: int,
    now: datetime,
    ledger: Path,
    placed: Callable[[], None] = lambda: None,
) -> SeededShop:
    """Make the demo shop with that many orders of the month before `now`.

    `ledger` is the sandbox provider's file, which gets the charges. `placed` is called after each
    order. Raises ShopNotEmpty.
    """
    dice = Dice(seed=seed, purpose="history")
    make_partitions(first=now - _OPENED_BEFORE, last=now)
    rows, books = Rows(), Books(dice=dice)
    with _no_garbage_collection(), transaction.atomic(), closing(rows):
        _lift_limits()
        require_empty_shop()
        opened_at = now - _OPENED_BEFORE
        accounts = open_accounts(orders=orders, seed=seed, at=opened_at, rows=rows)
        locations = _locations(at=opened_at)
        products = _products(Dice(seed=seed, purpose="products"), at=opened_at)
        journal = Journal(rows=rows, dice=dice)
        for product in products:
            fact = ProductCreated(product_id=product.id, sku=product.sku, name=product.name)
            journal.tell(fact, actor=accounts.staff, at=opened_at)
        warehouse = Warehouse(
            products=products, locations=locations, rows=rows, dice=dice, journal=journal
        )
        drawn = _plans(orders=orders, accounts=accounts, seed=seed)
        supplies = Supplies(
            catalogue=CATALOGUE, plans=drawn, warehouse=warehouse, actor=accounts.staff
        )
        supplies.open(at=opened_at)
        _live(drawn, accounts, warehouse, supplies, books, now=now, seed=seed, placed=placed)
        supplies.count(at=now)
        rows.flush()
        _save_levels(warehouse, dice, at=now)
        # What was stored of these days does not know the orders that are in them now.
        DailyReport.objects.filter(date__gte=business_date(opened_at)).delete()
        tell_the_newest()
        step_over_the_past()
        books.write(ledger)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # or the first queries are planned as if the tables were empty
    return SeededShop(products=len(products), customers=len(accounts.customers), orders=orders)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Without the search for reference cycles, of which there are none here: a third faster."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _lift_limits() -> None:
    """This one transaction may take minutes."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _plans(*, orders: int, accounts: Accounts, seed: int) -> list[Plan]:
    random = Dice(seed=seed, purpose="plans").random
    customers = len(accounts.customers)
    return list(plans(orders=orders, customers=customers, catalogue=CATALOGUE, random=random))


def _live(
    drawn: Sequence[Plan],
    accounts: Accounts,
    warehouse: Warehouse,
    supplies: Supplies,
    books: Books,
    *,
    now: datetime,
    seed: int,
    placed: Callable[[], None],
) -> None:
    journal, dice, rows = warehouse.journal, warehouse.dice, warehouse.rows
    money = Money(
        journal=journal,
        warehouse=warehouse,
        books=books,
        dice=dice,
        staff=accounts.staff,
        now=now,
    )
    goods = Goods(
        journal=journal, warehouse=warehouse, money=money, dice=dice, staff=accounts.staff
    )
    moments = placing_moments(
        phase_sizes(len(drawn)),
        now=now,
        zone=settings.BUSINESS_TIME_ZONE,
        random=Dice(seed=seed, purpose="moments").random,
    )
    history = History(
        products=warehouse.products,
        goods=goods,
        money=money,
        rows=rows,
        dice=dice,
        now=now,
        deliver=supplies.deliver,
    )
    history.live(
        drawn,
        moments,
        customers=accounts.customers,
        addresses=accounts.addresses,
        placed=placed,
    )


def _locations(*, at: datetime) -> list[Location]:
    """The default one first, which may be there already."""
    found = {location.code: location for location in Location.objects.all()}
    default = next((location for location in found.values() if location.is_default), None)
    lasting = Dice(seed=0, purpose="locations")
    locations = []
    for code, name, priority, is_default in LOCATIONS:
        id = lasting.lasting_id()
        location = default if is_default and default is not None else found.get(code)
        if location is None:
            location = Location.objects.create(
                id=id, code=code, name=name, priority=priority, is_default=is_default, created_at=at
            )
        locations.append(location)
    return sorted(locations, key=lambda location: (location.priority, location.code))


def _products(dice: Dice, *, at: datetime) -> list[Product]:
    return Product.objects.bulk_create(_product(article, dice, at=at) for article in CATALOGUE)


def _product(article: Article, dice: Dice, *, at: datetime) -> Product:
    return Product(
        id=dice.lasting_id(),
        sku=article.sku,
        name=article.name,
        description=article.description,
        category=article.category,
        price=article.price,
        currency=settings.SHOP_CURRENCY,
        is_active=article.is_active,
        low_stock_threshold=article.low_stock_threshold,
        backorderable=article.backorderable,
        created_at=at,
        updated_at=at,
    )


def _save_levels(warehouse: Warehouse, dice: Dice, *, at: datetime) -> None:
    StockLevel.objects.bulk_create(
        StockLevel(
            id=dice.id_at(at),
            product=shelf.product,
            location=location,
            on_hand=shelf.on_hand[place],
            reserved=shelf.reserved[place],
            backorderable=shelf.product.backorderable,
            updated_at=at,
        )
        for shelf in warehouse.shelves
        for place, location in enumerate(warehouse.locations)
    )
