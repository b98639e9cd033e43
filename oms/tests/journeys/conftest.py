"""A browser of the back office for the journeys."""

from __future__ import annotations

import pytest
from django.test import Client

from oms.testing.factories import make_staff


@pytest.fixture
def staff() -> Client:
    """A browser logged in as a superuser."""
    client = Client()
    client.force_login(make_staff(email="admin@example.com", is_superuser=True))
    return client
