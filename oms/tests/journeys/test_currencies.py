"""Shops in currencies with no, two and three decimals: from placing to the report and the mails."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from pytest_django import Settings

from inventory.models import Product
from notifications.operations.sending import MailSender
from oms.checks import reconcile
from oms.core.currencies import DECIMALS
from oms.events.models import Event
from oms.events.relay import deliver
from oms.subscriptions import CONSUMERS
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import api_client, make_customer, make_staff
from oms.testing.ordering import ADDRESS
from payments.models import Payment
from payments.operations.processing import PaymentProcessor
from payments.tests.sandbox_process import API_KEY, WEBHOOK_SECRET, SandboxProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What a shop sells at `price`, three units and then two, and refunds; as the API shows it."""

    currency: str
    price: str
    too_precise: str
    totals: tuple[str, str]
    refund: str
    gross: str
    net: str
    average: str
    units: tuple[int, int, int]
    mailed: tuple[str, str]


SHOPS = [
    Sums(
        currency="JPY",
        price="1999",
        too_precise="1999.5",
        totals=("5997", "3998"),
        refund="1",
        gross="9995",
        net="9994",
        average="4998",
        units=(5997, 3998, 1),
        mailed=("5,997\N{NO-BREAK SPACE}JPY", "1\N{NO-BREAK SPACE}JPY"),
    ),
    Sums(
        currency="KWD",
        price="12.345",
        too_precise="12.3455",
        totals=("37.035", "24.690"),
        refund="0.005",
        gross="61.725",
        net="61.720",
        average="30.863",
        units=(37035, 24690, 5),
        mailed=("37.035\N{NO-BREAK SPACE}KWD", "0.005\N{NO-BREAK SPACE}KWD"),
    ),
    Sums(
        currency="HUF",
        price="1999.91",
        too_precise="1999.915",
        totals=("5999.73", "3999.82"),
        refund="0.01",
        gross="9999.55",
        net="9999.54",
        average="4999.78",
        units=(599973, 399982, 1),
        mailed=("5,999.73\N{NO-BREAK SPACE}HUF", "0.01\N{NO-BREAK SPACE}HUF"),
    ),
]


@pytest.fixture
def provider(tmp_path: Path, settings: Settings) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path) as process:
        settings.SANDBOX_PROVIDER_URL = process.url
        settings.SANDBOX_API_KEY = API_KEY
        settings.SANDBOX_WEBHOOK_SECRET = WEBHOOK_SECRET
        yield process


