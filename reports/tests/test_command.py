"""manage.py daily_report."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from oms.core import clock
from reports.tests.books import Books

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("daily_report", *arguments, stdout=output)
    return output.getvalue()


@pytest.fixture
def sold() -> str:
    """The day of the only order: yesterday, in the business time zone."""
    moment = clock.now() - timedelta(days=1)
    lines = [("[bold]MUG", 1234, "10.00")]
    Books().order(placed=moment, confirmed=moment, lines=lines)
    return str(clock.business_date(moment))


def test_it_shows_yesterday_as_a_table(sold: str) -> None:
    shown = run()

    assert "Northwind Supply" in shown
    assert "12,340.00 EUR" in shown
    assert "[bold]MUG" in shown
    assert "1,234" in shown


def test_json_is_the_document_of_the_api(sold: str) -> None:
    document = json.loads(run("--date", sold, "--format", "json"))

    assert (document["date"], document["gross_sales"]) == (sold, "12340.00")


def test_csv_has_rows(sold: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv"))))

    assert ("gross_sales", "12340.00") in {(row["figure"], row["value"]) for row in rows}


def test_the_day_and_currency_can_be_chosen(sold: str) -> None:
    document = json.loads(run("--date", "2026-01-02", "--currency", "CHF", "--format", "json"))

    assert (document["date"], document["currency"]) == ("2026-01-02", "CHF")
    assert document["orders_placed"] == 0


def test_an_invalid_date_is_rejected() -> None:
    with pytest.raises(CommandError, match="YYYY-MM-DD"):
        run("--date", "yesterday")


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_date_out_of_range_is_rejected(day: str) -> None:
    with pytest.raises(CommandError, match="From 2000-01-01 to 2199-12-31"):
        run("--date", day)
