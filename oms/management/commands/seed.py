"""The demo shop."""

from __future__ import annotations

import ipaddress
import sqlite3
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oms.core import clock
from oms.demo.accounts import (
    CUSTOMER_EMAIL,
    CUSTOMER_PASSWORD,
    STAFF_EMAIL,
    STAFF_PASSWORD,
)
from oms.demo.seed import DAYS, ShopNotEmpty, require_empty_shop, seed_shop

_ORDERS, _MOST_ORDERS = 300, 1_000_000
_LEAST_DAYS, _MOST_DAYS = 7, 3_660
_SEED = 20260101


class Command(BaseCommand):
    """Makes products, customers and their orders in an empty shop."""

    help = (
        "Make the demo shop: products, customers, and orders of the last days in every state. "
        "The same --seed makes the same shop; times are relative to now. It refuses to run with "
        "DEBUG off, and leaves a shop that has products or orders as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Read how much to make."""
        parser.add_argument("--orders", type=int, default=_ORDERS, help="how many orders (300)")
        parser.add_argument(
            "--days", type=int, default=DAYS, help="over how many days, until now (30)"
        )
        parser.add_argument("--seed", type=int, default=_SEED, help="the number it is drawn from")
        parser.add_argument(
            "--ledger",
            type=Path,
            help="the sandbox provider's ledger file (VAR_DIR/sandbox/ledger.sqlite3)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the shop; CommandError if it must not or cannot be made."""
        if not settings.DEBUG:
            raise CommandError(
                "The demo shop has accounts with well-known passwords, so it is only made with "
                "DEBUG on. Nothing was changed."
            )
        orders = options["orders"]
        if not 1 <= orders <= _MOST_ORDERS:
            raise CommandError(f"--orders is a number from 1 to {_MOST_ORDERS:,}.")
        days = options["days"]
        if not _LEAST_DAYS <= days <= _MOST_DAYS:
            raise CommandError(f"--days is a number from {_LEAST_DAYS} to {_MOST_DAYS:,}.")
        ledger = options["ledger"] or _ledger()
        console = Console(highlight=False)
        began = time.monotonic()
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        phases = [("orders", began)]

        def begin(what: str) -> None:
            phases.append((what, time.monotonic()))
            progress.update(task, description=what.capitalize())

        task = progress.add_task("Orders", total=orders)
        try:
            require_empty_shop()
            with progress:
                made = seed_shop(
                    orders=orders,
                    days=days,
                    seed=options["seed"],
                    now=clock.now(),
                    ledger=ledger,
                    placed=lambda: progress.advance(task),
                    begun=begin,
                )
        except ShopNotEmpty as error:
            console.print(f"{error} Nothing was changed.")
            return
        except (sqlite3.Error, OSError) as error:
            raise CommandError(
                f"The provider's ledger {ledger} cannot be written ({error}). Nothing was changed."
            ) from error
        ended = time.monotonic()
        seconds = ended - began
        ends = [begun for _, begun in phases[1:]] + [ended]
        took = [
            f"{what} {end - begun:.1f} s" for (what, begun), end in zip(phases, ends, strict=True)
        ]
        console.print(
            f"{made.products} products, {made.customers} customers and {made.orders:,} orders "
            f"in {seconds:.1f} s ({made.orders / seconds:,.0f} orders a second: "
            f"{', '.join(took)}).\n"
            f"Staff: {STAFF_EMAIL} / {STAFF_PASSWORD}\n"
            f"Customer: {CUSTOMER_EMAIL} / {CUSTOMER_PASSWORD}"
        )


def _ledger() -> Path:
    """The file of a provider on this machine. CommandError if the provider runs elsewhere."""
    host = urlsplit(settings.SANDBOX_PROVIDER_URL).hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if not is_here:
        raise CommandError(
            f"The sandbox provider runs at {host}; give --ledger the path at which its ledger "
            "file can be written from here."
        )
    return Path(settings.VAR_DIR) / "sandbox" / "ledger.sqlite3"
