"""GET /admin/reports/daily."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse

from oms.core import clock
from oms.testing.factories import api_client, make_customer, make_staff
from reports.documents import CSV_COLUMNS
from reports.models import DailyReport
from reports.tests.books import Books

pytestmark = pytest.mark.django_db

URL = "/api/v1/admin/reports/daily"


def get(query: Mapping[str, str] | None = None, **headers: str) -> Any:
    return api_client(make_staff()).get(URL, query or {}, headers=headers)


def cells(answer: HttpResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.fixture
def sold() -> Books:
    """A shop that sold a mug for 10.00 two days ago and another today."""
    books = Books()
    for days in (2, 0):
        books.order(placed=at(days), confirmed=at(days))
    return books


def at(ago: int) -> datetime:
    return clock.now() - timedelta(days=ago)


def day(ago: int) -> str:
    return str(clock.business_date(at(ago)))


def test_a_closed_day_is_final(sold: Books) -> None:
    body: dict[str, Any] = get({"date": day(2)}).json()

    assert {
        name: body[name]
        for name in (
            "date",
            "timezone",
            "currency",
            "orders_placed",
            "orders_confirmed",
            "orders_cancelled",
            "units_sold",
            "gross_sales",
            "cancelled_sales",
            "refunds",
            "net_sales",
            "refunds_of_no_sale",
            "average_order_value",
            "by_status",
            "is_final",
        )
    } == {
        "date": day(2),
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "orders_placed": 1,
        "orders_confirmed": 1,
        "orders_cancelled": 0,
        "units_sold": 1,
        "gross_sales": "10.00",
        "cancelled_sales": "0.00",
        "refunds": "0.00",
        "net_sales": "10.00",
        "refunds_of_no_sale": "0.00",
        "average_order_value": "10.00",
        "by_status": {"confirmed": 1},
        "is_final": True,
    }
    assert body["top_products"] == [
        {
            "product_id": str(sold.products["MUG"].id),
            "sku": "MUG",
            "name": "The MUG",
            "units": 1,
            "revenue": "10.00",
        }
    ]
    assert body["generated_at"].endswith("Z")
    assert "days" not in body
    assert DailyReport.objects.count() == 1


def test_the_default_is_today(sold: Books) -> None:
    body = get().json()

    assert (body["date"], body["orders_placed"], body["is_final"]) == (day(0), 1, False)


def test_a_range_has_totals_and_its_days(sold: Books) -> None:
    body = get({"date_from": day(2), "date_to": day(0)}).json()

    assert (body["date_from"], body["date_to"], body["is_final"]) == (day(2), day(0), False)
    assert (body["orders_placed"], body["gross_sales"]) == (2, "20.00")
    assert [(row["date"], row["orders_placed"], row["is_final"]) for row in body["days"]] == [
        (day(2), 1, True),
        (day(1), 0, True),
        (day(0), 1, False),
    ]
    assert "date" not in body


def test_csv_has_the_same_figures(sold: Books) -> None:
    answer = get({"date": day(2)}, accept="text/csv")
    body = get({"date": day(2)}).json()

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="sales-{day(2)}.csv"'
    rows = cells(answer)
    assert tuple(rows[0]) == CSV_COLUMNS
    totals = {row["figure"]: row["value"] for row in rows if row["section"] == "total"}
    for name in ("orders_placed", "units_sold", "gross_sales", "net_sales"):
        assert totals[name] == str(body[name])
    assert totals["is_final"] == "true"
    assert len([row for row in rows if row["section"] == "by_hour"]) == 2 * len(body["by_hour"])


def test_csv_of_a_range_has_its_days_and_totals(sold: Books) -> None:
    rows = cells(get({"date_from": day(2), "date_to": day(0)}, accept="text/csv"))

    gross = [(row["date"], row["value"]) for row in rows if row["figure"] == "gross_sales"]
    assert gross[:4] == [
        (day(2), "10.00"),
        (day(1), "0.00"),
        (day(0), "10.00"),
        (f"{day(2)}/{day(0)}", "20.00"),
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_cells_are_not_formulas(sold: Books, name: str) -> None:
    product = sold.products["MUG"]
    product.name = name
    product.save()
    order = sold.order(placed=at(2), confirmed=at(2))
    sold.refund(order, amount="4.00", succeeded=at(1))

    rows = cells(get({"date_from": day(2), "date_to": day(0)}, accept="text/csv"))

    names = {row["name"] for row in rows if row["section"] == "top_products"}
    assert names == {f"'{name}"}
    # Numbers are no formulas.
    assert ("net_sales", "-4.00") in {(row["figure"], row["value"]) for row in rows}


def test_other_media_types_are_not_acceptable(sold: Books) -> None:
    answer = get(accept="application/pdf")

    assert answer.status_code == 406
    assert answer["Content-Type"] == "application/problem+json"


def test_errors_are_problem_documents_for_csv_too(sold: Books) -> None:
    answer = get({"date": "yesterday"}, accept="text/csv")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ({"date": "20.11.2026"}, "date", "no_date"),
        ({"date": "2026-02-30"}, "date", "no_date"),
        ({"date": "20261120"}, "date", "no_date"),
        ({"date": "٢٠٢٦-١١-٢٠"}, "date", "no_date"),
        ({"date": "0001-01-01"}, "date", "out_of_range"),
        ({"date": "9999-12-31"}, "date", "out_of_range"),
        ({"date": ""}, "date", "blank"),
        ({"date_from": "2026-11-20"}, "date_to", "required"),
        ({"date_to": "2026-11-20"}, "date_from", "required"),
        ({"date_from": "2026-11-20", "date_to": "2026-11-19"}, "date_to", "out_of_range"),
        ({"date_from": "2024-11-20", "date_to": "2025-11-21"}, "date_to", "out_of_range"),
        ({"date": "2026-11-20", "date_to": "2026-11-20"}, "date_to", "conflict"),
        ({"currency": "eur"}, "currency", "invalid_choice"),
        ({"day": "2026-11-20"}, "day", "unknown_parameter"),
    ],
)
def test_an_invalid_query_is_rejected(query: dict[str, str], parameter: str, code: str) -> None:
    answer = get(query)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["parameter"], error["code"]) == (parameter, code)


def test_a_range_may_be_a_leap_year(sold: Books) -> None:
    assert get({"date_from": "2024-01-01", "date_to": "2024-12-31"}).status_code == 200


def test_only_staff_see_reports() -> None:
    assert api_client(make_customer()).get(URL).status_code == 403
    assert api_client().get(URL).status_code == 401
