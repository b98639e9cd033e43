"""Reports as the documents of the API, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from reports.figures import Report, Totals

_FIGURES = (
    "orders_placed",
    "orders_confirmed",
    "orders_cancelled",
    "units_sold",
    "gross_sales",
    "refunds",
    "net_sales",
    "average_order_value",
)
CSV_COLUMNS = ("date", "currency", "section", "key", "name", "figure", "value")
# Spreadsheets evaluate text that begins so as a formula (OWASP, "CSV Injection").
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | Decimal | bool | date


def document_of(report: Report) -> dict[str, Any]:
    """The API's document, with `date`, or with `date_from`, `date_to` and `days`."""
    span: dict[str, Any] = {"date": report.first}
    if report.days is not None:
        span = {"date_from": report.first, "date_to": report.last}
    document: dict[str, Any] = {
        **span,
        "timezone": report.timezone,
        "currency": report.currency,
        **_figures(report.totals),
        "top_products": [asdict(product) for product in report.top_products],
        "by_status": report.by_status,
        "by_hour": [asdict(hour) for hour in report.by_hour],
        "generated_at": report.generated_at,
        "is_final": report.is_final,
    }
    if report.days is not None:
        document["days"] = [
            {"date": day.date, **_figures(day.totals), "is_final": is_final}
            for day, is_final in report.days
        ]
    return document


def _figures(totals: Totals) -> dict[str, int | Decimal]:
    return {name: getattr(totals, name) for name in _FIGURES}


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
