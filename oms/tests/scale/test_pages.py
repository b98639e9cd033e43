"""Every page of the API and of the back office, in a shop that the planner takes for a large one.

No statement reads a growing table entirely, scans thousands of rows of an index that it does not
show, or is sent once for each row of a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client, override_settings

from benchmarks.large_shop import create_large_shop
from inventory.models import Location, Product, StockLevel
from oms.backoffice.admins import BoundedPaginator
from oms.demo.accounts import CUSTOMER_EMAIL
from oms.events.models import ConsumerOffset
from oms.fastpath.routes import find_route
from oms.testing.factories import PASSWORD, api_client, make_product, make_staff, tokens_for
from oms.testing.fastpath import FastPathClient
from oms.testing.plans import Statement, inflate_statistics, scans_of, statements_sent
from oms.tests.scale.pages import Page, admin_lists, admin_objects, api_lists
from oms.users.models import User
from orders.models import Order
from payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

_ORDERS = 2_000
_TIMES_LARGER = 20
# What a page of fifty with its items, payments or names may read of a growing table; or, where that
# is more, which part of it. Rare values lie at one of its ends, so a walk to them is longer.
_MOST_ROWS = 900
_LARGEST_PART = 0.9
_MOST_STATEMENTS = {"api": 8, "admin": 22}

# These have as many rows as the shop has goods, staff and places, however many orders there are.
_STABLE = {model._meta.db_table for model in (Product, StockLevel, Location, ConsumerOffset)} | {
    *("auth_group", "auth_permission", "auth_group_permissions", "users_user_groups"),
    *("users_user_user_permissions", "django_content_type", "events_parkedevent"),
    *("reports_dailyreport", "django_admin_log", "django_session"),
}

# What the demo shop has none of: one a minute until now.
_SESSIONS = """
    INSERT INTO users_session (id, user_id, refresh_jti, created_at, rotated_at, expires_at,
                               revoked_at, revoked_because)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
            || lpad(to_hex(i), 15, '0'))::uuid,
           (SELECT id FROM users_user ORDER BY id OFFSET i %% 100 LIMIT 1), i, at, at,
           at + interval '7 days',
           CASE WHEN i %% 500 = 0 THEN at END, ''
    FROM generate_series(1, %s) AS i
    CROSS JOIN LATERAL (SELECT now() - make_interval(mins => i) AS at) AS moment
"""
_USERS = """
    INSERT INTO users_user (id, email, password, full_name, phone, is_superuser, is_staff,
                            is_active, created_at, updated_at)
    SELECT gen_random_uuid(), md5(i::text) || '@example.com', '', md5((i + 1)::text),
           '', false, false, true, now() - make_interval(mins => i), now()
    FROM generate_series(1, %s) AS i
"""
_MESSAGES = """
    INSERT INTO payments_providermessage (provider, message_id, type, body, received_at)
    SELECT 'sandbox', 'msg_' || i, 'charge.succeeded', '{}', now() - make_interval(mins => i)
    FROM generate_series(%s, 1, -1) AS i
"""

_CLEAN_PENDING_LISTS = """
    SELECT gin_clean_pending_list(pg_class.oid)
    FROM pg_class JOIN pg_am ON pg_am.oid = pg_class.relam
    WHERE pg_am.amname = 'gin' AND pg_class.relkind = 'i'
