"""Places orders over HTTP and verifies that none was lost, duplicated or oversold."""

from __future__ import annotations

import math
import secrets
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from oms.checks import reconcile
from oms.devserver.ports import is_loopback
from oms.reconcile.presentation import as_table
from oms.stress.client import Outcome, send_requests
from oms.stress.fixtures import create_customers, products_on_sale, required_customers
from oms.stress.requests import order_requests
from oms.stress.verification import inconsistencies, oversold

_MAX_ORDERS, _MAX_CONCURRENCY, _MAX_BATCH = 1_000_000, 1_000, 500
_MAX_QUANTITY = 9  # of a product by one order
_MAX_SECONDS = 840  # access tokens are valid for 900


class Command(BaseCommand):
    help = (
        "Place orders over HTTP in the shop that runs on this machine, and verify in its database "
        "that every acknowledged order exists once, no refused one does, and nothing was oversold. "
        "The exit code is 1 otherwise."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--num", type=int, default=1000, help="how many orders (1000)")
        parser.add_argument("--batch", type=int, default=1, help="orders in a request (1)")
        parser.add_argument("--concurrency", type=int, default=50, help="concurrent requests (50)")
        parser.add_argument("--products", type=int, default=20, help="how many products (20)")
        parser.add_argument("--base-url", default=f"http://127.0.0.1:{settings.PORT}")
        parser.add_argument("--timeout", type=float, default=300, help="maximum seconds (300)")
        parser.add_argument(
            "--buyers",
            type=int,
            help="so many customers at once, each ordering one unit",
        )
        parser.add_argument("--stock", type=int, default=10, help="stock for --buyers (10)")
        parser.add_argument(
            "--offline", action="store_true", help="skip a payment provider that cannot be reached"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _validate(options)
        console = Console(highlight=False)
        run = secrets.token_hex(4)
        buyers: int | None = options["buyers"]
        orders = buyers or options["num"]
        batch = 1 if buyers else options["batch"]
        concurrency = min(buyers or options["concurrency"], _MAX_CONCURRENCY)
        stocks = [options["stock"]] if buyers else [orders * _MAX_QUANTITY] * options["products"]
        customers = required_customers(requests=math.ceil(orders / batch), concurrency=concurrency)
        noun = "product" if len(stocks) == 1 else "products"
        console.print(f"Stress test {run}: {customers} customers, {len(stocks)} {noun} …")
        tokens = create_customers(run=run, customers=customers)
        with products_on_sale(run=run, stocks=stocks) as products:
            requests = order_requests(
                run=run,
                orders=orders,
                batch=batch,
                customers=customers,
                products=products,
            )
            progress = Progress(console=console)
            with progress:
                task = progress.add_task("Orders", total=orders)
                outcome = send_requests(
                    requests,
                    base_url=options["base_url"],
                    tokens=tokens,
                    concurrency=concurrency,
                    timeout=options["timeout"],
                    answered=lambda number: progress.advance(task, number),
                )
        console.print(_results(outcome))
        problems = [*inconsistencies(outcome, run=run), *oversold(products)]
        problems += _unexpected(outcome, orders=orders, buyers=buyers, stock=options["stock"])
        for problem in problems[:20]:
            console.print(problem, style="bold red", markup=False)
        findings = reconcile(offline=options["offline"])
        broken = [finding for finding in findings if not finding.holds]
        if broken:
            console.print(as_table(broken))
        if problems or broken:
            raise CommandError(
                f"{len(problems)} problems with these orders, {len(broken)} of {len(findings)} "
                "checks of the whole shop found violations."
            )
        console.print(
            f"Verified: each of {len(outcome.acknowledged):,} acknowledged orders exists once, "
            f"none of {len(outcome.refused):,} refused ones does, nothing was oversold, and "
            f"{len(findings)} checks of the whole shop found nothing."
        )


def _validate(options: dict[str, Any]) -> None:
    """CommandError for a number out of range, or a shop on another machine."""
    for name, minimum, maximum in (
        ("num", 1, _MAX_ORDERS),
        ("batch", 1, _MAX_BATCH),
        ("concurrency", 1, _MAX_CONCURRENCY),
        ("products", 1, 1_000),
        ("timeout", 1, _MAX_SECONDS),
        ("buyers", 1, _MAX_CONCURRENCY),
        ("stock", 1, _MAX_ORDERS),
    ):
        value = options[name]
        if value is not None and not minimum <= value <= maximum:
            raise CommandError(f"--{name} is a number from {minimum} to {maximum:,}.")
    parts = urlsplit(options["base_url"])
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise CommandError(
            "--base-url must be a shop on this machine, such as http://127.0.0.1:8000, because "
            "the test needs its database, and must not attack other machines."
        )


def _results(outcome: Outcome) -> Table:
    ordered = sorted(outcome.latencies) or [0.0]

    def percentile(share: float) -> str:
        return f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000:,.0f} ms"

    placed = len(outcome.acknowledged)
    table = Table.grid(padding=(0, 2))
    table.add_row("Placed", f"{placed:,} orders in {outcome.seconds:.2f} s")
    table.add_row("Rate", f"{placed / max(outcome.seconds, 0.001):,.1f} orders per second")
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        table.add_row(name, percentile(share))
    for status, number in sorted(outcome.statuses.items()):
        table.add_row(f"Answered {status}", f"{number:,}")
    for reason, number in sorted(outcome.retries.items()):
        table.add_row(f"Retried after {reason}", f"{number:,}")
    return table


def _unexpected(outcome: Outcome, *, orders: int, buyers: int | None, stock: int) -> list[str]:
    """Sentences about answers that a correct shop does not give."""
    expected = min(orders, stock) if buyers else orders
    problems = []
    if outcome.unanswered:
        problems.append(f"{len(outcome.unanswered)} orders got no answer, or a server error.")
    elif len(outcome.acknowledged) != expected:
        problems.append(f"{len(outcome.acknowledged)} orders were placed instead of {expected}.")
    unexpected = set(outcome.statuses) - {"201", "409", "unanswered"}
    if unexpected:
        problems.append(f"Answers of {', '.join(sorted(unexpected))} were not expected.")
    return problems
