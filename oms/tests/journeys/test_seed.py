"""The demo shop: consistent, the same for the same seed, and only created with DEBUG."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient

from inventory.models import Product, StockLevel
from notifications.models import Notification
from oms.checks import reconcile
from oms.core import clock
from oms.core.actor import system
from oms.core.clock import business_date
from oms.demo.seed import SeededShop, seed_shop
from oms.events.relay import deliver
from oms.reconcile.checks import Finding
from oms.subscriptions import CONSUMERS
from oms.testing.processes import Processes
from oms.users.models import User
from orders.models import Order
from payments.models import Payment
from reports.models import DailyReport
from reports.operations.reporting import daily_report, missing_reports

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "sandbox" / "ledger.sqlite3"


@pytest.fixture
def debug(settings: Any, tmp_path: Path) -> None:
    """DEBUG, and a folder of the test for the provider's ledger."""
    settings.DEBUG = True
    settings.VAR_DIR = tmp_path


def seeded(ledger: Path, **options: Any) -> SeededShop:
    return seed_shop(**{"orders": 30, "seed": 7, "now": NOW, "ledger": ledger, **options})


def violations(findings: list[Finding]) -> dict[str, list[str]]:
    return {f.name: [f"{v.id}: {v.detail}" for v in f.violations] for f in findings if f.total}


def visible_shop() -> dict[str, Any]:
    """What a visitor sees, without times, ids and order numbers."""
    return {
        "products": list(
            Product.objects.order_by("sku").values_list("sku", "name", "price", "is_active")
        ),
        "levels": sorted(
            StockLevel.objects.values_list("product__sku", "location__code", "on_hand", "reserved")
        ),
        "customers": list(
            User.objects.order_by("email").values_list("email", "full_name", "phone")
        ),
        "orders": [
            (
                order.customer.email,
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
@pytest.mark.parametrize("orders", [1, 12, 200])
def test_a_seeded_shop_has_no_violations(ledger: Path, orders: int) -> None:
    shop = seeded(ledger, orders=orders, now=datetime.now(UTC))

    assert shop.orders == Order.objects.count() == orders
    assert violations(reconcile(offline=True)) == {}


@pytest.mark.django_db
def test_orders_spread_over_the_requested_days(ledger: Path) -> None:
    seeded(ledger, orders=50, days=200)

    placed = list(Order.objects.order_by("placed_at").values_list("placed_at", flat=True))
    assert NOW - timedelta(days=200) < placed[0] < NOW - timedelta(days=150)
    # Those of the last days are in progress, as in any shop.
    assert Order.objects.filter(status__in=["pending", "confirmed", "processing"]).exists()


@pytest.mark.django_db
def test_the_same_seed_creates_the_same_shop_at_any_time(ledger: Path, tmp_path: Path) -> None:
    shops = []
    for number, (seed, now) in enumerate([(7, NOW), (7, NOW + timedelta(days=3.3)), (8, NOW)]):
        with transaction.atomic():
            seeded(tmp_path / f"{number}.sqlite3", seed=seed, now=now)
            shops.append(visible_shop())
            transaction.set_rollback(True)

    assert shops[0] == shops[1]
    assert shops[0]["orders"] != shops[2]["orders"]


@pytest.mark.django_db(transaction=True)
def test_consumers_do_not_process_the_past_again(ledger: Path) -> None:
    seeded(ledger)
    notifications = Notification.objects.count()

    assert [deliver(consumer) for consumer in CONSUMERS] == [0 for _ in CONSUMERS]

    assert Notification.objects.count() == notifications > 0
    assert not Notification.objects.exclude(state="sent").exists()


@pytest.mark.django_db
def test_stored_reports_of_the_seeded_days_are_deleted(ledger: Path) -> None:
    before, *seeded_days = [NOW.date() - timedelta(days=ago) for ago in (90, *range(30))]
    DailyReport.objects.bulk_create(
        DailyReport(date=day, timezone="Europe/Berlin", currency="EUR", data={}, generated_at=NOW)
        for day in (before, *seeded_days)
    )

    seeded(ledger)

    assert [report.date for report in DailyReport.objects.all()] == [before]
    oldest = business_date(Order.objects.earliest("placed_at").placed_at)
    report = daily_report(actor=system("tests"), day=oldest, currency="EUR", now=NOW)
    assert report.is_final
    assert report.totals.orders_placed > 0


@pytest.mark.django_db
def test_a_new_shop_needs_no_attention(debug: None) -> None:
    call_command("seed", orders=3)

    assert missing_reports(now=clock.now()) == []


@pytest.mark.django_db
def test_both_demo_accounts_can_log_in(debug: None) -> None:
    call_command("seed", orders=3)

    assert Client().login(username="admin@example.com", password="admin-demo-1")
    credentials = {"email": "customer@example.com", "password": "customer-demo-1"}
    assert APIClient().post("/api/v1/auth/token", credentials).status_code == 200
    # The back office is for staff.
    assert not Client().login(username="customer@example.com", password="customer-demo-1")
    assert User.objects.get(email="admin@example.com").is_superuser
    assert not User.objects.get(email="customer@example.com").is_staff


@pytest.mark.django_db
def test_without_debug_it_refuses_and_creates_nothing(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="requires DEBUG"):
        call_command("seed", orders=3)

    assert not User.objects.exists()
    assert not Product.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"orders": 0}, {"orders": 10_001}, {"days": 6}])
def test_numbers_out_of_range_are_refused(debug: None, options: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="is a number from"):
        call_command("seed", **options)


@pytest.mark.django_db
def test_a_second_run_is_refused_and_changes_nothing(
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
def test_the_ledger_of_an_earlier_shop_is_replaced(ledger: Path) -> None:
    with transaction.atomic():
        seeded(ledger)
        transaction.set_rollback(True)

    seeded(ledger)

    settled = Payment.objects.filter(status__in=["captured", "failed"])
    with closing(sqlite3.connect(ledger)) as provider:
        keys = {key for (key,) in provider.execute("SELECT idempotency_key FROM charges")}
    assert keys == {str(id) for id in settled.values_list("id", flat=True)}


@pytest.mark.django_db
def test_a_provider_on_another_machine_needs_the_ledger_option(debug: None, settings: Any) -> None:
    settings.SANDBOX_PROVIDER_URL = "http://provider:8001"

    with pytest.raises(CommandError, match="--ledger"):
        call_command("seed", orders=3)

    assert not Product.objects.exists()


@pytest.mark.slow
def test_the_provider_knows_the_seeded_payments(processes: Processes) -> None:
    processes.start("provider")
    seeded(processes.ledger, now=datetime.now(UTC))

    findings = reconcile()

    assert violations(findings) == {}
    assert [f.skipped for f in findings if f.name == "provider_sandbox"] == [""]


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_seed_leaves_the_shop_empty_and_the_connection_usable(ledger: Path) -> None:
    placed = iter(range(40))

    def interrupt() -> None:
        if next(placed) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seeded(ledger, placed=interrupt)

    assert not Order.objects.exists()
    assert not User.objects.exists()
    assert not ledger.exists()
    assert clock.stopped is None
