"""Clients of the API, for its tests."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from oms.testing.factories import api_client, make_customer, make_staff
from oms.users.models import User


@pytest.fixture
def customer() -> User:
    return make_customer()


@pytest.fixture
def client(customer: User) -> APIClient:
    return api_client(customer)


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())
