from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from rest_framework.test import APIClient

from oms.http.local_counters import local_counters


@pytest.fixture(autouse=True)
def urls_of_the_tests(settings: Any) -> None:
    settings.ROOT_URLCONF = "oms.http.tests.urls"


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    cache.clear()
    local_counters.reset()


@pytest.fixture
def client() -> APIClient:
    """A client without credentials, which gets 500s as a real one does."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def customer(db: None) -> Any:
    return get_user_model().objects.create_user("carla@example.com", full_name="Carla")


@pytest.fixture
def staff(db: None) -> Any:
    return get_user_model().objects.create_user("sam@example.com", full_name="Sam", is_staff=True)
