"""The shop that is attacked."""

from __future__ import annotations

import pytest
from django.db import connection

from oms.tests.attacks.shop import Shop, open_shop

_LIMITS = (
    *("register_address", "token_address", "token_account", "password_user"),
    *("place_user", "general_user", "general_address"),
)


@pytest.fixture(scope="module")
def module_shop(module_db: None) -> Shop:
    with connection.cursor() as cursor:  # the module's transaction waits for each test
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    return open_shop()


@pytest.fixture
def shop(module_shop: Shop, db: None, settings: object) -> Shop:
    """The shop, without rate limits; what a test writes is undone after it."""
    settings.RATE_LIMITS = dict.fromkeys(_LIMITS, "1000000/minute")  # type: ignore[attr-defined]
    return module_shop
