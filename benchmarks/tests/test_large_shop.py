"""A large shop is consistent, and has all of its indexes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from benchmarks import large_shop
from benchmarks.large_shop import create_large_shop
from inventory.models import Product
from oms.checks import reconcile
from oms.core.ids import creation_time_of
from oms.users.models import User
from orders.models import Order


def _definitions() -> set[tuple[str, str]]:
    """Every index and constraint, without casts and parentheses, which vary."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid::regclass::text !~ '^pg_|events_event_' UNION ALL"
            " SELECT conname || ' of ' || conrelid::regclass::text, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE conrelid > 0 AND conparentid = 0"
            " AND conrelid::regclass::text !~ 'events_event_'"
        )
        return {
            (name, re.sub(r"::character varying|::text(\[\])?|[()]", "", definition))
            for name, definition in cursor.fetchall()
        }


@pytest.mark.django_db
@pytest.mark.parametrize("large", [500, 2_000])
def test_a_large_shop_is_consistent(
    large: int, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(large_shop, "_LARGE", large)
    monkeypatch.setattr(large_shop, "_PATTERN_ORDERS", 60)
    before = _definitions()

    create_large_shop(orders=1_000, days=500, ledger=tmp_path / "ledger.sqlite3")

    assert Order.objects.count() == 1_000
    assert _definitions() == before
    findings = reconcile(offline=True)
    assert {f.name: f.violations[:3] for f in findings if f.total} == {}
    oldest, newest = Order.objects.earliest("placed_at"), Order.objects.latest("placed_at")
    now = datetime.now(UTC)
    assert timedelta(days=400) < now - oldest.placed_at < timedelta(days=501)
    assert now - newest.placed_at < timedelta(hours=1)
    assert abs(creation_time_of(oldest.id) - oldest.placed_at) < timedelta(milliseconds=2)
    assert Product.objects.count() > 52
    assert User.objects.count() > 60


def test_without_debug_it_refuses(settings: Any, tmp_path: Path) -> None:
    settings.DEBUG = False

    with pytest.raises(RuntimeError, match="requires DEBUG"):
        create_large_shop(orders=1_000, days=500, ledger=tmp_path / "ledger.sqlite3")
