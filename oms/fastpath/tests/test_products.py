"""Copies of the catalogue: used only while valid, also with concurrent changes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from inventory.api import page_copies as copies_module
from inventory.api import reading
from inventory.api.page_copies import PageCopies, PageCopy
from inventory.models import Product
from inventory.operations.products import change_product
from oms.api.handlers import ApiAnswer
from oms.core.actor import system
from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall
from oms.fastpath.tests.calls import accepted, request, token_of
from oms.http.local_counters import local_counters
from oms.testing.factories import make_customer, make_product, make_staff
from oms.testing.ordering import place
from oms.testing.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/products"


class Careless(PageCopies):
    """The negative control: copies as one keeps them who only forgets them after a change."""

    def get(self, key: Any, *, version: str | None, load: Callable[[], PageCopy]) -> PageCopy:
        if key not in self._kept:
            self._kept[key] = ("", 0.0, load())
        return self._kept[key][2]

    def forget(self, name: str) -> None:
        self._kept.clear()


@pytest.fixture(autouse=True)
def copies(settings: Settings) -> Iterator[PageCopies]:
    """Copies of this test alone, and no limit in its way."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general_address": "1000000/minute"}
    with patch.object(reading, "page_copies", PageCopies()) as kept:
        yield kept


@pytest.fixture
def careless() -> Iterator[Careless]:
    kept = Careless()
    with (
        patch.object(reading, "page_copies", kept),
        patch("oms.core.cache_versions.renew", kept.forget),
    ):
        yield kept


def question(query: str = "", *, path: str = URL, token: str = "", **headers: str) -> FastPathCall:
    """The call for products, of an anonymous caller unless there is a token."""
    own = {"host": "testserver", **headers}
    if token:
        own["authorization"] = f"Bearer {token}"
    return accepted(request("GET", path, token=token, query=query.encode(), headers=own))


def asked(query: str = "", **options: str) -> ApiAnswer:
    [one] = answer_batch([question(query, **options)])
    assert one is not None, "left to Django"
    return one


def products(**options: Any) -> list[dict[str, Any]]:
    one = asked(**options)
    assert one.status == 200, one.body
    found: list[dict[str, Any]] = json.loads(one.body)["results"]
    return found


def names(**options: Any) -> list[str]:
    return [product["name"] for product in products(**options)]


def rename(product: Product, name: str) -> None:
    change_product(actor=system("tests"), product_id=product.id, values={"name": name})


