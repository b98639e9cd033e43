"""Many real orders over HTTP, and the proof that none was lost, doubled or oversold."""

from __future__ import annotations

import ipaddress
import math
import secrets
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from oms.checks import reconcile
from oms.reconcile.presentation import as_table
from oms.stress.buyers import access_tokens, customers_needed, wares_on_sale
from oms.stress.client import Outcome, make_calls
from oms.stress.requests import calls
from oms.stress.verification import broken_promises, oversold

_MOST_ORDERS, _MOST_AT_ONCE, _MOST_IN_BATCH = 1_000_000, 1_000, 500
_MOST_PIECES = 9  # of one product in one order
_LONGEST = 840  # seconds; the access tokens are good for 900


class Command(BaseCommand):
    """Places orders over HTTP on this machine's shop."""

    help = (
        "Place many real orders over HTTP on a shop that runs on this machine, and prove from the "
        "database that every acknowledged order exists once, no refused one does, and nothing was "
        "oversold. The exit code is 1 if that is not so."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Read how many orders, and how."""
        parser.add_argument("--num", type=int, default=1000, help="how many orders (1000)")
        parser.add_argument("--batch", type=int, default=1, help="orders in one call (1)")
        parser.add_argument("--concurrency", type=int, default=50, help="calls at once (50)")
        parser.add_argument("--products", type=int, default=20, help="how many products (20)")
        parser.add_argument("--base-url", default=f"http://127.0.0.1:{settings.PORT}")
        parser.add_argument("--timeout", type=float, default=300, help="seconds at most (300)")
        parser.add_argument(
            "--buyers", type=int, help="that many at once, of one piece of one product each"
        )
        parser.add_argument("--stock", type=int, default=10, help="the pieces for --buyers (10)")
        parser.add_argument(
            "--token",
            default="tok_success",
            help='the sandbox provider\'s token that pays ("" leaves the orders unpaid)',
        )
        parser.add_argument(
            "--offline", action="store_true", help="do not ask the payment provider for its books"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Order, measure, prove; CommandError if something is not as it must be."""
        _require_sane(options)
        console = Console(highlight=False)
        run = secrets.token_hex(4)
        buyers: int | None = options["buyers"]
        orders = buyers or options["num"]
        batch = 1 if buyers else options["batch"]
        concurrency = min(buyers or options["concurrency"], _MOST_AT_ONCE)
        stocks = [options["stock"]] if buyers else [orders * _MOST_PIECES] * options["products"]
        customers = customers_needed(calls=math.ceil(orders / batch), concurrency=concurrency)
        console.print(f"Stress test {run}: {customers} customers, {len(stocks)} products …")
        tokens = access_tokens(run=run, customers=customers)
        with wares_on_sale(run=run, stocks=stocks) as wares:
            made = calls(
                run=run,
                orders=orders,
                batch=batch,
                customers=customers,
                wares=wares,
                payment_token=options["token"],
            )
            progress = Progress(
                TextColumn("Orders"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
            )
            with progress:
                task = progress.add_task("orders", total=orders)
                outcome = make_calls(
                    made,
                    base_url=options["base_url"],
                    tokens=tokens,
                    concurrency=concurrency,
                    timeout=options["timeout"],
                    answered=lambda number: progress.advance(task, number),
                )
        console.print(_figures(outcome))
        troubles = [*broken_promises(outcome, run=run), *oversold(wares)]
        troubles += _unexpected(outcome, orders=orders, buyers=buyers, stock=options["stock"])
        for trouble in troubles[:20]:
            console.print(trouble, style="bold red", markup=False)
        findings = reconcile(offline=options["offline"])
        broken = [finding for finding in findings if not finding.holds]
        if broken:
            console.print(as_table(broken))
        if troubles or broken:
            raise CommandError(
                f"{len(troubles)} troubles with these orders, {len(broken)} of {len(findings)} "
                "checks of the whole shop found violations."
            )
        console.print(
            f"Proved: each of {len(outcome.acknowledged):,} acknowledged orders exists once, none "
            f"of {len(outcome.refused):,} refused ones does, nothing was oversold, and "
            f"{len(findings)} checks of the whole shop hold."
        )


def _require_sane(options: dict[str, Any]) -> None:
    """CommandError for a number that makes no sense, or a shop that is not on this machine."""
    for name, least, most in (
        ("num", 1, _MOST_ORDERS),
        ("batch", 1, _MOST_IN_BATCH),
        ("concurrency", 1, _MOST_AT_ONCE),
        ("products", 1, 1_000),
        ("timeout", 1, _LONGEST),
        ("buyers", 1, _MOST_AT_ONCE),
        ("stock", 1, _MOST_ORDERS),
    ):
        value = options[name]
        if value is not None and not least <= value <= most:
            raise CommandError(f"--{name} is a number from {least} to {most:,}.")
    parts = urlsplit(options["base_url"])
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise CommandError(
            "--base-url names a shop on this machine, such as http://127.0.0.1:8000: a stress test "
            "of others' machines is an attack, and its proof needs this shop's database."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _figures(outcome: Outcome) -> Table:
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
    for what, number in sorted(outcome.tries.items()):
        table.add_row(f"Tried again after {what}", f"{number:,}")
    return table


def _unexpected(outcome: Outcome, *, orders: int, buyers: int | None, stock: int) -> list[str]:
    """What was answered that a sound shop does not answer to these orders."""
    wanted = min(orders, stock) if buyers else orders
    troubles = []
    if outcome.unanswered:
        troubles.append(f"{len(outcome.unanswered)} orders got no answer, or a server error.")
    elif len(outcome.acknowledged) != wanted:
        troubles.append(f"{len(outcome.acknowledged)} orders were placed instead of {wanted}.")
    unexpected = set(outcome.statuses) - {"201", "409", "unanswered"}
    if unexpected:
        troubles.append(f"Answers of {', '.join(sorted(unexpected))} were not expected.")
    return troubles
