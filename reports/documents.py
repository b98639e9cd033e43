"""Reports as the documents of the API, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from oms.core.money import rounded
from reports.figures import HourSales, ProductSales, Report, Totals

_COUNTS = ("orders_placed", "orders_confirmed", "orders_cancelled", "units_sold")
_AMOUNTS = ("gross_sales", "cancelled_sales", "refunds", "net_sales", "refunds_of_no_sale")
_FIGURES = (*_COUNTS, *_AMOUNTS, "average_order_value")
CSV_COLUMNS = ("date", "currency", "section", "key", "name", "figure", "value")
# Spreadsheets evaluate text that begins so as a formula (OWASP, "CSV Injection").
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | Decimal | bool | date


def document_of(report: Report) -> dict[str, Any]:
    """The API's document, with `date`, or with `date_from`, `date_to` and `days`.

    Amounts have exactly the decimals of the report's currency.
    """
    currency = report.currency
    span: dict[str, Any] = {"date": report.first}
    if report.days is not None:
        span = {"date_from": report.first, "date_to": report.last}
    document: dict[str, Any] = {
        **span,
        "timezone": report.timezone,
        "currency": currency,
        **_figures(report.totals, currency),
        "top_products": [_product(product, currency) for product in report.top_products],
        "by_status": report.by_status,
        "by_hour": [_hour(hour, currency) for hour in report.by_hour],
        "generated_at": report.generated_at,
        "is_final": report.is_final,
    }
    if report.days is not None:
        document["days"] = [
            {"date": day.date, **_figures(day.totals, currency), "is_final": is_final}
            for day, is_final in report.days
        ]
    return document


def _figures(totals: Totals, currency: str) -> dict[str, int | Decimal]:
    return {
        **{name: getattr(totals, name) for name in _COUNTS},
        **{name: rounded(getattr(totals, name), currency) for name in _AMOUNTS},
        "average_order_value": totals.average_order_value(currency),
    }


def _product(product: ProductSales, currency: str) -> dict[str, Any]:
    return {**vars(product), "revenue": rounded(product.revenue, currency)}


def _hour(hour: HourSales, currency: str) -> dict[str, Any]:
    return {**vars(hour), "gross_sales": rounded(hour.gross_sales, currency)}


def csv_of(document: dict[str, Any]) -> str:
    """The document as CSV (RFC 4180): one row per value, with the columns CSV_COLUMNS.

    `date` is a day, or "first/last" for values of a whole range; `section` is "total",
    "top_products", "by_status" or "by_hour", and `key` its product, status or hour.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for row in _rows(document):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _rows(document: dict[str, Any]) -> Iterator[tuple[Cell, ...]]:
    currency = document["currency"]
    span = document.get("date") or f"{document['date_from']}/{document['date_to']}"
    for day in (*document.get("days", ()), {**document, "date": span}):
        for figure in (*_FIGURES, "is_final"):
            yield (day["date"], currency, "total", "", "", figure, day[figure])
    for product in document["top_products"]:
        for figure in ("units", "revenue"):
            key, name = product["sku"], product["name"]
            yield (span, currency, "top_products", key, name, figure, product[figure])
    for status, count in document["by_status"].items():
        yield (span, currency, "by_status", status, "", "orders", count)
    for hour in document["by_hour"]:
        for figure in ("orders", "gross_sales"):
            yield (span, currency, "by_hour", hour["hour"], "", figure, hour[figure])


def _cell(value: Cell) -> str:
    """`value` as text that no spreadsheet evaluates; numbers stay as they are."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if isinstance(value, str) and text.startswith(_FORMULA_PREFIXES):
        return f"'{text}"
    return text