def statements(question: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        question()
    return len(captured)


def test_a_copied_page_reads_only_its_stock() -> None:
    mug = make_product(stock=7)

    assert statements(products) == 2
    assert statements(products) == 1
    place((mug, 3), customer=make_customer())
    [shown] = products()
    assert shown["available"] == 4


def test_a_change_is_seen_by_later_requests() -> None:
    mug = make_product(name="Old")
    assert names() == ["Old"]

    rename(mug, "New")
    assert names() == ["New"]
    make_product(name="Another")
    assert names() == ["Another", "New"]
    change_product(actor=system("tests"), product_id=mug.id, values={"is_active": False})
    assert names() == ["Another"]


def seen_after_a_late_reader(mug: Product) -> tuple[list[str], list[str]]:
    """What a reader shows who reads before a change and stores after it, and what the next sees."""
    loading, changed = threading.Event(), threading.Event()
    load_page = reading.load_page

    def load_slowly(*args: Any, **options: Any) -> PageCopy:
        page = load_page(*args, **options)
        loading.set()
        assert changed.wait(10)
        return page

    def change() -> list[str]:
        assert loading.wait(10)
        rename(mug, "New")
        changed.set()
        return []

    with patch.object(reading, "load_page", load_slowly):
        late, _ = at_once(names, change)
    return late, names()


def test_a_page_read_before_a_change_and_stored_after_it_is_not_shown_again() -> None:
    mug = make_product(name="Old")

    assert seen_after_a_late_reader(mug) == (["Old"], ["New"])


def test_without_versions_that_page_would_be_shown_again(careless: Careless) -> None:
    mug = make_product(name="Old")

    assert seen_after_a_late_reader(mug) == (["Old"], ["Old"])


def stale_answers(mug: Product, *, changes: int) -> int:
    """How many answers of four readers were older than what was committed when they asked."""
    latest = [mug.version]
    over = threading.Event()
    load_page = reading.load_page

    def load_slowly(*args: Any, **options: Any) -> PageCopy:
        page = load_page(*args, **options)
        time.sleep(0.005)  # so that changes do come in between
        return page

    def write() -> int:
        try:
            for number in range(changes):
                rename(mug, f"Name {number}")
                latest[0] += 1
        finally:
            over.set()
        return 0

    def read() -> int:
        stale = 0
        while not over.is_set():
            least = latest[0]
            [shown] = products()
            stale += shown["version"] < least
        return stale

    with patch.object(reading, "load_page", load_slowly):
        return sum(at_once(write, read, read, read, read))


def test_readers_see_everything_that_was_committed_before_their_request() -> None:
    assert stale_answers(make_product(), changes=60) == 0


def test_readers_of_careless_copies_do(careless: Careless) -> None:
    assert stale_answers(make_product(), changes=60) > 0


def test_a_process_that_dies_before_it_renews_the_version_leaves_copies_for_a_second() -> None:
    mug = make_product(name="Old")
    assert names() == ["Old"]
    with patch("oms.core.cache_versions.renew", side_effect=OSError):
        rename(mug, "New")

    assert names() == ["Old"]
    with patch.object(copies_module, "SECONDS", 0.05):
        time.sleep(0.06)
        assert names() == ["New"]


def test_copies_of_a_version_that_redis_has_lost_are_not_used() -> None:
    mug = make_product(name="Old")
    assert names() == ["Old"]
    Product.objects.filter(pk=mug.pk).update(name="New")
    assert names() == ["Old"]

    cache.clear()

    assert names() == ["New"]


def test_without_redis_every_page_is_read(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    mug = make_product(name="Old")
    local_counters.reset()

    assert names() == ["Old"]
    rename(mug, "New")
    assert names() == ["New"]
    assert statements(products) == statements(products) == 2
    local_counters.reset()


def test_staff_and_others_have_copies_of_their_own() -> None:
    make_product(name="Lamp")
    make_product(name="Old lamp", is_active=False)
    staff, customer = token_of(make_staff()), token_of(make_customer())
    for _ in range(2):
        assert names(token=staff) == ["Old lamp", "Lamp"]
        assert names(token=customer) == names() == ["Lamp"]
        assert "low_stock_threshold" in products(token=staff)[0]
        assert "low_stock_threshold" not in products(token=customer)[0]


def test_each_page_is_a_copy_of_its_own() -> None:
    for name in ("A", "B", "C"):
        make_product(name=name)
    for _ in range(2):
        assert names(query="page_size=2") == ["C", "B"]
        assert names(query="page_size=1&ordering=name") == ["A"]
        assert names(query="price__gte=20") == []
    other = json.loads(asked("page_size=1", host="localhost").body)
    assert other["next"].startswith("http://localhost/api/v1/products?cursor=")


def test_many_who_ask_for_the_same_are_as_few_statements_as_one() -> None:
    mug = make_product()
    paths = [URL, URL, f"{URL}/{mug.id}", f"{URL}/{mug.id}"]
    calls = [
        accepted(request("GET", path, token="", headers={"host": "testserver"}))
        for path in paths * 5
    ]

    with CaptureQueriesContext(connection) as captured:
        answers = answer_batch(calls)

    assert [one.status for one in answers if one] == [200] * 20
    assert len(captured) == 3  # the product, the page, what is available


def test_an_unchanged_page_is_not_sent_again_until_its_stock_moves() -> None:
    mug = make_product(stock=5)
    tag = asked().headers["ETag"]

    unchanged = asked(**{"if-none-match": tag})
    place((mug, 1), customer=make_customer())
    moved = asked(**{"if-none-match": tag})

    assert (unchanged.status, unchanged.body) == (304, b"")
    assert moved.status == 200
    assert moved.headers["ETag"] != tag


@pytest.mark.parametrize("query", ["page_size={}", "price__gte={}00"])
def test_copies_of_more_than_may_be_kept_are_forgotten(copies: PageCopies, query: str) -> None:
    make_product(description="x" * 1_000)
    with patch.object(copies_module, "_MOST_BYTES", 50_000):
        for number in range(1, 40):  # of which the second kind finds nothing, and is kept too
            products(query=query.format(number))

    assert 1 <= len(copies._kept) < 10


def test_text_that_looks_like_a_placeholder_is_not_replaced() -> None:
    text = '100% "available":0, %d %(x)s \\"available":0,'
    make_product(description=text, name='"available":0,%s', stock=3)

    [shown] = products()

    assert (shown["description"], shown["name"]) == (text, '"available":0,%s')
    assert shown["available"] == 3
