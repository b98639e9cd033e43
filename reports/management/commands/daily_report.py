"""manage.py daily_report: the sales of a business day."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oms.core import clock
from oms.core.actor import system
from oms.core.currencies import CURRENCIES, DECIMALS
from oms.http.payloads import encode
from reports.documents import csv_of, document_of
from reports.figures import Report
from reports.operations.reporting import EARLIEST, LATEST, daily_report

_BAR = 24


class Command(BaseCommand):
    help = "Show the sales of a business day; yesterday by default."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=_day, help="YYYY-MM-DD in the business time zone")
        parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
        parser.add_argument(
            "--currency",
            choices=sorted(CURRENCIES),
            default=settings.SHOP_CURRENCY,
            metavar="CODE",
            help=f"{settings.SHOP_CURRENCY} by default",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        day = options["date"] or clock.business_date(now) - timedelta(days=1)
        report = daily_report(
            actor=system("command"), day=day, currency=options["currency"], now=now
        )
        if options["format"] == "json":
            self.stdout.write(encode(document_of(report)).decode())
        elif options["format"] == "csv":
            self.stdout.write(csv_of(document_of(report)), ending="")
        else:
            console = Console()
            with console.capture() as captured:
                _show(report, console)
            self.stdout.write(captured.get())


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("Use the format YYYY-MM-DD.") from error
    if not EARLIEST <= day <= LATEST:
        raise ArgumentTypeError(f"From {EARLIEST} to {LATEST}.")
    return day


def _show(report: Report, console: Console) -> None:
    totals, currency = report.totals, report.currency
    decimals, average = DECIMALS[currency], totals.average_order_value(currency)
    state = "final" if report.is_final else "live"
    console.print(
        Text.assemble(
            (f"\n{settings.SHOP_NAME} {report.first:%A, %d %B %Y}", "bold"),
            (f"  {report.timezone}, {state}", "dim"),
        )
    )
    figures = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    figures.add_column(style="dim")
    figures.add_column(justify="right")
    for label, value in (
        ("Orders placed", f"{totals.orders_placed:,}"),
        ("Orders confirmed", f"{totals.orders_confirmed:,}"),
        ("Orders cancelled", f"{totals.orders_cancelled:,}"),
        ("Units sold", f"{totals.units_sold:,}"),
        ("Gross sales", f"{totals.gross_sales:,.{decimals}f} {currency}"),
        ("Cancelled sales", f"{totals.cancelled_sales:,.{decimals}f} {currency}"),
        ("Refunds", f"{totals.refunds:,.{decimals}f} {currency}"),
        ("Net sales", Text(f"{totals.net_sales:,.{decimals}f} {currency}", style="bold green")),
        ("Refunds of no sale", f"{totals.refunds_of_no_sale:,.{decimals}f} {currency}"),
        ("Average order", f"{average:,.{decimals}f} {currency}"),
    ):
        figures.add_row(label, value)
    console.print(figures)
    if report.by_status:
        statuses = ", ".join(f"{count:,} {status}" for status, count in report.by_status.items())
        console.print(Text(f"Orders placed, by status: {statuses}", style="dim"))
    if report.top_products:
        table = _table("Best sellers", "Product", "SKU", "Units", f"Revenue, {currency}")
        for sold in report.top_products:
            # Text, because a name may contain markup of rich.
            names = Text(sold.name), Text(sold.sku)
            table.add_row(*names, f"{sold.units:,}", f"{sold.revenue:,.{decimals}f}")
        console.print(table)
    if totals.orders_confirmed:
        table = _table("By hour", "Hour", "", "Orders", f"Gross, {currency}")
        highest = max(hour.gross_sales for hour in report.by_hour)
        for hour in report.by_hour:
            bar = "█" * round(_BAR * hour.gross_sales / highest) if highest else ""
            start = f"{hour.hour[11:16]} {hour.hour[19:]}"
            table.add_row(start, bar, f"{hour.orders:,}", f"{hour.gross_sales:,.{decimals}f}")
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    """A table of two columns of text and two of numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < 2 else "right")
    return table
