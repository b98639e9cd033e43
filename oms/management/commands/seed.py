"""The demo shop."""

from __future__ import annotations

import sqlite3
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from oms.core import clock
from oms.demo.accounts import (
    CUSTOMER_EMAIL,
    CUSTOMER_PASSWORD,
    STAFF_EMAIL,
    STAFF_PASSWORD,
)
from oms.demo.seed import ShopNotEmpty, require_empty_shop, seed_shop
from oms.devserver.ports import is_loopback
from reports.operations.reporting import close_days

_ORDERS, _MAX_ORDERS = 200, 10_000
_DAYS, _MIN_DAYS, _MAX_DAYS = 30, 7, 366
_SEED = 20260101


class Command(BaseCommand):
    help = (
        "Create the demo shop: products, customers, and orders of the last days in every status. "
        "The same --seed creates the same shop; times are relative to now. Requires DEBUG; a shop "
        "that has products or orders is left as it is. For more orders see docs/performance.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--orders", type=int, default=_ORDERS, help=f"how many orders ({_ORDERS})"
        )
        parser.add_argument(
            "--days", type=int, default=_DAYS, help=f"over how many days, until now ({_DAYS})"
        )
        parser.add_argument("--seed", type=int, default=_SEED, help="of the random generator")
        parser.add_argument(
            "--ledger",
            type=Path,
            help="the sandbox provider's ledger file (VAR_DIR/sandbox/ledger.sqlite3)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "The demo shop has accounts with well-known passwords, so it requires DEBUG. "
                "Nothing was changed."
            )
        orders, days = options["orders"], options["days"]
        if not 1 <= orders <= _MAX_ORDERS:
            raise CommandError(f"--orders is a number from 1 to {_MAX_ORDERS:,}.")
        if not _MIN_DAYS <= days <= _MAX_DAYS:
            raise CommandError(f"--days is a number from {_MIN_DAYS} to {_MAX_DAYS}.")
        ledger = options["ledger"] or _local_ledger()
        console, began = Console(highlight=False), time.monotonic()
        progress = Progress(console=console)
        task = progress.add_task("Orders", total=orders)
        try:
            require_empty_shop()
            with progress:
                shop = seed_shop(
                    orders=orders,
                    days=days,
                    seed=options["seed"],
                    now=clock.now(),
                    ledger=ledger,
                    placed=lambda: progress.advance(task),
                )
                # Or the dashboard of the new shop would list these days as failed.
                while close_days(now=clock.now()):
                    pass
        except ShopNotEmpty as error:
            console.print(f"{error} Nothing was changed.")
            return
        except (sqlite3.Error, OSError) as error:
            raise CommandError(
                f"The provider's ledger {ledger} cannot be written ({error}). Nothing was changed."
            ) from error
        console.print(
            f"Created {shop.products} products, {shop.customers} customers and {shop.orders:,} "
            f"orders in {time.monotonic() - began:.1f} s.\n"
            f"Staff: {STAFF_EMAIL} / {STAFF_PASSWORD}\n"
            f"Customer: {CUSTOMER_EMAIL} / {CUSTOMER_PASSWORD}"
        )


def _local_ledger() -> Path:
    """The ledger of a provider on this machine. CommandError if it runs elsewhere."""
    host = urlsplit(settings.SANDBOX_PROVIDER_URL).hostname or ""
    if not is_loopback(host):
        raise CommandError(
            f"The sandbox provider runs at {host}; use --ledger for the path of its ledger file "
            "on this machine."
        )
    return Path(settings.VAR_DIR) / "sandbox" / "ledger.sqlite3"