"""


@pytest.fixture(scope="module")
def large_shop(module_db: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A shop of many orders whose tables seem to be larger still."""
    with override_settings(DEBUG=True):
        ledger = tmp_path_factory.mktemp("provider") / "ledger.sqlite3"
        create_large_shop(orders=_ORDERS, days=300, ledger=ledger)
    make_product(stock=1)
    with connection.cursor() as cursor:
        cursor.execute(_USERS, [_ORDERS])
        cursor.execute(_SESSIONS, [_ORDERS])
        cursor.execute(_MESSAGES, [_ORDERS])
        # What autovacuum does in time: rows still in a list before the index make it seem slow.
        cursor.execute(_CLEAN_PENDING_LISTS)
        # It waits for autovacuum, which on a busy machine gives way late.
        cursor.execute("SET LOCAL lock_timeout = 0")
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    inflate_statistics(sorted(rows_of_growing_tables()), by=_TIMES_LARGER)
    with connection.cursor() as cursor:
        # Checked now: the tests' own transactions are rolled back before a commit would do it.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def shop(large_shop: None, monkeypatch: pytest.MonkeyPatch) -> Order:
    """An order in the middle of many, whose customer has few."""
    monkeypatch.setattr(BoundedPaginator, "bound", 100)
    with connection.cursor() as cursor:
        # Where an index can be used at all it is; one that leads past too much is noticed by that.
        cursor.execute("SET LOCAL enable_seqscan = off")
    orders = Order.objects.select_related("customer").filter(status="delivered").order_by("id")
    middle = orders[_ORDERS // 3 : _ORDERS // 2]
    return min(middle, key=lambda order: orders.filter(customer=order.customer).count())


def filter_values(order: Order) -> Mapping[str, Sequence[str]]:
    """Values of filters and searches: common, rare and unknown ones."""
    unknown = "00000000-0000-7000-8000-000000000000"
    payment = Payment.objects.filter(order_id=order.id).first()
    item = order.items.first()
    assert item is not None
    assert payment is not None
    before, after = order.placed_at - timedelta(days=1), order.placed_at + timedelta(days=1)
    first_name, *_, last_name = order.customer.full_name.split()
    return {
        "created_at__gte": [before.isoformat(), "2199-01-01T00:00:00Z"],
        "created_at__lt": [after.isoformat(), "2001-01-01T00:00:00Z"],
        "updated_since": ["2199-01-01T00:00:00Z", datetime.now(UTC).isoformat()],
        "search": [order.number, order.number[-6:], order.customer.email, last_name, "nobody"],
        "customer_id": [str(order.customer_id), unknown],
        "order_id": [str(order.id), unknown],
        "payment_id": [str(payment.id), unknown],
        "product_id": [str(item.product_id), unknown],
        "object_id": [str(order.id), unknown],
        "number": [order.number, "none"],
        "actor": [str(order.customer_id), order.customer.email, "nobody"],
        "action": ["order.put_on_hold", "user.registered", "order.placed", "none"],
        "object_type": ["location", "user", "order", "none"],
        "request_id": ["none"],
        "category": ["kitchen", "none"],
        "location": ["main", "none"],
        "reference": ["none"],
        "price__gte": ["20.00"],
        "price__lte": ["20.00"],
        "days": [
            f"{before:%Y-%m-%d}/{after:%Y-%m-%d}",
            "2001-01-01/2001-12-31",
            "/2001-12-31",
            "2199-01-01/",
        ],
        "q": [
            order.number,
            order.number[-6:],
            order.customer.email,
            last_name,
            first_name,
            str(order.id),
            unknown,
            payment.provider_reference,
            item.sku,
            f"order:{order.id}:v1",
            "nobody",
        ],
    }


def customer() -> User:
    """The customer of the demo shop, who may sign in."""
    user = User.objects.get(email=CUSTOMER_EMAIL)
    user.set_password(PASSWORD)
    user.save()
    return user


def pages_of_api(order: Order) -> Iterator[tuple[Page, Any]]:
    """Every page of the API, with the client that asks for it."""
    staff, buyer = api_client(make_staff()), api_client(customer())
    values = filter_values(order)
    for page in api_lists(values):
        yield page, staff if "/admin/" in page.url else buyer
    for url in objects_near(order):
        yield Page(url=url, is_admin=False), staff


def pages_of_fast_path(order: Order) -> Iterator[tuple[Page, Any]]:
    """The pages of the API that the fast path answers: the first and the next."""
    staff, buyer = FastPathClient(), FastPathClient()
    for client, user in ((staff, make_staff()), (buyer, customer())):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens_for(user).access}")
    for page in api_lists(filter_values(order)):
        if find_route("GET", urlsplit(page.url).path)[0] is None:
            continue
        client = staff if "/admin/" in page.url else buyer
        answer = client.get(page.url)
        if client.taken[-1]:
            yield page, client
            if (following := answer.json()["next"]) is not None:
                yield Page(url=following, is_admin=False), client
    assert len(set(staff.taken)) == 2, "the fast path answers some lists of staff"


