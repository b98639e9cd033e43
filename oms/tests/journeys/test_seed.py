"""The demo shop."""

from __future__ import annotations

import io
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from inventory.models import Product, StockLevel
from notifications.models import Notification
from oms.checks import reconcile
from oms.core.clock import business_date
from oms.demo.index_rebuild import without_indexes
from oms.demo.seed import SeededShop, seed_shop
from oms.events.models import Event
from oms.events.relay import deliver
from oms.reconcile.checks import Finding
from oms.subscriptions import CONSUMERS
from oms.testing.processes import Processes
from oms.users.models import User
from orders.models import Order
from orders.states import FulfilmentState, OrderStatus, PaymentState
from payments.models import Payment
from reports.models import DailyReport
from reports.operations.reporting import daily_report

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "sandbox" / "ledger.sqlite3"


@pytest.fixture
def debug(settings: Any, tmp_path: Path) -> None:
    """A development copy, whose provider keeps its ledger in a folder of the test."""
    settings.DEBUG = True
    settings.VAR_DIR = tmp_path


def seeded(ledger: Path, **options: Any) -> SeededShop:
    return seed_shop(**{"orders": 60, "seed": 7, "now": NOW, "ledger": ledger, **options})


def broken(findings: list[Finding]) -> dict[str, list[str]]:
    # The shop's present, NOW, is long past, and nothing has expired its pending orders since.
    failed = (f for f in findings if f.total and f.name != "no_overdue_orders")
    return {f.name: [f"{v.id}: {v.detail}" for v in f.violations] for f in failed}


def visible_shop() -> dict[str, Any]:
    """What a visitor sees, without times and what is made of them."""
    return {
        "products": list(
            Product.objects.order_by("sku").values_list("id", "sku", "name", "price", "is_active")
        ),
        "levels": sorted(
            StockLevel.objects.values_list("product__sku", "location__code", "on_hand", "reserved")
        ),
        "customers": list(
            User.objects.order_by("id").values_list("id", "email", "full_name", "phone")
        ),
        "orders": [
            (
                order.number.partition("-")[2],
                str(order.customer),
                order.status,
                order.payment_status,
                order.fulfilment_status,
                order.total,
                order.shipping_address,
                order.note,
                [(item.sku, item.quantity, item.quantity_shipped) for item in order.items.all()],
            )
            for order in Order.objects.order_by("id")
            .select_related("customer")
            .prefetch_related("items")
        ],
    }


@pytest.mark.django_db
@pytest.mark.parametrize("orders", [1, 12, 60, 300])
def test_a_seeded_shop_holds_every_promise(ledger: Path, orders: int) -> None:
    made = seeded(ledger, orders=orders)

    assert made.orders == Order.objects.count() == orders
    assert broken(reconcile(offline=True)) == {}


