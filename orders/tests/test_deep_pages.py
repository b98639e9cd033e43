"""The ten thousandth page of a list costs what the first does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import QuerySet

from oms.core.rows import rows_of
from oms.http.keyset import Cursor, Ordering, PageAsked
from oms.testing.plans import scans_of, statements_sent
from orders.models import Order
from orders.queries import OrderRow, OwnPage, all_orders, own_orders
from orders.tests.long_lists import fill

pytestmark = pytest.mark.django_db

SIZE = 2
# Of all 20,000 orders.
DEEP = 9_999


@pytest.fixture(autouse=True)
def _long_list() -> None:
    fill()


def rows_read(read: Callable[[], object]) -> int:
    """How many rows PostgreSQL reads for what `read` asks, those among them that are not shown."""
    with statements_sent() as sent:
        read()
    return sum(scan.rows for statement in sent for scan in scans_of(statement))


def page(number: int, *, name: str, reverse: bool = False) -> QuerySet[Order]:
    """What is read for that page of all orders, counted from the end that comes first."""
    field = name.removeprefix("-")
    ordering = Ordering(name=name, field=field)
    cursor = None
    if number > 1:
        before = all_orders().order_by(*ordering.terms(reverse=reverse))[(number - 1) * SIZE - 1]
        cursor = Cursor(reverse=reverse, value=getattr(before, field), id=before.id)
    return PageAsked(size=SIZE, ordering=ordering, cursor=cursor).of(all_orders())


def test_a_deep_page_of_all_orders_costs_what_the_first_does() -> None:
    read = {}
    for name, reverse in product(("-id", "id", "-placed_at", "placed_at", "-updated_at"), (0, 1)):
        first, deep = page(1, name=name), page(DEEP, name=name, reverse=bool(reverse))
        read[name, reverse] = tuple(
            rows_read(partial(rows_of, OrderRow, rows)) for rows in (first, deep)
        )

    # By a time also the order where the page begins is read, for others may have the same time.
    expected = {key: (SIZE + 1, SIZE + 1 if key[0].endswith("id") else SIZE + 2) for key in read}
    assert read == expected


def test_by_counting_rows_it_would_cost_ten_thousand_times_as_much() -> None:
    start = (DEEP - 1) * SIZE
    deep = all_orders().order_by("-id")[start : start + SIZE + 1]

    assert rows_read(lambda: rows_of(OrderRow, deep)) == start + SIZE + 1


def test_a_deep_page_of_own_orders_costs_what_the_first_does() -> None:
    customer_id = Order.objects.values_list("customer_id", flat=True)[0]
    deep = Order.objects.filter(customer_id=customer_id).order_by("-id")[90].id
    first = OwnPage(customer_id=customer_id, size=SIZE + 1)
    last = OwnPage(customer_id=customer_id, size=SIZE + 1, before_id=deep)

    with connection.cursor() as cursor:
        # As the statement is planned once it is prepared: for whatever values.
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    assert rows_read(lambda: own_orders([first])) == SIZE + 1
    assert rows_read(lambda: own_orders([last])) == SIZE + 1


def test_pages_of_many_customers_come_from_one_statement() -> None:
    customers = list(Order.objects.values_list("customer_id", flat=True).distinct()[:3])
    deep = Order.objects.filter(customer_id=customers[1]).order_by("-id")[50].id

    found = own_orders(
        [
            OwnPage(customer_id=customers[0], size=2),
            OwnPage(customer_id=customers[1], size=3, before_id=deep),
            OwnPage(customer_id=customers[0], size=1),
        ]
    )

    def ids(customer: UUID, start: int, end: int) -> list[UUID]:
        own = Order.objects.filter(customer_id=customer).order_by("-id")
        return list(own.values_list("id", flat=True)[start:end])

    assert [[order.id for order in page] for page in found] == [
        ids(customers[0], 0, 2),
        ids(customers[1], 51, 54),
        ids(customers[0], 0, 1),
    ]
