"""The tests' own ground: servers, settings and separation."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_tests_run_on_a_real_postgresql_of_their_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), version()")
        database, version = cursor.fetchone()

    assert database.startswith("test_oms")
    assert version.startswith("PostgreSQL 1")


def test_a_worker_has_a_redis_database_of_its_own() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = int(worker.removeprefix("gw")) + 1 if worker else 0

    assert settings.REDIS_URL.endswith(f"/{number}")


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_the_cache_is_cleared_between_tests(attempt: str) -> None:
    assert cache.get("seen") is None
    cache.set("seen", attempt)
    assert cache.get("seen") == attempt
