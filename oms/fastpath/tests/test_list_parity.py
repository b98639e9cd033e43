"""Lists look the same by the fast path as by Django, and unusual ones are left to Django."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from oms.core import clock
from oms.fastpath.tests.parity import Both
from oms.testing.factories import make_customer, make_product, make_staff
from oms.testing.ordering import place
from oms.users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def both() -> Both:
    return Both(make_customer())


LISTS = [
    "/api/v1/orders",
    "/api/v1/orders?page_size=2",
    "/api/v1/admin/orders",
    "/api/v1/admin/orders?page_size=2",
    "/api/v1/admin/orders?page_size=2&status=pending",
    "/api/v1/admin/orders?page_size=2&payment_status=unpaid",
    "/api/v1/admin/orders?created_at__gte=2026-01-01T00:00:00%2B01:00"
    "&created_at__lt=2199-01-01T00:00:00Z&page_size=2&ordering=-id",
    "/api/v1/admin/orders?page_size=2&ordering=-placed_at",
    "/api/v1/admin/orders?page_size=2&ordering=id",
    "/api/v1/admin/orders?page_size=2&ordering=placed_at&status=pending",
    "/api/v1/admin/orders?page_size=2&ordering=-updated_at",
    "/api/v1/admin/orders?page_size=2&ordering=updated_at&updated_since=2026-01-01T00:00:00Z",
    "/api/v1/products",
    "/api/v1/products?page_size=2&ordering=-price",
    "/api/v1/products?price__gte=1&price__lte=99.50&category=Mugs",
    "/api/v1/products?is_active=true&created_at__gte=2026-01-01T00:00:00Z&ordering=name",
]


@pytest.mark.parametrize(
    ("path", "by"),
    [
        *((path, "staff") for path in LISTS),
        *((path, "customer") for path in LISTS if "/admin/" not in path),
    ],
)
def test_lists_are_the_same_page_by_page(
    path: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if all had been made a while ago: lists by the time of change show it a second later.
    later = clock.now() + timedelta(minutes=1)
    monkeypatch.setattr("oms.api.keyset.settled_until", lambda: later)
    user = make_customer() if by == "customer" else make_staff()
    for number in range(5):
        mug = make_product(category="Mugs", is_active=number != 3)
        if mug.is_active:
            place((mug, 1), customer=user, token="tok_success" if number % 2 else "")
    both, pages = Both(user), 0
    following: str | None = path
    while following:
        by_fast_path = both.same("get", following)
        assert by_fast_path.content == both.django.get(following).content
        unchanged = both.same("get", following, headers={"If-None-Match": by_fast_path["ETag"]})
        assert (by_fast_path.status_code, unchanged.status_code) == (200, 304)
        if previous := by_fast_path.json()["previous"]:
            back = both.same("get", previous)
            assert back.content == both.django.get(previous).content
        following, pages = by_fast_path.json()["next"], pages + 1
    hidden = by == "customer" or "orders" in path
    assert pages == (1 if "page_size" not in path else 2 if hidden else 3)


@pytest.mark.parametrize("path", [path for path in LISTS if "products" in path])
def test_anonymous_callers_see_the_same_products(path: str) -> None:
    mugs = [make_product(category="Mugs", is_active=n > 0) for n in range(3)]
    both = Both(make_customer())
    for client in (both.django, both.fast):
        client.credentials()
    for each in (path, f"/api/v1/products/{mugs[1].id}", f"/api/v1/products/{mugs[0].id}"):
        by_fast_path = both.same("get", each)
        if by_fast_path.status_code == 200:  # a problem names its request
            assert by_fast_path.content == both.django.get(each).content
    assert both.same("get", f"/api/v1/products/{mugs[0].id}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "search=mug",
        "in_stock=true",
        "page_size=0",
        "page_size=1&page_size=2",
        "page_size=",
        "page_size",
        "pagesize=1",
        "page_size=1&",
        "&",
        "cursor=abc.def",
        "ordering=sku",
        "price__gte=-1",
        "category=%41",
        "is_active=TRUE",
        "updated_since=2026-11-01T00:00:00%2b01:00",
        "updated_since=2026-11-01T00:00:00+01:00",
        "category=%2541",
        "is_active=true%26page_size=1",
    ],
)
def test_unusual_queries_of_lists_are_left_to_django(both: Both, query: str) -> None:
    make_product(category="A", name="mug")

    by_fast_path = both.same("get", f"/api/v1/products?{query}", taken=False)

    assert by_fast_path.status_code in (200, 400)
    if by_fast_path.status_code == 200:
        assert by_fast_path.content == both.django.get(f"/api/v1/products?{query}").content


HEADERS: list[tuple[dict[str, str], bool]] = [
    ({"Accept": "application/json"}, True),
    ({"Accept": "application/json;q=0.9"}, False),
    ({"Accept": "text/csv"}, False),
    ({"Accept-Language": "de"}, True),
    ({"Cookie": "a=b"}, False),
    ({"Host": "TESTSERVER:80"}, True),
    ({"Host": "evil.example"}, False),
    ({"Idempotency-Key": "no key of reads"}, True),
    ({"If-Modified-Since": "Sat, 21 Nov 2026 00:00:00 GMT"}, True),
    ({"If-None-Match": "*"}, True),
    ({"If-None-Match": '"a", *'}, True),
    ({"If-None-Match": ""}, True),
    ({"Range": "bytes=0-3"}, True),
    ({"X-Forwarded-Host": "evil.example"}, True),
    ({"X-HTTP-Method-Override": "DELETE"}, True),
    ({"X-Request-ID": "mine"}, True),
    ({"X-Request-ID": "not sane"}, True),
]


@pytest.mark.parametrize(
    "what", ["order", "status", "product", "orders", "admin/orders", "products"]
)
def test_unusual_headers_of_reads_are_answered_and_logged_the_same(
    both: Both,
    what: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO, logger="oms.http.requests")
    User.objects.update(is_staff=what == "admin/orders")
    mug = make_product()
    order = place((mug, 1), customer=User.objects.get())
    path = {
        "order": f"/api/v1/orders/{order.id}",
        "status": f"/api/v1/orders/{order.id}/status",
        "product": f"/api/v1/products/{mug.id}",
    }.get(what, f"/api/v1/{what}")
    for headers, taken in HEADERS:
        capsys.readouterr()
        by_fast_path = both.same("get", path, taken=taken, headers=headers)
        by_django = both.django.get(path, headers=headers)

        if by_fast_path.status_code == 200:
            assert by_fast_path.content == by_django.content
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        lines = [line for line in lines if line["event"] == "request"]
        assert len(lines) == 3  # two by Django; the other by the front of the other client
        assert logged(lines[0]) == logged(lines[1]) == logged(lines[2])
        assert {type(line["status"]) for line in lines} == {int}


def logged(line: Mapping[str, Any]) -> dict[str, Any]:
    """The log line of a request without what depends on who answered it, and when."""
    names = ("event", "method", "path", "route", "status", "user_id")
    return {name: line[name] for name in names}


ODD_QUERIES_OF_ALL = [
    "search=20",
    "updated_since=2026-01-01T00:00:00Z",
    "updated_since=2026-01-01T00:00:00Z&ordering=id",
    "updated_since=2026-01-01T00:00:00Z&ordering=updated_at&status=pending",
    "status=pending&ordering=-updated_at",
    "status__in=pending,confirmed",
    "fulfilment_status=unfulfilled",
    "payment_status=paid&ordering=id",
    "ordering=total",
    "status=pending&payment_status=unpaid",
    "status=pending&customer_id=00000000-0000-7000-8000-000000000000",
    "status=none",
    "status__in=pending,none",
    "status__in=%2C",
    "customer_id=me",
    "created_at__gte=yesterday",
    "page_size=201",
    "number=%20",
]


@pytest.mark.parametrize("query", ODD_QUERIES_OF_ALL)
def test_unusual_queries_of_all_orders_are_left_to_django(query: str) -> None:
    place((make_product(), 1), customer=make_customer())
    both = Both(make_staff())

    by_fast_path = both.same("get", f"/api/v1/admin/orders?{query}", taken=False)

    assert by_fast_path.status_code in (200, 400)


def test_all_orders_are_for_staff() -> None:
    order = place((make_product(), 1), customer=make_customer())
    boss, stranger = Both(make_staff(is_superuser=True)), Both(make_customer())
    path = f"/api/v1/admin/orders?customer_id={order.customer_id}&number={order.number}"

    assert boss.same("get", path, taken=False).json()["results"][0]["id"] == str(order.id)
    for query in (f"customer_id={order.customer_id}", f"number={order.number}", ""):
        answer = boss.same("get", f"/api/v1/admin/orders?{query}")
        assert [found["id"] for found in answer.json()["results"]] == [str(order.id)]
        refused = stranger.same("get", f"/api/v1/admin/orders?{query}", taken=False)
        assert refused.status_code == 403


@pytest.mark.parametrize("query", ["status=pending", "ordering=placed_at", "ordering=id"])
def test_own_orders_in_other_ways_are_djangos(both: Both, query: str) -> None:
    place((make_product(), 1), customer=User.objects.get())

    assert both.same("get", f"/api/v1/orders?{query}", taken=False).status_code == 200


def test_anonymous_callers_have_no_orders(both: Both) -> None:
    for client in (both.django, both.fast):
        client.credentials()

    assert both.same("get", "/api/v1/orders", taken=False).status_code == 401


def test_a_limit_of_addresses_counts_the_same(both: Both, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general_address": "1/hour"}
    for client in (both.django, both.fast):
        client.credentials()
    assert both.fast.get("/api/v1/products").status_code == 200

    assert both.same("get", "/api/v1/products").status_code == 429