def definitions() -> set[tuple[str, str]]:
    """Every index and every constraint of the database, without casts, for those vary."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid::regclass::text !~ '^pg_|events_event_' UNION ALL"
            " SELECT conname || ' of ' || conrelid::regclass::text, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE conrelid > 0 AND conparentid = 0"
            " AND conrelid::regclass::text !~ 'events_event_'"
        )
        return {
            (name, re.sub(r"::character varying|::text(\[\])?|[()]", "", definition))
            for name, definition in cursor.fetchall()
        }


@pytest.mark.django_db
def test_a_large_shop_is_filled_without_indexes_and_has_all_of_them_afterwards(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.demo.seed.LARGE", 60)
    before = definitions()

    seeded(ledger, days=400)

    assert definitions() == before
    assert broken(reconcile(offline=True)) == {}


@pytest.mark.django_db
def test_the_rows_of_a_large_shop_are_held_to_what_was_put_away() -> None:
    twice = [Product(sku=sku, name=sku, price=1, currency="EUR") for sku in ("A", "a")]

    with pytest.raises(IntegrityError), transaction.atomic(), without_indexes([Product]):
        Product.objects.bulk_create(twice)


@pytest.mark.django_db
def test_orders_spread_over_as_many_days_as_asked_for(ledger: Path) -> None:
    seeded(ledger, orders=200, days=400)

    placed = list(Order.objects.order_by("placed_at").values_list("placed_at", flat=True))
    assert placed[0] > NOW - timedelta(days=400)
    months = {moment.strftime("%Y-%m") for moment in placed}
    assert len(months) >= 13
    # Those of the last days are under way, as in any shop.
    assert Order.objects.filter(status__in=["pending", "confirmed", "processing"]).exists()


@pytest.mark.django_db
def test_old_messages_are_short_and_of_the_last_year(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.demo.notifications._NEWEST", 10)

    seeded(ledger, orders=100, days=500)

    told = Notification.objects.order_by("id")
    first, last = told.first(), told.last()
    assert first is not None
    assert last is not None
    assert NOW - timedelta(days=365) <= first.created_at < NOW - timedelta(days=300)
    assert first.body == f"{first.subject}."
    assert first.body_html == ""
    assert last.body != f"{last.subject}."
    assert broken(reconcile(offline=True)) == {}


@pytest.mark.django_db
def test_sixty_orders_show_every_status(ledger: Path) -> None:
    seeded(ledger)

    orders = Order.objects.values_list("status", "payment_status", "fulfilment_status")
    statuses, payments, fulfilments = (set(column) for column in zip(*orders, strict=True))
    assert statuses == set(OrderStatus.values)
    assert payments == set(PaymentState.values)
    assert fulfilments == set(FulfilmentState.values)


@pytest.mark.django_db
def test_the_shelves_show_what_a_shop_has_to_cope_with(ledger: Path) -> None:
    seeded(ledger)

    available: dict[str, int] = {}
    for level in StockLevel.objects.select_related("product"):
        available[level.product.sku] = available.get(level.product.sku, 0) + level.available
    low = Product.objects.get(sku="OUT-013")
    assert 0 < available[low.sku] <= low.low_stock_threshold
    assert available["HOM-009"] == 0
    assert Product.objects.filter(is_active=False).count() == 1
    assert Product.objects.get(backorderable=True).sku == "TOO-007"
    assert StockLevel.objects.values("location").distinct().count() == 2
    assert Product.objects.values("category").distinct().count() == 5


@pytest.mark.django_db
def test_the_same_seed_makes_the_same_shop_at_any_time(ledger: Path, tmp_path: Path) -> None:
    shops = []
    for number, (seed, now) in enumerate([(7, NOW), (7, NOW + timedelta(days=3.3)), (8, NOW)]):
        with transaction.atomic():
            seeded(tmp_path / f"{number}.sqlite3", seed=seed, now=now)
            shops.append(visible_shop())
            transaction.set_rollback(True)

    assert shops[0] == shops[1]
    assert shops[0]["orders"] != shops[2]["orders"]


@pytest.mark.django_db
def test_the_same_seed_at_the_same_time_makes_the_same_ids(tmp_path: Path) -> None:
    ids = []
    for number in range(2):
        with transaction.atomic():
            seeded(tmp_path / f"{number}.sqlite3")
            ids.append(
                [
                    list(model.objects.order_by("id").values_list("id", flat=True))
                    for model in (Order, Payment, Event)
                ]
            )
            transaction.set_rollback(True)

    assert ids[0] == ids[1]


@pytest.mark.django_db(transaction=True)
def test_nobody_hears_of_the_past_once_more(ledger: Path) -> None:
    seeded(ledger)
    told = Notification.objects.count()

    assert [deliver(consumer) for consumer in CONSUMERS] == [0 for _ in CONSUMERS]

    assert Notification.objects.count() == told > 0
    assert not Notification.objects.exclude(state="sent").exists()


@pytest.mark.django_db
def test_reports_stored_of_the_days_that_it_fills_are_made_anew(ledger: Path) -> None:
    before, *filled = [NOW.date() - timedelta(days=ago) for ago in (90, *range(30))]
    DailyReport.objects.bulk_create(
        DailyReport(date=day, timezone="Europe/Berlin", currency="EUR", data={}, generated_at=NOW)
        for day in (before, *filled)
    )

    seeded(ledger)

    assert [report.date for report in DailyReport.objects.all()] == [before]
    oldest = business_date(Order.objects.earliest("placed_at").placed_at)
    report = daily_report(day=oldest, currency="EUR", now=NOW)
    assert report.is_final
    assert report.totals.orders_placed > 0


@pytest.mark.django_db
def test_both_demo_accounts_can_log_in(debug: None) -> None:
    call_command("seed", orders=3)

    assert Client().login(username="admin@example.com", password="admin-demo-1")
    credentials = {"email": "customer@example.com", "password": "customer-demo-1"}
    assert APIClient().post("/api/v1/auth/token", credentials).status_code == 200
    # Only staff have a business in the back office.
    assert not Client().login(username="customer@example.com", password="customer-demo-1")
    assert User.objects.get(email="admin@example.com").is_superuser
    assert not User.objects.get(email="customer@example.com").is_staff


@pytest.mark.django_db
def test_without_debug_it_refuses_and_makes_nothing(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="only made with DEBUG on"):
        call_command("seed", orders=3)

    assert not User.objects.exists()
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_a_second_run_says_so_and_changes_nothing(
    debug: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("seed", orders=3)
    before = visible_shop()

    call_command("seed", orders=5, stdout=io.StringIO())

    assert "52 products and 3 orders already" in " ".join(capsys.readouterr().out.split())
    assert visible_shop() == before


@pytest.mark.django_db
def test_a_ledger_that_cannot_be_written_leaves_the_shop_empty(debug: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("seed", orders=3, ledger=tmp_path / "file" / "ledger.sqlite3")

    assert not Order.objects.exists()
    assert not User.objects.exists()


@pytest.mark.django_db
def test_the_books_of_a_shop_that_is_gone_make_way(ledger: Path) -> None:
    with transaction.atomic():
        seeded(ledger)
        transaction.set_rollback(True)

    seeded(ledger)

    settled = Payment.objects.filter(status__in=["captured", "failed"])
    with closing(sqlite3.connect(ledger)) as books:
        keys = {key for (key,) in books.execute("SELECT idempotency_key FROM charges")}
    assert keys == {str(id) for id in settled.values_list("id", flat=True)}


@pytest.mark.django_db
def test_a_provider_elsewhere_asks_for_its_ledger(debug: None, settings: Any) -> None:
    settings.SANDBOX_PROVIDER_URL = "http://provider:8001"

    with pytest.raises(CommandError, match="--ledger"):
        call_command("seed", orders=3)

    assert not Product.objects.exists()


@pytest.mark.slow
def test_the_provider_knows_the_made_up_payments(processes: Processes) -> None:
    processes.start("provider")
    seeded(processes.ledger, now=datetime.now(UTC))

    findings = reconcile()

    assert broken(findings) == {}
    assert [f.skipped for f in findings if f.name == "provider_sandbox"] == [""]


@pytest.mark.django_db(transaction=True)
def test_breaking_it_off_leaves_the_shop_empty_and_the_connection_usable(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.demo.copy._AT_ONCE", 10)
    placed = iter(range(40))

    def place() -> None:
        if next(placed) == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seeded(ledger, placed=place)

    assert not Order.objects.exists()
    assert not User.objects.exists()
    assert not ledger.exists()
