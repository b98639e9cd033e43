"""Pages of a long list of orders are read by indexes, with any filter and ordering."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db.models import QuerySet

from oms.testing.factories import api_client, make_staff
from oms.testing.plans import PAGE, rows_read, scans_of, statements_sent
from orders.api.filters import AdminOrderFilters, OrderFilters
from orders.models import Order
from orders.queries import all_orders, orders_of
from orders.tests.long_lists import fill

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def rare(module_db: None) -> Order:
    """The order in the middle of a long list."""
    fill()
    return Order.objects.select_related("customer").get(status="on_hold")


def too_many_read(cases: dict[str, tuple[QuerySet[Order], int]], *, most: int) -> dict[str, Any]:
    """What was read by the cases that read more than `most` rows, or found another number of them.

    Each is a list with the number of orders that its first page must have.
    """
    wrong = {}
    for name, (orders, expected) in cases.items():
        for order in ("-id", "id", "-placed_at", "placed_at", "-updated_at", "updated_at"):
            found, read = rows_read(orders, order=order)
            if found != expected or read > most:
                wrong[f"{name} by {order}"] = (found, read)
    return wrong


def test_a_page_for_staff_reads_little_more_than_it_shows(rare: Order) -> None:
    def found(**query: str) -> QuerySet[Order]:
        return AdminOrderFilters.narrowed(all_orders(), AdminOrderFilters.cleaned(query))

    day = {
        "created_at__gte": (rare.placed_at - timedelta(minutes=20)).isoformat(),
        "created_at__lt": (rare.placed_at + timedelta(minutes=20)).isoformat(),
    }
    cases = {
        "all": (found(), PAGE),
        "status": (found(status="on_hold"), 1),
        "statuses": (found(status__in="on_hold,cancelled"), 1),
        "no status": (found(status="expired"), 0),
        "payment status": (found(payment_status="unknown"), 1),
        "no payment status": (found(payment_status="processing"), 0),
        "fulfilment status": (found(fulfilment_status="partially_shipped"), 1),
        "customer": (found(customer_id=str(rare.customer_id)), PAGE),
        "number": (found(number=rare.number), 1),
        "range": (found(**day), 40),
        "range and status": (found(**day, status="on_hold"), 1),
        "whole number": (found(search=rare.number.lower()), 1),
        "end of a number": (found(search=rare.number[-6:]), 1),
        "address": (found(search=rare.customer.email.upper()), PAGE),
        "name": (found(search=rare.customer.full_name.split()[-1].lower()), PAGE),
        "part of an address": (found(search=rare.customer.email[3:-3]), PAGE),
        "nothing": (found(search="nobody"), 0),
    }

    assert too_many_read(cases, most=700) == {}


def test_a_page_for_a_customer_reads_their_own_orders_alone(rare: Order) -> None:
    def found(**query: str) -> QuerySet[Order]:
        return OrderFilters.narrowed(orders_of(rare.customer_id), OrderFilters.cleaned(query))

    moment = rare.placed_at.isoformat()
    cases = {
        "all": (found(), PAGE),
        "search": (found(search=rare.number[-6:]), 1),
        "status": (found(status="on_hold"), 1),
        "since": (found(updated_since=moment), 50),
    }

    assert too_many_read(cases, most=200) == {}


@pytest.mark.parametrize("ordering", ["id", "-placed_at"])
def test_orders_changed_since_long_ago_are_found_in_the_order_of_their_making(
    rare: Order, ordering: str
) -> None:
    since = Order.objects.order_by("-id")[2_999].placed_at
    ancient = list(Order.objects.order_by("id").values_list("id", flat=True)[10:5_000:600])
    Order.objects.filter(id__in=ancient).update(updated_at=since)
    gone = Order.objects.filter(id=ancient.pop()).update(deleted_at=since)
    staff, query = api_client(make_staff()), {"updated_since": since.isoformat(), "page_size": 200}
    changed = all_orders().filter(updated_at__gte=since).values_list("id", flat=True)
    expected = [str(id) for id in changed.order_by(ordering.replace("placed_at", "id"))]

    found, read, back = [], [], []
    url: str | None = f"/api/v1/admin/orders?{urlencode({**query, 'ordering': ordering})}"
    while url is not None:
        with statements_sent() as sent:
            page = staff.get(url).json()
        found += [order["id"] for order in page["results"]]
        read += [sum(scan.rows for one in sent for scan in scans_of(one))]
        if page["previous"]:
            back += [order["id"] for order in staff.get(page["previous"]).json()["results"]]
        url = page["next"]

    assert (found, len(found), gone) == (expected, 3_008, 1)
    assert back == expected[:3_000]
    # What was changed is looked through by an index at worst, and what was not is left alone.
    assert max(read) < 3_500


def test_a_long_list_without_an_index_is_detected(rare: Order) -> None:
    found, read = rows_read(Order.objects.filter(note__icontains="ring"), order="-id")

    assert (found, read) == (0, 20_000)
