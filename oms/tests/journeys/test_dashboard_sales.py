"""The dashboard, the report of today and its CSV have the same figures."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal

import pytest
from django.test import Client

from oms.core.actor import system
from oms.testing.factories import api_client, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, report_refund
from orders.models import Order
from orders.operations.cancelling import cancel_order
from orders.operations.refunding import refund_payment
from payments.models import Refund

pytestmark = pytest.mark.django_db

URL = "/api/v1/admin/reports/daily"


def test_the_dashboard_has_the_figures_of_the_report_of_today(staff: Client) -> None:
    for number in range(3):
        order = paid_order((make_product(price=Decimal("129.50")), 2 + number))
    cancel_order(actor=system("tests"), order_id=order.id)
    kept = Order.objects.exclude(pk=order.pk)[0]
    requested = refund_payment(
        actor=system("tests"), payment_id=payment_of(kept).id, amount=Decimal("9.50")
    )
    report_refund(Refund.objects.get(pk=requested.id))
    api = api_client(make_staff())

    html = staff.get("/admin/").content.decode()

    report = api.get(URL).json()
    assert (report["gross_sales"], report["refunds"], report["net_sales"]) == (
        "647.50",
        "9.50",
        "638.00",
    )
    cards = re.findall(r"<dd>([^<]+)</dd>\s*<p>([^<]+)</p>", html)
    assert cards[:2] == [
        (str(report["orders_placed"]), f"{report['orders_confirmed']} confirmed"),
        (
            f"{report['net_sales']} EUR",
            f"gross {report['gross_sales']} EUR, refunds {report['refunds']} EUR",
        ),
    ]
    table = api.get(URL, headers={"Accept": "text/csv"}).content.decode()
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["section"] == "total"]
    assert {row["figure"]: row["value"] for row in rows if row["figure"] != "is_final"} == {
        row["figure"]: str(report[row["figure"]]) for row in rows if row["figure"] != "is_final"
    }
    assert len(rows) == 11


def test_the_dashboard_shows_sales_only_to_those_who_may_see_reports() -> None:
    client = Client()
    client.force_login(make_staff(permissions=["orders.view"]))

    html = client.get("/admin/").content.decode()

    assert "Awaiting shipment" in html
    assert "Net sales today" not in html
