"""The demo shop, for tests of the whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from oms.demo.seed import seed_shop


@pytest.fixture(scope="module")
def demo_shop(module_db: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sixty orders in every status."""
    ledger = tmp_path_factory.mktemp("provider") / "ledger.sqlite3"
    seed_shop(orders=60, seed=7, now=datetime.now(UTC), ledger=ledger)
    with connection.cursor() as cursor:
        # Checked now: the tests' own transactions are rolled back before a commit would do it.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