def pages_of_back_office(order: Order) -> Iterator[tuple[Page, Any]]:
    """Every page of the back office, with the browser that asks for it."""
    boss = make_staff(is_superuser=True)
    browser = Client()
    browser.force_login(boss)
    for page in (*admin_lists(filter_values(order), user=boss), *admin_objects()):
        yield page, browser
    yield Page(url="/admin/", is_admin=True), browser


def objects_near(order: Order) -> Sequence[str]:
    """The pages of the API that show one object, or what belongs to one."""
    payment = Payment.objects.filter(order_id=order.id).first()
    item = order.items.first()
    assert item is not None
    assert payment is not None
    return [
        f"/api/v1/orders/{order.id}",
        f"/api/v1/orders/{order.id}?expand=payments,shipments,history",
        f"/api/v1/orders/{order.id}/status",
        f"/api/v1/orders/{order.id}/payments",
        f"/api/v1/admin/payments/{payment.id}",
        f"/api/v1/admin/payments/{payment.id}/refunds",
        f"/api/v1/products/{item.product_id}",
        f"/api/v1/products/{item.product_id}/inventory",
        f"/api/v1/users/{order.customer_id}",
        f"/api/v1/admin/customers/{order.customer_id}",
    ]


def excessive_reads(statement: Statement, rows_of: Mapping[str, int]) -> str:
    """How the statement reads too much of growing tables; "" if it does not.

    A scan that a LIMIT ends early is fine, and so is one of a few more rows than a page has.
    """
    read = Counter[str]()
    for scan in scans_of(statement):
        table = next((name for name in rows_of if is_of(scan.table, name)), "")
        if table:
            read[table] += scan.rows
    return ", ".join(
        f"reads {rows} of {rows_of[table]} rows of {table}"
        for table, rows in read.items()
        if rows > max(_MOST_ROWS, _LARGEST_PART * rows_of[table]) or rows >= rows_of[table] > 1
    )


def is_of(table: str, growing: str) -> bool:
    """Whether `table` is that one, or a partition of it."""
    return table == growing or table.startswith(f"{growing}_2") or table == f"{growing}_default"


def rows_of_growing_tables() -> Mapping[str, int]:
    """How many rows each of the growing tables has."""
    models = [model for model in apps.get_models() if model._meta.db_table not in _STABLE]
    return {model._meta.db_table: model._default_manager.count() for model in models}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("pages_of", "statements"),
    [(pages_of_api, 200), (pages_of_fast_path, 50), (pages_of_back_office, 200)],
)
def test_every_page_reads_few_rows_of_long_tables(
    shop: Order, pages_of: Callable[[Order], Iterator[tuple[Page, Any]]], statements: int
) -> None:
    rows_of, checked, wrong = rows_of_growing_tables(), set[str](), list[str]()
    for page, client in pages_of(shop):
        with statements_sent() as sent:
            answer = client.get(page.url)
        assert answer.status_code == 200, (page.url, answer.content[:500])
        if len(sent) > (most := _MOST_STATEMENTS["admin" if page.is_admin else "api"]):
            wrong.append(f"{page.url} takes {len(sent)} statements, more than {most}")
        for statement in sent:
            if repr(statement) in checked:
                continue
            checked.add(repr(statement))
            if fault := excessive_reads(statement, rows_of):
                wrong.append(f"{page.url} {fault}")

    assert len(checked) > statements, "too few statements were checked"
    assert not wrong, "\n".join(wrong)


def test_reading_a_whole_table_is_detected(shop: Order) -> None:
    with statements_sent() as sent:
        list(Order.objects.filter(note="x").order_by("-id")[:51])
        list(Order.objects.filter(note="x")[:51])

    faults = [excessive_reads(statement, rows_of_growing_tables()) for statement in sent]
    assert ["reads" in fault for fault in faults] == [True, True]
