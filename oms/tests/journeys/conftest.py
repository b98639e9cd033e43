"""A browser of the back office and a demo shop for the journeys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from oms.demo.seed import seed_shop
from oms.testing.factories import make_staff


@pytest.fixture
def staff() -> Client:
    """A browser logged in as a superuser."""
    client = Client()
    client.force_login(make_staff(email="admin@example.com", is_superuser=True))
    return client


@pytest.fixture(scope="module")
def demo_shop(module_db: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sixty orders in every status."""
    ledger = tmp_path_factory.mktemp("provider") / "ledger.sqlite3"
    seed_shop(orders=60, seed=7, now=datetime.now(UTC), ledger=ledger)
    with connection.cursor() as cursor:
        # Checked now: the tests' own transactions are rolled back before a commit would do it.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
