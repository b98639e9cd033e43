"""Making the demo shop: all of it in one transaction, or nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from inventory.events import ProductCreated
from inventory.models import Location, Product, StockLevel
from notifications.models import Notification
from oms.core.clock import business_date
from oms.demo.accounts import Accounts, open_accounts
from oms.demo.consumer_offsets import step_over_the_past
from oms.demo.copy import COLUMNS, Rows
from oms.demo.events import Journal
from oms.demo.index_rebuild import without_indexes
from oms.demo.notifications import tell_the_newest, tell_the_past
from oms.demo.order_steps import Goods
from oms.demo.payment_steps import Money
from oms.demo.plans import Phase, Plan, phase_sizes, plans
from oms.demo.products import LOCATIONS, Article, assortment
from oms.demo.provider_ledger import Books
from oms.demo.randomness import Dice
from oms.demo.restocking import Supplies
from oms.demo.stock import Warehouse
from oms.demo.timeline import History
from oms.demo.timestamps import placing_moments
from oms.events.partitions import make_partitions
from orders.models import Order
from reports.models import DailyReport

DAYS = 30
# The shop had opened so long before the first order.
_OPENED_BEFORE = timedelta(days=15)
# From so many orders on the tables are filled without their indexes.
LARGE = 20_000
# There is a delivery each week, but as many at least.
_LEAST_DELIVERIES = 4


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
    days: int = DAYS,
    placed: Callable[[], None] = lambda: None,
    begun: Callable[[str], None] = lambda what: None,
) -> SeededShop:
    """Make the demo shop with that many orders of the `days` before `now`.

    `ledger` is the sandbox provider's file, which gets the charges. `placed` is called after each
    order, `begun` with what is done after the last one. Raises ShopNotEmpty.
    """
    dice = Dice(seed=seed, purpose="history")
    opened_at = now - timedelta(days=days) - _OPENED_BEFORE
    make_partitions(first=opened_at, last=now)
    rows, books = Rows(), Books(dice=dice)
    with _no_garbage_collection(), transaction.atomic(), closing(rows):
        _lift_limits()
        require_empty_shop()
        accounts = open_accounts(orders=orders, seed=seed, at=opened_at, rows=rows)
        locations = _locations(at=opened_at)
        articles = assortment(orders)
        products = _products(articles, Dice(seed=seed, purpose="products"), at=opened_at)
        journal = Journal(rows=rows, dice=dice)
        for product in products:
            fact = ProductCreated(product_id=product.id, sku=product.sku, name=product.name)
            journal.tell(fact, actor=accounts.staff, at=opened_at)
        warehouse = Warehouse(
            products=products, locations=locations, rows=rows, dice=dice, journal=journal
        )
        sizes = phase_sizes(orders, days=days)
        drawn = _plans(sizes, articles, accounts, seed=seed)
        parts = max(_LEAST_DELIVERIES, days // 7)
        supplies = Supplies(
            catalogue=articles,
            plans=drawn,
            parts=parts,
            warehouse=warehouse,
            actor=accounts.staff,
        )
        moments = placing_moments(
            sizes,
            days=days,
            now=now,
            zone=settings.BUSINESS_TIME_ZONE,
            random=Dice(seed=seed, purpose="moments").random,
        )
        with _tables_for(orders):
            supplies.open(at=opened_at)
            history = _history(accounts, warehouse, supplies, books, parts=parts, now=now)
            history.live(
                drawn,
                moments,
                customers=accounts.customers,
                addresses=accounts.addresses,
                placed=placed,
            )
            supplies.count(at=now)
            rows.flush()
            begun("notifications")
            tell_the_past(now=now)
            begun("indexes")
        begun("the rest")
        _save_levels(warehouse, dice, at=now)
        # What was stored of these days does not know the orders that are in them now.
        DailyReport.objects.filter(date__gte=business_date(opened_at)).delete()
        tell_the_newest()
        _lift_limits()  # which telling has set anew
        step_over_the_past()
        books.write(ledger)
        begun("commit")
    if not connection.in_atomic_block:
        begun("vacuum")
        with connection.cursor() as cursor:
            # Or the first queries are planned as if the tables were empty, and look at each row
            # to see whether it is visible.
            cursor.execute("VACUUM ANALYZE")
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


def _tables_for(orders: int) -> AbstractContextManager[None]:
    return without_indexes([*COLUMNS, Notification]) if orders >= LARGE else nullcontext()


def _plans(
    sizes: Mapping[Phase, int], articles: Sequence[Article], accounts: Accounts, *, seed: int
) -> list[Plan]:
    random = Dice(seed=seed, purpose="plans").random
    customers = len(accounts.customers)
    return list(plans(sizes=sizes, customers=customers, catalogue=articles, random=random))


def _history(
    accounts: Accounts,
    warehouse: Warehouse,
    supplies: Supplies,
    books: Books,
    *,
    parts: int,
    now: datetime,
) -> History:
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
    return History(
        products=warehouse.products,
        goods=goods,
        money=money,
        rows=rows,
        dice=dice,
        now=now,
        parts=parts,
        deliver=supplies.deliver,
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


def _products(articles: Sequence[Article], dice: Dice, *, at: datetime) -> list[Product]:
    return Product.objects.bulk_create(_product(article, dice, at=at) for article in articles)


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
