"""A browser of the back office and a demo shop for the journeys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from oms.demo.seed import seed_shop
from oms.testing.demo_shop import shared_shop
from oms.testing.factories import make_staff


@pytest.fixture
def staff() -> Client:
    """A browser logged in as a superuser."""
    client = Client()
    client.force_login(make_staff(email="admin@example.com", is_superuser=True))
    return client


@pytest.fixture(scope="module")
def demo_shop(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Sixty orders in every status."""
    ledger = tmp_path_factory.mktemp("provider") / "ledger.sqlite3"
    now = datetime.now(UTC)
    with shared_shop(
        django_db_blocker, lambda: seed_shop(orders=60, seed=7, now=now, ledger=ledger)
    ):
        yield
