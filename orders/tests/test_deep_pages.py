"""The ten thousandth page of a list costs what the first does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import QuerySet

from oms.api.keyset import Cursor, Ordering, PageRequest
from oms.db.pipeline import Pipeline, rows_of
from oms.testing.plans import scans_of, statements_sent
from orders.models import Order
from orders.queries import NewestPage, all_orders, query_pages
from orders.rows import OrderRow
from orders.tests.long_lists import fill

pytestmark = pytest.mark.django_db

SIZE = 2
# Of all 20,000 orders.
DEEP = 9_999


@pytest.fixture(scope="module", autouse=True)
def _long_list(module_db: None) -> None:
    fill()


def pages_of(pages: list[Any]) -> list[list[OrderRow]]:
    with Pipeline() as pipeline:
        return query_pages(pages, pipeline=pipeline)


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
    return PageRequest(scope="", size=SIZE, ordering=ordering, cursor=cursor).of(all_orders())


def test_a_deep_page_of_all_orders_costs_as_much_as_the_first() -> None:
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


@pytest.mark.parametrize("whose", ["own", "all"])
def test_a_deep_page_of_the_newest_costs_as_much_as_the_first(whose: str) -> None:
    customer_id = Order.objects.values_list("customer_id", flat=True)[0]
    orders = Order.objects.filter(customer_id=customer_id) if whose == "own" else all_orders()
    deep = orders.order_by("-id")[90 if whose == "own" else DEEP * SIZE].id
    owner = customer_id if whose == "own" else None
    first = NewestPage(customer_id=owner, size=SIZE + 1)
    last = NewestPage(customer_id=owner, size=SIZE + 1, before_id=deep)

    with connection.cursor() as cursor:
        # As the statement is planned once it is prepared: independent of its values.
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    assert rows_read(lambda: pages_of([first])) == SIZE + 1
    assert rows_read(lambda: pages_of([last])) == (SIZE + 1 if whose == "own" else 1)


def test_pages_of_many_callers_share_one_statement_except_for_filtered_ones() -> None:
    customers = list(Order.objects.values_list("customer_id", flat=True).distinct()[:3])
    deep = Order.objects.filter(customer_id=customers[1]).order_by("-id")[50].id

    with statements_sent() as sent:
        found = pages_of(
            [
                NewestPage(customer_id=customers[0], size=2),
                all_orders().filter(status="on_hold"),
                NewestPage(customer_id=customers[1], size=3, before_id=deep),
                NewestPage(customer_id=None, size=4, before_id=deep),
                all_orders().none(),
                NewestPage(customer_id=customers[0], size=1),
            ]
        )

    def ids(customer: UUID, start: int, end: int) -> list[UUID]:
        own = Order.objects.filter(customer_id=customer).order_by("-id")
        return list(own.values_list("id", flat=True)[start:end])

    assert [[order.id for order in page] for page in found] == [
        ids(customers[0], 0, 2),
        [Order.objects.get(status="on_hold").id],
        ids(customers[1], 51, 54),
        list(Order.objects.filter(id__lt=deep).order_by("-id").values_list("id", flat=True)[:4]),
        [],
        ids(customers[0], 0, 1),
    ]
    assert len(sent) == 2