def work() -> None:
    """What the workers do until nothing is due."""
    processor = PaymentProcessor()
    for _ in range(2):  # a refund that an event causes is made by the next round
        while processor.work():
            pass
        wait_until_readable()
        for consumer in CONSUMERS:
            deliver(consumer)
    sender = MailSender()
    while sender.send_batch():
        pass
    sender.close()


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.currency)
def test_every_amount_is_the_same_to_the_last_minor_unit_from_placing_to_the_report(
    shop: Sums, provider: SandboxProcess, settings: Settings
) -> None:
    settings.SHOP_CURRENCY = shop.currency
    customer, staff = api_client(make_customer()), api_client(make_staff(is_superuser=True))

    # The product: more decimals than the currency has are refused, fewer are completed.
    new = {"sku": "MUG-1", "name": "Mug", "initial_stock": 10}
    refused = staff.post("/api/v1/products", {**new, "price": shop.too_precise}, format="json")
    assert refused.status_code == 400
    [error] = refused.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/price", "invalid")
    product = staff.post("/api/v1/products", {**new, "price": shop.price}, format="json").json()
    assert (product["price"], product["currency"]) == (shop.price, shop.currency)

    # Placing and paying.
    orders = []
    for quantity in (3, 2):
        placed = customer.post(
            "/api/v1/orders",
            {
                "items": [{"product_id": product["id"], "quantity": quantity}],
                "shipping_address": {name: value for name, value in ADDRESS.items() if value},
                "payment": {"provider": "sandbox", "token": "tok_success"},
            },
            format="json",
        )
        assert placed.status_code == 201, placed.content
        orders.append(placed.json())
    assert tuple(order["total"] for order in orders) == shop.totals
    assert [order["items"][0]["unit_price"] for order in orders] == [shop.price] * 2
    work()
    first = customer.get(f"/api/v1/orders/{orders[0]['id']}").json()
    assert (first["status"], first["payment_status"], first["total"]) == (
        "confirmed",
        "paid",
        shop.totals[0],
    )
    assert first["items"][0]["line_total"] == shop.totals[0]

    # Shipping, and a partial refund.
    shipped = staff.post(
        f"/api/v1/admin/orders/{first['id']}/shipments",
        {"carrier": "DHL", "tracking_number": "1"},
        format="json",
    )
    assert shipped.status_code == 201, shipped.content
    payment = Payment.objects.get(order_id=first["id"])
    path = f"/api/v1/admin/payments/{payment.id}/refunds"
    refused = staff.post(path, {"amount": shop.too_precise, "reason": "-"}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/amount"
    refund = staff.post(path, {"amount": shop.refund, "reason": "Late"}, format="json")
    assert (refund.status_code, refund.json()["amount"]) == (202, shop.refund)
    work()
    [paid] = customer.get(f"/api/v1/orders/{first['id']}/payments").json()["results"]
    assert (paid["amount"], paid["captured_amount"], paid["refunded_amount"]) == (
        shop.totals[0],
        shop.totals[0],
        shop.refund,
    )

    # The provider's ledger and the database.
    charges = provider.rows(
        "SELECT amount, captured_amount, refunded_amount, currency FROM charges"
        " ORDER BY amount DESC"
    )
    assert charges == [
        (shop.units[0], shop.units[0], shop.units[2], shop.currency),
        (shop.units[1], shop.units[1], 0, shop.currency),
    ]
    assert provider.rows("SELECT amount FROM refunds") == [(shop.units[2],)]
    assert rows("SELECT total::text FROM orders_order ORDER BY id") == [(t,) for t in shop.totals]
    assert rows("SELECT line_total::text FROM orders_orderitem ORDER BY id") == [
        (total,) for total in shop.totals
    ]
    assert rows("SELECT amount::text, captured_amount::text FROM payments_payment ORDER BY id") == [
        (total, total) for total in shop.totals
    ]
    nothing = str(Decimal(shop.refund) * 0)
    assert rows("SELECT refunded_amount::text FROM payments_payment ORDER BY id") == [
        (shop.refund,),
        (nothing,),
    ]
    assert rows("SELECT amount::text FROM payments_refund") == [(shop.refund,)]

    # The report, as JSON and CSV.
    report = staff.get("/api/v1/admin/reports/daily").json()
    figures = ("currency", "gross_sales", "refunds", "net_sales", "average_order_value")
    expected = (shop.currency, shop.gross, shop.refund, shop.net, shop.average)
    assert tuple(report[name] for name in figures) == expected
    assert [sold["revenue"] for sold in report["top_products"]] == [shop.gross]
    hours = {hour["gross_sales"] for hour in report["by_hour"]}
    assert sum(map(Decimal, hours)) == Decimal(shop.gross)
    table = staff.get("/api/v1/admin/reports/daily", headers={"Accept": "text/csv"})
    cells = list(csv.DictReader(io.StringIO(table.content.decode())))
    totals = {row["figure"]: row["value"] for row in cells if row["section"] == "total"}
    assert tuple(totals[name] for name in figures[1:]) == expected[1:]

    # The mails.
    texts = [str(message.body) for message in mail.outbox]
    for amount in shop.mailed:
        assert any(amount in text for text in texts), texts

    # Every amount of every event and answer, and all checks of the shop.
    exact = re.compile(
        r"\d+" if not DECIMALS[shop.currency] else rf"\d+\.\d{{{DECIMALS[shop.currency]}}}"
    )
    amounts = [
        data[name]
        for data in Event.objects.values_list("data", flat=True)
        for name in ("total", "amount")
        if name in data
    ]
    assert len(amounts) >= 8
    assert [amount for amount in amounts if not exact.fullmatch(amount)] == []
    assert [hour for hour in hours if not exact.fullmatch(hour)] == []
    assert [(finding.name, finding.violations) for finding in reconcile() if finding.total] == []


@pytest.mark.parametrize(
    ("currency", "price", "shown", "step"),
    [("JPY", "1999", "1,999 JPY", "1"), ("KWD", "12.345", "12.345 KWD", "0.001")],
)
def test_the_back_office_shows_and_takes_amounts_with_the_decimals_of_the_currency(
    staff: Client, provider: SandboxProcess, currency: str, price: str, shown: str, step: str
) -> None:
    buyer = api_client(make_customer())
    page = staff.post(
        "/admin/inventory/product/add/",
        {
            "sku": "MUG-1",
            "name": "Mug",
            "price": price,
            "currency": currency,
            "is_active": "on",
            "initial_stock": "9",
            "low_stock_threshold": "1",
        },
    )
    assert page.status_code == 302, page.content.decode()
    product = Product.objects.get()
    placed = buyer.post(
        "/api/v1/orders",
        {
            "items": [{"product_id": str(product.id), "quantity": 1}],
            "shipping_address": {name: value for name, value in ADDRESS.items() if value},
            "payment": {"provider": "sandbox", "token": "tok_success"},
        },
        format="json",
    ).json()
    work()

    listed = staff.get("/admin/orders/order/").content.decode()
    order = staff.get(f"/admin/orders/order/{placed['id']}/change/").content.decode()
    form = staff.get(f"/admin/orders/order/{placed['id']}/refund/").content.decode()

    assert shown in listed
    assert shown in order
    assert f'step="{step}"' in form
    assert f'value="{price}"' in form
